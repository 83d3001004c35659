import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fake_package import INFO, DoublingNet, make_package, script
from numpy.typing import NDArray

from bmzoo.errors import SessionError
from bmzoo.measure.tensors import cosine
from bmzoo.runtime.engines.bmodel import parse_info
from bmzoo.runtime.engines.overlay import overlay
from bmzoo.runtime.engines.session import OnnxSession, Session
from bmzoo.runtime.engines.simulate import forward, from_engine, rounds, to_engine, write_arrays
from bmzoo.runtime.engines.simulator import SimulatorSession
from bmzoo.runtime.engines.tensor_info import TensorInfo


@pytest.fixture(autouse=True)
def no_compiler() -> None:
    """In place of the guard for all tests: the package here is a fake, its workers are scripts of this file."""


@pytest.fixture(autouse=True)
def temporary_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a session leaves behind after a failure stays within the test."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


@pytest.fixture
def package(tmp_path: Path) -> Path:
    return make_package(tmp_path / "tpu_mlir")


@pytest.fixture
def bmodel(tmp_path: Path) -> Path:
    path = tmp_path / "m.bmodel"
    path.touch()
    return path


FEEDS = {"x, y": np.zeros((1, 3, 8, 8), np.float32)}


def test_overlay_points_at_the_chip_and_leaves_the_package_alone(package: Path, tmp_path: Path) -> None:
    before = sorted(path.relative_to(package) for path in package.rglob("*"))
    folder = tmp_path / "overlay"
    env = overlay(package, "bm1688", folder)
    assert (folder / "lib/libcmodel.so").resolve() == package / "lib/libcmodel_bm1688.so"
    assert (folder / "lib/libbmlib.so.0").resolve().name == "libbmlib_bm1684x.so.0"
    assert (folder / "lib/libcmodel_custom.so").resolve().name == "libcmodel_custom_1688.so"
    assert [path.name for path in (folder / "lib/third_party").iterdir()] == ["libomp.so.5"]
    assert (folder / "bin/model_tool").is_file()
    assert env["TPUC_ROOT"] == str(folder)
    assert env["LD_LIBRARY_PATH"].split(os.pathsep)[0] == str(folder / "lib")
    assert sorted(path.relative_to(package) for path in package.rglob("*")) == before


def test_overlay_finds_the_simulator_under_the_name_of_releases_up_to_1_24(package: Path, tmp_path: Path) -> None:
    (package / "lib/libcmodel_bm1688.so").rename(package / "lib/libcmodel_1688.so")
    (package / "lib/libbmlib_bm1684x.so.0").unlink()
    overlay(package, "bm1688", tmp_path / "overlay")
    assert (tmp_path / "overlay/lib/libcmodel.so").resolve() == package / "lib/libcmodel_1688.so"
    assert (tmp_path / "overlay/lib/libbmlib.so.0").resolve() == package / "lib/libbmlib.so.0"
    (package / "lib/libcmodel_1688.so").unlink()
    with pytest.raises(SessionError, match=r"lib/libcmodel_bm1688\.so is missing"):
        overlay(package, "bm1688", tmp_path / "none")


def test_overlay_refuses_what_it_cannot_serve(package: Path, tmp_path: Path) -> None:
    with pytest.raises(SessionError, match="none that runs for this chip: sg2380"):
        overlay(package, "sg2380", tmp_path / "a")
    with pytest.raises(SessionError, match=r"lib/libcmodel_bm1684\.so is missing"):
        overlay(tmp_path, "bm1684", tmp_path / "b")


def test_parse_info_reads_the_first_stage() -> None:
    info = parse_info(INFO)
    assert (info.chip, info.cores) == ("bm1688", 2)
    assert info.inputs == (TensorInfo("x, y", (1, 3, 8, 8), "float32"),)
    assert info.outputs == (TensorInfo("y_Conv", (1, 4, 8, 8), "int8"), TensorInfo("z", (1,), "float32"))


@pytest.mark.parametrize("text", ["", "chip: BM1688\n", "[BMODEL] FATAL: File[x] is broken"])
def test_parse_info_refuses_other_text(text: str) -> None:
    with pytest.raises(SessionError, match="not a bmodel"):
        parse_info(text)


