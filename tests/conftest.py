import importlib.util
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
import pytest
from fake_toolchain import FakeToolchain
from onnx import TensorProto, helper, numpy_helper

from bmzoo.execute.toolchain import Installation, LocalToolchain
from bmzoo.plan.step import Command, Step
from bmzoo.results.artifact import build_artifact
from bmzoo.system.hashing import Digests, sha256
from bmzoo.workspace import Workspace

TABLE = "# op_name    threshold    min    max\nx 4.13 -3.33 4.13\nr_Relu 3.53 0.0 3.53\ny_Conv 1.45 -1.57 0.83\n"

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell's `... &` ignores interrupts, and what is started inherits that: tests of interrupts would hang.
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def tpuc_root() -> Path:
    """The installed TPU-MLIR package."""
    spec = importlib.util.find_spec("tpu_mlir")
    if spec is None or spec.origin is None:
        pytest.skip("tpu_mlir is not installed")
    return Path(spec.origin).parent


@pytest.fixture(scope="session")
def tiny_onnx(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """x [N,3,32,32] -> conv, relu, conv -> y [N,4,32,32]."""
    random = np.random.RandomState(0)
    weights = {
        "w": random.randn(8, 3, 3, 3) * 0.1,
        "b": random.randn(8),
        "w2": random.randn(4, 8, 1, 1) * 0.3,
    }
    nodes = [
        helper.make_node("Conv", ["x", "w", "b"], ["c"], kernel_shape=[3, 3], pads=[1] * 4, name="c"),
        helper.make_node("Relu", ["c"], ["r"], name="r"),
        helper.make_node("Conv", ["r", "w2"], ["y"], kernel_shape=[1, 1], name="c2"),
    ]
    x, y = (
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", channels, 32, 32])
        for name, channels in (("x", 3), ("y", 4))
    )
    initializers = [numpy_helper.from_array(w.astype(np.float32), name) for name, w in weights.items()]
    graph = helper.make_graph(nodes, "g", [x], [y], initializers)
    path = tmp_path_factory.mktemp("tiny") / "t.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 11)], ir_version=6), str(path))
    return path


@pytest.fixture(scope="session")
def tiny_bmodels(tiny_onnx: Path, tpuc_root: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The tiny model compiled for some targets, by `<chip>_<precision>`."""
    folder = tmp_path_factory.mktemp("bmodels")
    toolchain = LocalToolchain(Installation(tpuc_root, "under test", external=False), Digests(folder / "memory"))
    (folder / "table").write_text(TABLE)
    (folder / "t.onnx").write_bytes(tiny_onnx.read_bytes())
    log = folder / "log.txt"

    def tool(name: str, *arguments: str) -> None:
        toolchain.run(Command(name, arguments), folder, log, timeout=120)

    transform = ["--model_name", "t", "--model_def", "t.onnx", "--input_shapes", "[[1,3,32,32]]"]
    tool("model_transform.py", *transform, "--mlir", "t.mlir")
    targets = {"bm1684_fp32": "F32", "bm1684x_fp16": "F16", "bm1688_fp32": "F32", "bm1688_int8": "INT8"}
    for target, quantize in targets.items():
        table = ["--calibration_table", "table"] if quantize == "INT8" else []
        deploy = ["--mlir", "t.mlir", "--quantize", quantize, "--chip", target.split("_")[0], *table]
        tool("model_deploy.py", *deploy, "--skip_validation", "--model", f"{target}.bmodel")
    return {target: folder / f"{target}.bmodel" for target in targets}


# What starts a compiler or simulator: an unmarked test that comes to one of these is a mistake.
COMPILER = (
    "model_transform.py",
    "run_calibration.py",
    "model_deploy.py",
    "tpuc-opt",
    *(
        f"{sys.executable} -m bmzoo.runtime.engines.{name}"
        for name in ("simulate", "worker_simulator", "mlir_worker")
    ),
)


@pytest.fixture(autouse=True)
def no_compiler(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only tests marked `toolchain` may start the real compiler."""
    if request.node.get_closest_marker("toolchain"):
        return
    start = subprocess.Popen.__init__

    def refuse(self: Any, args: Any, *rest: Any, **more: Any) -> None:
        line = args if isinstance(args, str) else " ".join(map(str, args))
        if any(name in line for name in COMPILER):
            raise AssertionError(f"unmarked test starts the compiler: {line}; use the fake_toolchain fixture")
        start(self, args, *rest, **more)

    monkeypatch.setattr(subprocess.Popen, "__init__", refuse)


class Silent:
    """A report that keeps what it is told."""

    def __init__(self) -> None:
        self.steps: list[str] = []
        self.failures: list[str] = []
        self.warnings: list[str] = []
        self.said: list[str] = []

    def started(self, step: Step, progress: Path | None = None) -> None: ...

    def finished(self, step: Step, seconds: float, where: str = "") -> None:
        self.steps.append(step.kind)

    def failed(self, step: Step) -> None:
        self.failures.append(step.kind)

    def warn(self, text: str) -> None:
        self.warnings.append(text)

    def say(self, text: str) -> None:
        self.said.append(text)


CONFIG = """\
weights:
  - {{name: given, file: model.onnx, sha256: {digest}}}
input: {{height: 32, width: 32}}
decoder: {{kind: none}}
calibration: {{images: {{folder: pictures/calibration}}, minimum: 2}}
verify: {{images: {{folder: pictures/selection}}}}
targets:
  - {{chip: [bm1684, bm1688], precision: [fp32, int8], batch: [1, 2]}}
"""


class Project:
    """A small checkout in a temporary folder: one ONNX model, drawn pictures, a config, a fake toolchain."""

    def __init__(self, root: Path, model: Path) -> None:
        self.root = root
        self.toolchain = FakeToolchain()
        self.report = Silent()
        self.config = root / "configs" / "tiny.yaml"
        self.config.parent.mkdir(parents=True)
        self.data = root / "data"
        for name, count in (("calibration", 4), ("selection", 3)):
            folder = self.data / "pictures" / name
            folder.mkdir(parents=True)
            for index in range(count):
                draw(folder / f"{index}.png", f"{name}{index}")
        (self.data / "model.onnx").write_bytes(model.read_bytes())
        self.config.write_text(CONFIG.format(digest=sha256(model)))

    def edit(self, old: str, new: str) -> None:
        text = self.config.read_text()
        assert old in text
        self.config.write_text(text.replace(old, new))

    def split_weights(self, location: str, **options: bool) -> None:
        """Move the weights of the model into external data."""
        path, before = self.data / "model.onnx", sha256(self.data / "model.onnx")
        model = onnx.load(str(path))
        (self.data / location).parent.mkdir(exist_ok=True)
        onnx.save(model, str(path), save_as_external_data=True, location=location, size_threshold=0, **options)
        self.edit(before, sha256(path))

    def open(self) -> Workspace:
        """The checkout as a new run of bmzoo finds it."""
        self.toolchain.ran.clear()
        environ = {"BMZOO_DATA": str(self.data)}
        return Workspace(self.root, environ, self.report, toolchain_override=self.toolchain)

    def build(self, name: str) -> list[str]:
        """Build one target; returns the tools that ran."""
        at = self.open()
        build_artifact(at, at.target(name))
        return list(self.toolchain.ran)


def draw(path: Path, seed: str) -> None:
    """A picture of smooth noise, different for each seed."""
    random = np.random.default_rng(list(seed.encode()))
    cv2.imwrite(str(path), cv2.resize(random.integers(0, 255, (6, 6, 3), np.uint8), (40, 30)))


@pytest.fixture
def project(tmp_path: Path, tiny_onnx: Path) -> Project:
    return Project(tmp_path / "checkout", tiny_onnx)


def find_data() -> Path | None:
    """The folder of real checkpoints and pictures, where there is one."""
    root = Path(__file__).resolve().parents[1]
    places = [Path(os.environ["BMZOO_DATA"])] if os.environ.get("BMZOO_DATA") else []
    return next((p for p in [*places, root.parent / "shared" / "data"] if p.is_dir()), None)


@pytest.fixture(scope="session")
def data() -> Path:
    """Real checkpoints and pictures; tests that need them are left out where there are none."""
    found = find_data()
    if found is None:
        pytest.skip("no data folder: neither $BMZOO_DATA nor ../shared/data")
    return found
