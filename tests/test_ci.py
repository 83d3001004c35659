"""The CI recipe: the workflow can be read, and the script does what it says. A recorder stands in for `./doit`."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from bmzoo.tasks.development import LINT

ROOT = Path(__file__).parents[1]
RECORDER = """\
#!/bin/sh
echo "$*" >> calls
mkdir -p build/store
echo made > build/store/entry
case " $* " in
*" zoo "*) [ -n "$NO_MANIFEST" ] || echo '{}' > build/zoo.json; exit "${ZOO_STATUS:-0}" ;;
*) exit "${DIFF_STATUS:-0}" ;;
esac
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    folder = tmp_path / "checkout with a space"
    (folder / "tools").mkdir(parents=True)
    shutil.copy(ROOT / "tools" / "zoo.sh", folder / "tools" / "zoo.sh")
    (folder / "doit").write_text(RECORDER)
    (folder / "doit").chmod(0o755)
    return folder


def run(checkout: Path, **env: str) -> tuple[int, list[str], str]:
    """Exit status, calls of ./doit, stderr."""
    (checkout / "calls").unlink(missing_ok=True)
    done = subprocess.run(
        [checkout / "tools" / "zoo.sh"],
        env={"PATH": os.environ["PATH"], **env},
        capture_output=True,
        text=True,
        check=False,
    )
    calls = checkout / "calls"
    return done.returncode, calls.read_text().splitlines() if calls.exists() else [], done.stderr


def test_the_zoo_is_built_and_compared(checkout: Path) -> None:
    assert run(checkout, ZOO_BASELINE="https://example.org/zoo.json", ZOO_JOBS="4") == (
        0,
        ["-n 4 zoo", "diff https://example.org/zoo.json build/zoo.json"],
        "",
    )


def test_without_a_baseline_nothing_is_compared_and_that_is_said(checkout: Path) -> None:
    status, calls, err = run(checkout)
    assert (status, calls) == (0, ["-n 2 zoo"]) and "nothing is compared" in err


@pytest.mark.parametrize(
    ("zoo", "diff", "status"), [("0", "1", 1), ("2", "0", 2), ("2", "1", 2), ("0", "0", 0), ("3", "3", 3)]
)
def test_either_failure_is_the_exit_status_and_both_are_run(
    checkout: Path, zoo: str, diff: str, status: int
) -> None:
    env = {"ZOO_BASELINE": "old.json", "ZOO_STATUS": zoo, "DIFF_STATUS": diff, "ZOO_ALLOW_REMOVED": "yes"}
    assert run(checkout, **env)[:2] == (status, ["-n 2 zoo", "diff --allow-removed old.json build/zoo.json"])


def test_a_zoo_that_left_no_manifest_is_not_compared(checkout: Path) -> None:
    assert run(checkout, ZOO_BASELINE="old.json", ZOO_STATUS="3", NO_MANIFEST="1")[:2] == (3, ["-n 2 zoo"])


def test_the_store_outlives_the_checkout(checkout: Path, tmp_path: Path) -> None:
    cache = str(tmp_path / "cache folder")
    assert run(checkout, ZOO_CACHE=cache)[0] == 0
    assert [p.name for p in Path(cache).iterdir()] == ["store.tar"]
    shutil.rmtree(checkout / "build")
    (checkout / "doit").write_text("#!/bin/sh\ncat build/store/entry > calls\n")
    assert run(checkout, ZOO_CACHE=cache)[1] == ["made"]


def test_a_damaged_cache_costs_time_only(checkout: Path, tmp_path: Path) -> None:
    (tmp_path / "store.tar").write_text("no archive")
    status, calls, err = run(checkout, ZOO_CACHE=str(tmp_path))
    assert (status, calls) == (0, ["-n 2 zoo"]) and "going on without" in err


def test_a_wrong_number_of_jobs_is_refused(checkout: Path) -> None:
    status, calls, err = run(checkout, ZOO_JOBS="two")
    assert (status, calls) == (2, []) and "ZOO_JOBS: not a number: two" in err


@pytest.mark.parametrize("name", ["zoo.sh", "alone.sh"])
def test_the_script_is_plain_shell(name: str) -> None:
    for shell in ("sh", "bash"):
        if shutil.which(shell):
            subprocess.run([shell, "-n", ROOT / "tools" / name], check=True)
    assert os.access(ROOT / "tools" / name, os.X_OK)


def test_the_workflow_runs_the_script_and_pins_what_it_uses() -> None:
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "zoo.yml").read_text())
    jobs = {name: job["steps"] for name, job in workflow["jobs"].items()}
    for name, steps in jobs.items():
        assert any(f"tools/{name}.sh" in step.get("run", "") for step in steps)
    steps = [step for found in jobs.values() for step in found]
    assert all("@v" in step["uses"] for step in steps if "uses" in step)
    assert all(("uses" in step) != ("run" in step) for step in steps)
    assert workflow["permissions"] == {"contents": "read"}
    # What others can write (branch names, titles) must not become part of a command.
    assert not [step["run"] for step in steps if "${{" in step.get("run", "")]


def test_a_commit_is_checked_as_lint_checks_it_and_with_nothing_from_elsewhere() -> None:
    repositories = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    assert [repository["repo"] for repository in repositories] == ["local"]
    entries = [hook["entry"].split() for repository in repositories for hook in repository["hooks"]]
    assert [entry[:2] for entry in entries] == [[".venv/bin/python", "-m"]] * len(LINT)
    told = [tuple(word for word in entry[2:] if word != "--force-exclude") for entry in entries]
    assert told == [tuple(word for word in command if word != ".") for command in LINT]