@pytest.mark.parametrize(
    ("dtype", "zero_point", "expected"),
    [
        ("i8", 0, [-128, -3, -1, 1, 1, 127]),
        ("si8", 1, [-128, -2, 0, 2, 2, 127]),
        ("u8", 0, [0, 0, 0, 1, 1, 200]),
    ],
)
def test_quantization_rounds_halves_away_from_zero(dtype: str, zero_point: int, expected: list[int]) -> None:
    values = np.array([-100, -1.25, -0.5, 0.25, 0.6, 100], np.float32)
    quantized = to_engine(values, dtype, 2.0, zero_point)
    assert quantized.tolist() == expected
    assert quantized.dtype == (np.uint8 if dtype == "u8" else np.int8)


def test_types_there_and_back() -> None:
    values = np.array([-2.5, 0, 1, 3], np.float32)
    for dtype in ("f32", "f16", "bf16"):
        there = to_engine(values, dtype, 1.0, 0)
        np.testing.assert_array_equal(from_engine(there, dtype, 1.0, 0), values)
    assert to_engine(np.array([1.00390625], np.float32), "bf16", 1.0, 0).tolist() == [0x3F80], "cut, not rounded"
    assert from_engine(np.array([-3, 5], np.int8), "i8", 0.5, -3).tolist() == [0, 4]
    assert from_engine(np.array([7], np.int32), "i32", 1.0, 0).dtype == np.float32
    with pytest.raises(SessionError, match="not supported: i4"):
        to_engine(values, "i4", 1.0, 0)


@pytest.mark.parametrize(
    ("feeds", "message"),
    [
        ({"y": (2, 3)}, r"inputs do not match: \['y'\]; the model takes: \['x'\]"),
        ({"x": (3, 3)}, r"`x`: must be \[2, 3\] or a multiple of its batch: \[3, 3\]"),
        ({"x": (2, 4)}, r"\[2, 4\]"),
        ({"x": (0, 3)}, r"\[0, 3\]"),
        ({"x": ()}, r"\[\]"),
    ],
)
def test_feeds_must_be_whole_batches(feeds: dict[str, tuple[int, ...]], message: str) -> None:
    assert rounds({"x": (2, 3)}, {"x": np.zeros((6, 3))}) == 3
    with pytest.raises(SessionError, match=message):
        rounds({"x": (2, 3)}, {name: np.zeros(shape) for name, shape in feeds.items()})


def test_inputs_must_hold_as_many_batches() -> None:
    with pytest.raises(SessionError, match="different numbers"):
        rounds({"a": (1,), "b": (1,)}, {"a": np.zeros(2), "b": np.zeros(1)})


def test_forward_runs_batch_after_batch_and_keeps_the_order(tmp_path: Path) -> None:
    x = np.arange(18, dtype=np.float32).reshape(6, 3)
    outputs = forward(DoublingNet(), {"x": x})
    write_arrays(tmp_path / "out.npz", {**outputs, "/a/b": x})
    with np.load(tmp_path / "out.npz") as arrays:
        assert arrays.files == ["z", "file", "/a/b"]
        np.testing.assert_array_equal(arrays["z"], x)
        np.testing.assert_array_equal(arrays["file"], x * 2)


def test_missing_and_damaged_models(package: Path, bmodel: Path) -> None:
    with pytest.raises(SessionError, match="no such bmodel"):
        SimulatorSession(bmodel.with_name("none.bmodel"), package)
    script(package / "bin" / "model_tool", "echo 'FATAL: File is broken'; exit 255")
    with pytest.raises(SessionError, match=r"m\.bmodel: not a bmodel, or damaged: model_tool: exit code 255"):
        SimulatorSession(bmodel, package)
    script(package / "bin" / "model_tool", f"cat <<'END'\n{INFO}END\nkill -SEGV $$")
    with pytest.raises(SessionError, match="ended by SIGSEGV"):
        SimulatorSession(bmodel, package)


READY = "echo '{}'; read request; "  # what a worker says once its model is loaded


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("""echo '{"error": "the input is wrong"}'""", r"m\.bmodel: simulator: the input is wrong$"),
        (READY + """echo '{"error": "what was it"}'; sleep 60""", r"simulator: what was it$"),
        ("echo 'x.cpp:1: Assertion `ok` failed.' >&2; kill -ABRT $$", r"ended by SIGABRT; x\.cpp:1: Assertion"),
        (READY + "printf 'a\\n\\nb\\nc\\nd\\n' >&2; exit 7", "exit code 7; b; c; d$"),
        (READY + "exit 0", "exit code 0, but no result$"),
        ("sleep 60 & sleep 60", r"not done after 0\.2 s"),
        (READY + "sleep 60 & sleep 60", r"not done after 0\.2 s"),
    ],
)
def test_a_worker_that_fails(package: Path, bmodel: Path, tmp_path: Path, body: str, message: str) -> None:
    worker = script(tmp_path / "python", body)
    session = SimulatorSession(bmodel, package, python=str(worker), timeout=0.2, log=tmp_path / "run.log")
    started = time.monotonic()
    with pytest.raises(SessionError, match=message) as caught:
        session.run(FEEDS)
    assert time.monotonic() - started < 5
    assert caught.value.hint == ("" if "echo '{\"" in body else f"log: {tmp_path / 'run.log'}")
    session.close()


