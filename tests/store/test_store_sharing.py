"""The store as a build sees it: shared between checkouts, damaged, unreachable, cleaned up; and its two tasks."""

import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import Project, Silent

from bmzoo.config import project as zoo_settings
from bmzoo.errors import ConfigError
from bmzoo.results.artifact import build_artifact
from bmzoo.store.entry import MANIFEST
from bmzoo.store.remote_files import RemoteFiles
from bmzoo.workspace import Workspace

TARGET = "bm1688_int8_2b"
REPOSITORY = Path(__file__).parents[2]


def build(project: Project, store: str | None, toolchain_ran: bool) -> Silent:
    """Build the target as a new run does; says whether anything had to run."""
    project.toolchain.ran.clear()
    report = Silent()
    environ = {"BMZOO_DATA": str(project.data)} | ({"BMZOO_STORE": store} if store is not None else {})
    at = Workspace(project.root, environ, report, toolchain_override=project.toolchain)
    build_artifact(at, at.target(TARGET))
    assert bool(project.toolchain.ran) == toolchain_ran, project.toolchain.ran
    return report


@pytest.fixture
def shared(tmp_path: Path) -> str:
    return str(tmp_path / "shared")


def digest(project: Project) -> bytes:
    return (project.root / "build/BM1688/tiny_int8_2b.bmodel").read_bytes()


def test_a_fresh_checkout_takes_everything_from_the_shared_store(project: Project, shared: str) -> None:
    assert build(project, shared, toolchain_ran=True).warnings == []
    first = digest(project)
    shutil.rmtree(project.root / "build")
    assert build(project, shared, toolchain_ran=False).steps == []
    assert digest(project) == first


def test_zoo_yaml_names_the_store_and_the_environment_wins(project: Project, shared: str, tmp_path: Path) -> None:
    (project.root / "configs/zoo.yaml").write_text(f"store: {{url: {shared}}}\n")
    build(project, "", toolchain_ran=True)  # empty: none at all
    assert not Path(shared).exists()
    shutil.rmtree(project.root / "build")
    build(project, None, toolchain_ran=True)
    assert Path(shared).is_dir()
    shutil.rmtree(project.root / "build")
    build(project, str(tmp_path / "other"), toolchain_ran=True)


def test_a_build_that_finds_everything_here_does_not_ask_the_shared_store(
    project: Project, shared: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    build(project, shared, toolchain_ran=True)
    monkeypatch.setattr(RemoteFiles, "opened", property(lambda self: pytest.fail("asked")))
    build(project, shared, toolchain_ran=False)


def test_a_damaged_shared_entry_is_made_again_and_put_right(project: Project, shared: str) -> None:
    build(project, shared, toolchain_ran=True)
    for path in Path(shared).rglob("model.bmodel"):
        path.chmod(0o644)
        path.write_bytes(path.read_bytes()[:-1] + b"?")
    shutil.rmtree(project.root / "build")
    (warning,) = build(project, shared, toolchain_ran=True).warnings
    assert "is damaged: model.bmodel: sha256" in warning and set(project.toolchain.ran) >= {"model_deploy.py"}
    assert "model_transform.py" not in project.toolchain.ran
    shutil.rmtree(project.root / "build")
    assert build(project, shared, toolchain_ran=False).warnings == []


def test_a_build_goes_on_without_a_store_that_is_away_and_says_so_once(project: Project) -> None:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{one.getsockname()[1]}/zoo"
    pytest.importorskip("aiohttp")
    (warning,) = build(project, url, toolchain_ran=True).warnings
    assert warning.startswith(f"store {url}: cannot be reached")


@pytest.mark.parametrize("change", ["deleted", "modified", "truncated"])
def test_a_result_changed_behind_our_back_is_made_again(change: str, project: Project) -> None:
    build(project, None, toolchain_ran=True)
    first = digest(project)
    for path in (project.root / "build/store").rglob("model.bmodel"):
        path.chmod(0o644)
        content = path.read_bytes()
        path.unlink()
        if change != "deleted":
            path.write_bytes(content[::-1] if change == "modified" else content[:9])
    build(project, None, toolchain_ran=True)
    assert digest(project) == first


def test_a_result_removed_during_the_run_is_made_again(project: Project) -> None:
    at = project.open()
    build_artifact(at, at.target(TARGET))
    shutil.rmtree(project.root / "build/store")
    project.toolchain.ran.clear()
    build_artifact(at, at.target(TARGET))
    assert "model_deploy.py" in project.toolchain.ran


# --- settings ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    ["/mnt/zoo", "file:///mnt/zoo", "s3://bucket", "s3://bucket/a/b", "https://example.org/zoo", "memory://zoo"],
)
def test_places_to_share_in(url: str) -> None:
    assert zoo_settings.store_url(zoo_settings.ZooConfig(), {"BMZOO_STORE": url}) == url


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("zoo/store", "neither an absolute path nor a file, s3, http or https URL: zoo/store"),
        ("ftp://example.org/zoo", "neither an absolute path nor"),
        ("s3://", "neither an absolute path nor"),
        ("file://host/zoo", "neither an absolute path nor"),
        ("simplecache::s3://bucket", "neither an absolute path nor"),
        ("https://me:secret@example.org", "credentials do not belong in a URL: https://...@example.org"),
        ("http://[::1/zoo", ""),
    ],
)
def test_places_that_are_none_are_refused(url: str, problem: str, project: Project) -> None:
    with pytest.raises(ConfigError) as caught:
        zoo_settings.store_url(zoo_settings.ZooConfig(), {"BMZOO_STORE": url})
    assert caught.value.message.startswith(f"$BMZOO_STORE: {problem}") and "secret" not in caught.value.render()
    (project.root / "configs/zoo.yaml").write_text(f"store: {{url: '{url}'}}\n")
    with pytest.raises(ConfigError) as caught:
        project.open().configs.settings  # noqa: B018  # read when first asked for
    assert caught.value.message.startswith(f"configs/zoo.yaml:1:9: store.url: {problem}")


