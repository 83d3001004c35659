import importlib.metadata
import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest
from conftest import Project

from bmzoo.errors import BmzooError
from bmzoo.plan.step import Command, Step, Subject
from bmzoo.store.remote import Remote
from bmzoo.store.trial import Health
from bmzoo.tasks.actions import doctor
from bmzoo.tasks.actions.doctor import Finding, examine
from bmzoo.workspace import Workspace

# The fake compiler cannot do what the real self-test asks for; this only needs bmzoo's own command.
SELFTEST = Step("selftest", Subject(detail="fake"), (Command("golden", ("write",)),), (), ("model.onnx",))


@pytest.fixture
def healthy(project: Project, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A checkout with a lock that holds, an installation of TPU-MLIR, and enough disk and memory."""
    monkeypatch.setattr(doctor, "selftest_step", lambda: SELFTEST)
    monkeypatch.setattr(doctor, "DISK_NEEDED", 1)
    monkeypatch.setattr(doctor, "MEMORY_NEEDED", 1)
    lock = (f"{name}=={importlib.metadata.version(name)}\n" for name in ("numpy", "doit"))
    (project.root / "requirements.lock").write_text(f"# made by a tool\n{''.join(lock)}")
    vendor = project.root.parent / "vendor"
    vendor.mkdir()
    (vendor / "bin").mkdir()
    (vendor / "bin" / "model_tool").write_bytes(b"\0v1.30.2-20260831\0")
    return project


def findings(project: Project, environ: Mapping[str, str] | None = None) -> list[Finding]:
    """What the doctor finds; a bad finding must always come with its fix."""
    at = project.open()
    at.environ = {**at.environ, "TPUC_ROOT": str(project.root.parent / "vendor"), **(environ or {})}
    found = list(examine(at))
    assert [f for f in found if f.bad and not f.fix] == []
    return found


def problems(project: Project, environ: Mapping[str, str] | None = None) -> dict[str, Finding]:
    return {f.what: f for f in findings(project, environ) if f.bad}


def test_a_finding_is_a_line_and_its_fix_another() -> None:
    assert str(Finding("disk", "9.9 GiB free")) == "ok       disk          9.9 GiB free"
    lines = str(Finding("disk", "none free", True, "delete something")).splitlines()
    assert lines == ["PROBLEM  disk          none free", " " * 23 + "hint: delete something"]
    assert str(Finding("glibc", "odd", fix="nothing to do")).startswith("note     glibc         odd\n")


def test_nothing_is_wrong_with_a_healthy_checkout(healthy: Project) -> None:
    found = findings(healthy)
    assert [f for f in found if f.bad] == []
    states = {f.what: f.state for f in found}
    assert states["packages"] == "2, all as locked" and "1.30.2" in states["toolchain"]
    assert states["config"] == "tiny: 8 targets" and states["weights"].startswith("tiny: given, ")
    assert states["self-test"].startswith("passed in ")
    assert "passed before" in {f.what: f.state for f in findings(healthy)}["self-test"]
    assert sorted(f.state.split(":")[1] for f in found if f.what == "pictures") == [" calibration", " verify"]


@pytest.mark.parametrize("name", ["store", "scratch", "cache", "logs", "BM1684"])
def test_a_folder_that_cannot_be_written_is_found_though_the_self_test_has_passed_before(
    name: str, healthy: Project
) -> None:
    findings(healthy)
    folder = healthy.root / "build" / name
    if folder.exists():
        folder.rename(folder.with_name("elsewhere"))
    folder.symlink_to("/proc/self/fdinfo")  # a folder that nobody can write to
    problem = problems(healthy)["folders"]
    assert f"cannot be written: build/{name}: " in problem.state and "who owns them" in problem.fix


def test_missing_weights_are_named_with_the_places_looked_at(healthy: Project) -> None:
    (healthy.data / "model.onnx").unlink()
    (problem,) = problems(healthy).values()
    assert problem.what == "weights" and "given (model.onnx)" in problem.state
    assert str(healthy.data) in problem.fix and "$BMZOO_DATA" in problem.fix


@pytest.mark.parametrize("name", ["calibration", "selection"])
def test_missing_pictures_are_named(name: str, healthy: Project) -> None:
    shutil.rmtree(healthy.data / "pictures" / name)
    (problem,) = problems(healthy).values()
    assert problem.what == "pictures" and f"pictures/{name}: no such folder" in problem.state
    (healthy.data / "pictures" / name).mkdir()
    assert "no pictures in this folder" in problems(healthy)["pictures"].state


def test_the_shared_store_is_told_and_stops_nothing(healthy: Project, tmp_path: Path) -> None:
    def store(url: Path | str) -> Finding:
        return next(f for f in findings(healthy, {"BMZOO_STORE": str(url)}) if f.what == "shared store")

    assert store("").state == "none named, so results are not shared"
    shared = tmp_path / "shared"
    assert store(shared).state == f"{shared}: readable and writable"
    assert list(shared.iterdir()) == []  # the trial leaves nothing
    gone = store(tmp_path / "no mount" / "shared")
    assert not gone.bad and "No such file or directory" in gone.state and "builds go on without it" in gone.fix
    assert store("nonsense://x").bad


HEALTH = {
    "readable and writable": Health(),
    "/shared: cannot be reached": Health("cannot be reached", "cannot be reached"),
    "readable; not writable: access denied": Health(writing="access denied"),
    "2 folders of other users closed: ab, cd/0123": Health(closed=("ab", "cd/0123")),
}


@pytest.mark.parametrize("state", HEALTH)
def test_what_a_trial_of_the_shared_store_found_is_told(
    state: str, healthy: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Remote, "trial", lambda remote, folder: HEALTH[state])
    found = next(f for f in findings(healthy, {"BMZOO_STORE": "/shared"}) if f.what == "shared store")
    assert state in found.state and not found.bad and bool(found.fix) == ("and writable" not in state)


def test_a_package_that_is_not_as_locked_is_named(healthy: Project) -> None:
    lock = healthy.root / "requirements.lock"
    lock.write_text(lock.read_text().replace("doit==", "doit==9.") + "no-such-package==1.0\n")
    (problem,) = problems(healthy).values()
    assert f"doit {importlib.metadata.version('doit')}, not 9." in problem.state
    assert "no-such-package missing, not 1.0" in problem.state and "numpy" not in problem.state
    lock.unlink()
    assert "requirements.lock cannot be read" in problems(healthy)["packages"].state


def test_without_a_compiler_there_is_no_self_test(healthy: Project) -> None:
    found = findings(healthy, {"TPUC_ROOT": "/no/such/folder"})
    assert [f.what for f in found if f.bad] == ["toolchain"]
    assert "self-test" not in [f.what for f in found]


def test_an_installation_with_a_foreign_libc_is_noticed(healthy: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = healthy.root.parent / "vendor" / "lib" / "third_party"
    folder.mkdir(parents=True)
    (folder / "libc.so.6").touch()
    monkeypatch.setattr("os.confstr", lambda name: "glibc 2.99")
    problem = problems(healthy)["glibc"]
    assert "2.99" in problem.state and f"libc.so.6 out of {folder}" in problem.fix
    monkeypatch.setattr("os.confstr", lambda name: "glibc 2.35")
    assert problems(healthy) == {}


def test_too_little_disk_or_memory_is_a_problem(healthy: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "DISK_NEEDED", 1 << 80)
    monkeypatch.setattr(doctor, "MEMORY_NEEDED", 1 << 80)
    assert list(problems(healthy)) == ["disk", "memory"]


def test_a_broken_config_is_a_problem_of_its_own(healthy: Project) -> None:
    (healthy.root / "configs/other.yaml").write_text("weights: [")
    found = findings(healthy)
    assert [f.state.partition(":")[0] for f in found if f.what == "config"] == ["other", "tiny"]
    assert "configs/other.yaml" in next(f for f in found if f.bad).state


def test_a_compiler_that_computes_nonsense_is_a_problem(healthy: Project) -> None:
    healthy.toolchain.version = "broken"

    def fail(command: Command, folder: Path) -> None:
        raise BmzooError("golden: int8.npz is off by 40%", "another version of TPU-MLIR")

    healthy.toolchain.before = fail
    (problem,) = problems(healthy).values()
    assert problem.what == "self-test" and "off by 40%" in problem.state


def test_the_screen_of_the_task_ends_in_failure_when_something_is_wrong(
    healthy: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    from bmzoo.tasks import inspection
    from bmzoo.tasks.row import Context

    (healthy.data / "model.onnx").unlink()
    at: Workspace = healthy.open()
    at.environ = {**at.environ, "TPUC_ROOT": str(healthy.root.parent / "vendor")}
    task = inspection.doctor(Context(at, ()))
    assert "a build could not work here" in task["actions"][0]().message
    assert "PROBLEM  weights" in capsys.readouterr().out