def test_the_log_outlives_a_failure_and_nothing_outlives_success(package: Path, bmodel: Path) -> None:
    fine = SimulatorSession(bmodel, package)
    fine.close()
    assert not fine.log.parent.exists()
    failing = SimulatorSession(bmodel, package, python="/bin/false")
    with pytest.raises(SessionError, match="exit code 1"):
        failing.run(FEEDS)
    failing.close()
    assert [path.name for path in failing.log.parent.iterdir()] == [failing.log.name]


def test_feeds_are_checked_before_anything_starts(package: Path, bmodel: Path) -> None:
    session = SimulatorSession(bmodel, package, python="/nonexistent", log=bmodel.with_suffix(".log"))
    with pytest.raises(SessionError, match=r"m\.bmodel: inputs do not match"):
        session.run({})
    with pytest.raises(SessionError, match="cannot start `/nonexistent`: No such file"):
        session.run(FEEDS)
    session.close()


def test_a_chip_without_a_simulator(package: Path, bmodel: Path) -> None:
    script(package / "bin" / "model_tool", f"cat <<'END'\n{INFO.replace('BM1688', 'SG2380')}END")
    with pytest.raises(SessionError, match=r"m\.bmodel: simulator: none that runs for this chip: sg2380") as caught:
        SimulatorSession(bmodel, package)
    assert caught.value.hint.startswith("there are for: bm1684, bm1684x, bm1688, cv186x, ")


def test_an_interrupt_ends_the_worker(package: Path, bmodel: Path, tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    worker = script(tmp_path / "python", f"echo '{{}}'; read request; echo $$ > {pid_file}; sleep 60")
    session = SimulatorSession(bmodel, package, python=str(worker), timeout=20, log=tmp_path / "run.log")

    def interrupt() -> None:
        deadline = time.monotonic() + 10
        while not (pid_file.exists() and pid_file.read_text().strip()):
            if time.monotonic() > deadline:
                return  # the worker never started: the test fails by itself, and the suite goes on
            time.sleep(0.01)
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    thread = threading.Thread(target=interrupt, daemon=True)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        session.run(FEEDS)
    thread.join()
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid_file.read_text()), 0)
    session.close()


