"""Archives of real artifacts: attested, unpacked, and checked on the chip simulator by their own check.py."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from conftest import Project, Silent
from exports import changed, unpack

from bmzoo.execute.toolchain import LocalToolchain, find_installation
from bmzoo.export.attest import attested
from bmzoo.export.export import export_target
from bmzoo.results.artifact import build_artifact
from bmzoo.results.verify import verify_target
from bmzoo.runtime.engines.simulate import write_arrays
from bmzoo.system.hashing import Digests
from bmzoo.workspace import Workspace

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def boards_python() -> str:
    """A Python 3.8, which boards have."""
    beside = Path(sys.base_prefix).parent  # of this Python, where pyenv keeps all: its shims refuse unless selected
    found = [*map(str, sorted(beside.glob("3.8.*/bin/python3.8"))), shutil.which("python3.8")]
    for python in filter(None, found):
        if subprocess.run([python, "-c", ""], check=False, capture_output=True).returncode == 0:
            return python
    pytest.skip("no Python 3.8 on this machine")


@pytest.fixture
def archive_of(project: Project) -> Callable[[str], Path]:
    """The archive of a target of the small model, really compiled."""
    project.edit("selection}}", "selection, count: 3}}")
    project.edit("precision: [fp32, int8]", "precision: [fp32, fp16, int8]")
    project.edit("chip: [bm1684, bm1688]", "chip: bm1688")

    def make(name: str) -> Path:
        installation = find_installation({})
        assert installation is not None, "start the tests with ./doit test"
        real = LocalToolchain(installation, Digests(ROOT / "build/cache/digests.json"))
        at = Workspace(project.root, {"BMZOO_DATA": str(project.data)}, Silent(), toolchain_override=real)
        target = at.target(name)
        build_artifact(at, target)
        verify_target(at, target)
        export_target(at, target)
        return at.layout.export(target)

    return make


def check(folder: Path, python: str = sys.executable, **env: str) -> tuple[int, str]:
    """Exit code and output of an archive's own check.py on the simulator; nothing of this checkout is seen."""
    argv = [python, "-I", str(folder / "check.py"), "--sail", "bmzoo.sail"]
    done = subprocess.run(
        argv, cwd="/", env={**os.environ, **env}, capture_output=True, text=True, check=False, timeout=300
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.toolchain
@pytest.mark.parametrize("name", ["bm1688_int8_2b", "bm1688_fp16_1b"])
def test_an_archive_checks_itself_on_the_simulator(
    archive_of: Callable[[str], Path], tmp_path: Path, name: str
) -> None:
    archive = archive_of(name)
    assert str(attested(archive, "x.tar", None)).startswith(f"tiny {name}: all ")
    code, said = check(unpack(archive, tmp_path / "board"))
    assert code == 0, said
    assert "board:    none, BM1688 is simulated\n" in said
    assert "same outputs as simulated: 1 outputs of 2 pictures, equal to the last bit, " in said


@pytest.mark.toolchain
def test_a_board_that_gives_something_else_is_found_out(archive_of: Callable[[str], Path], tmp_path: Path) -> None:
    """As a board would that gives other values: those that are expected are changed, one by its last digit."""

    def other(members: dict[str, bytes]) -> None:
        path = tmp_path / "outputs.npz"
        path.write_bytes(members["outputs.npz"])
        with np.load(path) as found:
            values = {name: found[name] for name in found.files}
        (name,) = values
        values[name][1, 2, 3, 4] = np.nextafter(values[name][1, 2, 3, 4], np.float32(np.inf))
        write_arrays(path, values)
        members["outputs.npz"] = path.read_bytes()

    archive = changed(archive_of("bm1688_int8_2b"), other, again=True)
    code, said = check(unpack(archive, tmp_path / "board"))
    assert code == 1, said
    assert (
        "other outputs than simulated: y_Conv_f32: 1 of 8192 values differ; " in said
        and " at [1, 2, 3, 4]," in said
    )


@pytest.mark.toolchain
@pytest.mark.bootstrap
def test_the_boards_python_checks_an_archive_with_numpy_alone(
    archive_of: Callable[[str], Path], boards_python: str, tmp_path: Path, tpuc_root: Path
) -> None:
    """Python 3.8 in an empty environment, its wheel installed; the simulator is for another Python."""
    folder = unpack(archive_of("bm1688_int8_2b"), tmp_path / "board")
    (wheel,) = folder.glob("*.whl")
    subprocess.run([boards_python, "-m", "venv", tmp_path / "venv"], check=True, timeout=120)
    python = str(tmp_path / "venv/bin/python")
    subprocess.run([python, "-m", "pip", "install", "--quiet", wheel], check=True, timeout=600, cwd=tmp_path)
    code, said = check(folder, python, TPUC_ROOT=str(tpuc_root), BMZOO_SAIL_PYTHON=sys.executable)
    assert code == 0, said
    assert "same outputs as simulated" in said
