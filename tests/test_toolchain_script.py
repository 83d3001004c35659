"""tools/toolchain.py, with a pip that only pretends: what is taken for whole, what a kill leaves, what is said."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from bootstrap_module import bootstrap, load

toolchain = load("toolchain")

VERSIONS = "1.6, 1.9, 1.21, 1.21.1, 1.28.1, 1.30.2, 1.31rc1"
METADATA = (
    "Requires-Dist: numpy==1.24.3\nRequires-Dist: onnx==9.9.9; extra == 'onnx'\nRequires-Dist: pandas==2.0.3\n"
)
LAID_OUT = ("bin/model_tool", "bin/tpuc-opt", "python/tools/model_transform.py", "python/tools/model_deploy.py")
Make = Callable[[Path, int, str], Callable[[list[str]], None]]


class Pip:
    """Unpacks a small wheel. `kept`: files of it. `fails`: the step at which it is killed, by number."""

    def __init__(self) -> None:
        self.calls: list[list[str]] = []
        self.kept: tuple[str, ...] = (*LAID_OUT, "lib/third_party/libc.so.6")
        self.fails = 0
        self.digest: dict[str, str] = {"sha256": "ab" * 32}

    def make(self, log: Path, lock: int, what: str) -> Callable[[list[str]], None]:
        def run(argv: list[str]) -> None:
            self.calls.append(argv)
            if "pip" in argv:
                self._unpack(Path(argv[argv.index("--target") + 1]), argv[-1].partition("==")[2])
            if len(self.calls) == self.fails:
                raise KeyboardInterrupt

        return run

    def _unpack(self, part: Path, version: str) -> None:
        for name in self.kept:
            (part / "tpu_mlir" / name).parent.mkdir(parents=True, exist_ok=True)
            (part / "tpu_mlir" / name).write_text(version)
        (part / f"tpu_mlir-{version}.dist-info").mkdir()
        (part / f"tpu_mlir-{version}.dist-info/METADATA").write_text(METADATA)
        told = {"url": f"https://index/{version}.whl", "archive_info": {"hashes": self.digest}}
        wheel = {"metadata": {"version": version}, "download_info": told}
        (part / "report.json").write_text(json.dumps({"install": [wheel]}))


@pytest.fixture
def pip() -> Pip:
    return Pip()


def names(root: Path) -> set[str]:
    return {path.name for path in (root / "build/toolchains").iterdir()}


def test_a_version_is_unpacked_once_with_its_glibc_aside_and_says_where_it_is_from(
    tmp_path: Path, pip: Pip
) -> None:
    toolchain.install("1.28.1", tmp_path, pip.make)
    folder = tmp_path / "build/toolchains/1.28.1"
    told = json.loads((folder / "bmzoo.json").read_text())
    assert told == {
        "version": "1.28.1",
        "url": "https://index/1.28.1.whl",
        "sha256": "ab" * 32,
        "libraries": ["onnx 9.9.9, here 1.14.1"],
    }
    assert (folder / "tpu_mlir/lib/host_glibc_unused/libc.so.6").is_file()
    assert names(tmp_path) == {"1.28.1", ".lock"} and not (folder / "report.json").exists()
    assert pip.calls[0][-1] == "tpu_mlir==1.28.1" and {"--no-deps", "--only-binary=:all:"} <= set(pip.calls[0])
    before = len(pip.calls)
    toolchain.install("1.28.1", tmp_path, pip.make)
    assert len(pip.calls) == before


@pytest.mark.parametrize("step", [1, 2])
def test_what_a_kill_leaves_is_not_taken_for_whole(tmp_path: Path, pip: Pip, step: int) -> None:
    pip.fails = step
    with pytest.raises(KeyboardInterrupt):
        toolchain.install("1.28.1", tmp_path, pip.make)
    assert names(tmp_path) == {"1.28.1.part", ".lock"}
    (tmp_path / "build/toolchains/1.28.1.part/left").touch()
    pip.fails = 0
    toolchain.install("1.28.1", tmp_path, pip.make)
    assert names(tmp_path) == {"1.28.1", ".lock"}
    assert not (tmp_path / "build/toolchains/1.28.1/left").exists()


def test_a_wheel_without_a_digest_or_laid_out_otherwise_is_refused(tmp_path: Path, pip: Pip) -> None:
    pip.digest = {}
    with pytest.raises(bootstrap.BootstrapError, match="gives no sha256 for TPU-MLIR 1.28.1: https://index"):
        toolchain.install("1.28.1", tmp_path, pip.make)
    pip.digest, pip.kept = {"sha256": "ab" * 32}, LAID_OUT[:-1]
    with pytest.raises(bootstrap.BootstrapError, match=r"tpu_mlir/python/tools/model_deploy\.py is missing"):
        toolchain.install("1.28.1", tmp_path, pip.make)
    assert names(tmp_path) == {".lock"}


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (
            f"(from versions: {VERSIONS})",
            "has no TPU-MLIR 1.29\nhint: near it there are: 1.9, 1.21, 1.21.1, 1.28.1, 1.30.2",
        ),
        ("(from versions: none)", "hint: no answer from the package index"),
        ("OSError: [Errno 28] No space left on device", "hint: free some disk"),
    ],
)
def test_what_goes_wrong_with_pip_is_explained(tmp_path: Path, said: str, told: str) -> None:
    def make(log: Path, lock: int, what: str) -> Callable[[list[str]], None]:
        run = bootstrap.logged_runner(log, lock, {}, what)
        return lambda argv: run(["/bin/sh", "-c", f"echo 'ERROR: {said}'; exit 1"])

    with pytest.raises(bootstrap.BootstrapError) as caught:
        toolchain.install("1.29", tmp_path, make)
    assert told in str(caught.value)
    assert names(tmp_path) == {".lock", "1.29.log"}


@pytest.mark.parametrize("word", ["v1.28.1", "1", "-r evil", "../x", "1.28.1 --pre"])
def test_what_is_no_version_reaches_no_pip(word: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert toolchain.main(["--", word]) == 1
    assert f"not a version: {word}\nhint: " in capsys.readouterr().err


def test_another_python_is_refused(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 11, 2))
    assert toolchain.main(["1.28.1"]) == 1
    assert "TPU-MLIR needs Python 3.10, and this is 3.11" in capsys.readouterr().err