def test_a_process_dies_with_its_parent() -> None:
    child = (
        "import os, sys, time; from bmzoo.runtime.engines.simulate import die_with; "
        "die_with(int(sys.argv[1])); os.close(1); time.sleep(60)"
    )
    parent = (
        "import os, subprocess, sys, time; "
        f"p = subprocess.Popen([sys.executable, '-c', {child!r}, str(os.getpid())], stdout=subprocess.PIPE); "
        "p.stdout.read(); os.write(1, str(p.pid).encode()); os.close(1); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", parent], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        pid = int(process.stdout.read())
        process.kill()
    deadline = time.monotonic() + 5
    while is_running(pid):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def ticks(pid: int) -> int:
    """Processor time used so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return int(fields[11]) + int(fields[12])


@pytest.mark.toolchain
class TestRealSimulator:
    @pytest.fixture(params=["bm1684_fp32", "bm1684x_fp16", "bm1688_fp32", "bm1688_int8"])
    def target(self, request: pytest.FixtureRequest) -> str:
        return str(request.param)

    def test_agrees_with_onnx(
        self, target: str, tiny_bmodels: dict[str, Path], tiny_onnx: Path, tpuc_root: Path
    ) -> None:
        x = np.random.RandomState(1).randn(2, 3, 32, 32).astype(np.float32)
        expected = OnnxSession(tiny_onnx, threads=1).run({"x": x})["y"]
        session: Session = SimulatorSession(tiny_bmodels[target], tpuc_root)
        (output,) = session.outputs
        assert session.inputs == (TensorInfo("x", (1, 3, 32, 32), "float32"),)
        results = session.run({"x": x})
        assert list(results) == [output.name]
        assert results[output.name].dtype == np.float32
        assert cosine(expected, results[output.name]) > (0.99 if target.endswith("int8") else 0.9999)
        single = session.run({"x": x[1:]})[output.name]
        np.testing.assert_array_equal(single, results[output.name][1:])
        session.close()

    def test_two_chips_at_once(self, tiny_bmodels: dict[str, Path], tpuc_root: Path) -> None:
        x = np.ones((1, 3, 32, 32), np.float32)
        alone: dict[str, NDArray[Any]] = {}
        together: dict[str, NDArray[Any]] = {}

        def work(target: str, results: dict[str, NDArray[Any]]) -> None:
            session = SimulatorSession(tiny_bmodels[target], tpuc_root)
            (results[target],) = session.run({"x": x}).values()
            session.close()

        targets = ("bm1684_fp32", "bm1684x_fp16", "bm1688_fp32")
        threads = [threading.Thread(target=work, args=(target, together)) for target in targets]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for target in targets:
            work(target, alone)
            np.testing.assert_array_equal(alone[target], together[target])

    @pytest.mark.parametrize("keep", [0, 60, 3000, -1000])
    def test_a_truncated_model_is_refused(
        self, keep: int, tiny_bmodels: dict[str, Path], tpuc_root: Path, tmp_path: Path
    ) -> None:
        damaged = tmp_path / "damaged.bmodel"
        damaged.write_bytes(tiny_bmodels["bm1684x_fp16"].read_bytes()[:keep])
        with pytest.raises(SessionError, match=r"damaged\.bmodel: not a bmodel, or damaged"):
            SimulatorSession(damaged, tpuc_root)

    @pytest.mark.parametrize("target", ["bm1684_fp32", "bm1688_int8"])
    def test_one_simulator_serves_all_runs_and_rests_between_them(
        self, target: str, tiny_bmodels: dict[str, Path], tpuc_root: Path, tmp_path: Path
    ) -> None:
        x = np.random.RandomState(1).randn(1, 3, 32, 32).astype(np.float32)
        session = SimulatorSession(tiny_bmodels[target], tpuc_root, log=tmp_path / "log")
        results = [next(iter(session.run({"x": x}).values())) for _ in range(3)]
        process = session._worker._process
        assert process is not None and (tmp_path / "log").read_bytes().count(b"begin to cmodel init") == 1
        for result in results[1:]:
            np.testing.assert_array_equal(result, results[0])
        before = ticks(process.pid)
        time.sleep(0.5)
        spent = ticks(process.pid) - before
        session.close()
        # 50 to 100 where it spins; the kernel may still be charging the last run's when the count begins.
        assert spent < 10, "this simulator spins on two cores unless it is stopped"

    def test_the_command_and_the_session_agree(
        self, tiny_bmodels: dict[str, Path], tpuc_root: Path, tmp_path: Path
    ) -> None:
        x = np.random.RandomState(1).randn(2, 3, 32, 32).astype(np.float32)
        env = overlay(tpuc_root, "bm1684x", tmp_path / "overlay")
        env["PYTHONPATH"] += os.pathsep + str(Path(__file__).parents[2])
        write_arrays(tmp_path / "in.npz", {"x": x})
        argv = [sys.executable, "-m", "bmzoo.runtime.engines.simulate"]
        argv += ["--model", str(tiny_bmodels["bm1684x_fp16"])]
        argv += ["--inputs", str(tmp_path / "in.npz"), "--outputs", str(tmp_path / "out.npz")]
        subprocess.run(argv, env=env, check=True, capture_output=True)
        session = SimulatorSession(tiny_bmodels["bm1684x_fp16"], tpuc_root)
        ((name, value),) = session.run({"x": x}).items()
        session.close()
        with np.load(tmp_path / "out.npz") as arrays:
            assert arrays.files == [name]
            np.testing.assert_array_equal(arrays[name], value)

    def test_the_worker_describes_the_model(
        self, tiny_bmodels: dict[str, Path], tpuc_root: Path, tmp_path: Path
    ) -> None:
        env = overlay(tpuc_root, "bm1688", tmp_path / "overlay")
        env["PYTHONPATH"] += os.pathsep + str(Path(__file__).parents[2])
        argv = [sys.executable, "-m", "bmzoo.runtime.engines.simulate", "--model", str(tiny_bmodels["bm1688_int8"])]
        info = tmp_path / "info.json"
        subprocess.run([*argv, "--info", str(info)], env=env, check=True, capture_output=True)
        assert '"qscale"' in info.read_text()