@pytest.mark.parametrize(
    ("text", "size"), [("500MB", 500e6), ("20GB", 20e9), ("1.5 TB", 1.5e12), ("1GiB", 2**30), ("0kB", 0)]
)
def test_sizes_are_read(text: str, size: float, project: Project) -> None:
    (project.root / "configs/zoo.yaml").write_text(f"store: {{limit: {text}}}\n")
    assert project.open().configs.settings.store.limit == size


@pytest.mark.parametrize("text", ["20", "20 gigs", "-1GB", "GB", "1e3GB", "yes", "[1GB]", "20Gb"])
def test_sizes_that_are_none_are_explained(text: str, project: Project) -> None:
    (project.root / "configs/zoo.yaml").write_text(f"store: {{limit: {text}}}\n")
    with pytest.raises(ConfigError, match="configs/zoo.yaml:1:9: store.limit: not a size such as 500MB or 20GB: "):
        project.open().configs.settings  # noqa: B018


def test_a_misspelt_key_is_explained(project: Project) -> None:
    (project.root / "configs/zoo.yaml").write_text("store: {size: 20GB}\n")
    with pytest.raises(ConfigError, match="configs/zoo.yaml:1:9: store: unknown key: size") as caught:
        project.open().configs.settings  # noqa: B018
    assert "allowed: url, limit" in caught.value.hint


# --- the tasks -----------------------------------------------------------------------------------------------


def doit(project: Project, *words: str, store: str = "") -> tuple[int, str]:
    """Exit status and stderr of `doit WORDS...` in the project."""
    for name in ("dodo.py", "doit.cfg"):
        shutil.copy(REPOSITORY / name, project.root / name)
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(REPOSITORY), "BMZOO_DATA": str(project.data)}
    env |= {"PYTHONDONTWRITEBYTECODE": "1"} | ({"BMZOO_STORE": store} if store else {})
    argv = [sys.executable, "-m", "doit", *words]
    done = subprocess.run(argv, cwd=project.root, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert "Traceback" not in done.stdout + done.stderr
    return done.returncode, done.stderr


def test_fsck_names_what_is_damaged_and_the_next_build_makes_it_again(project: Project, shared: str) -> None:
    build(project, shared, toolchain_ran=True)
    for root in (str(project.root / "build/store"), shared):
        path = next(Path(root).rglob("model.bmodel"))
        path.chmod(0o644)
        path.write_bytes(path.read_bytes()[::-1])
    status, said = doit(project, "fsck")
    key = path.parent.name
    assert status == 1 and "entries are damaged" in said and f"{key[:16]}: model.bmodel: sha256" in said
    assert (project.root / f"build/quarantine/{key}-1").is_dir()
    status, said = doit(project, "fsck", "--remote", store=shared)
    assert status == 1 and f"now {shared}/quarantine/{key}-" in said
    build(project, shared, toolchain_ran=True)
    status, said = doit(project, "fsck", "--remote", store=shared)
    assert status == 0 and said.startswith(f"fsck: {shared}: ") and "all as they were made" in said
    status, said = doit(project, "fsck", "--remote")
    assert status == 1 and "there is no shared store" in said and "$BMZOO_STORE" in said


def test_gc_keeps_to_the_limit_and_spares_what_the_configs_use(project: Project) -> None:
    build(project, None, toolchain_ran=True)
    project.edit("minimum: 2}", "minimum: 2, method: mse}")
    build(project, None, toolchain_ran=True)
    status, said = doit(project, "gc")
    assert status == 0 and "0 entries removed" in said and "no limit set" in said and "limit: 20GB" in said
    manifests = list((project.root / "build/store").rglob(MANIFEST))
    for path in manifests:
        os.utime(path, (10**9, 10**9))
    (project.root / "configs/zoo.yaml").write_text("store: {limit: 1kB}\n")
    status, said = doit(project, "gc", "--dry-run")
    assert status == 0 and said.startswith("gc --dry-run: ")
    assert all(path.exists() for path in manifests)
    at = Workspace(project.root, {"BMZOO_DATA": str(project.data)}, Silent(), toolchain_override=project.toolchain)
    from bmzoo.store.local import Store
    from bmzoo.tasks.actions.store import _needed, run_gc

    needed = _needed(at, Store(at.layout.build, stamping=False))
    kept = {json.loads(path.read_text())["fingerprint"] for path in manifests} & needed
    assert 0 < len(kept) < len(manifests)
    total = sum(p.stat().st_size for m in manifests if m.parent.name in kept for p in m.parent.iterdir())
    (project.root / "configs/zoo.yaml").write_text(f"store: {{limit: {total / 1000:.3f}kB}}\n")
    at = Workspace(project.root, {"BMZOO_DATA": str(project.data)}, Silent(), toolchain_override=project.toolchain)
    run_gc(at, dry_run=False)  # with the toolchain of the test
    left = {path.parent.name for path in (project.root / "build/store").rglob(MANIFEST)}
    assert left == kept
    build(project, None, toolchain_ran=False)
