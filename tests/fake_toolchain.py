"""A toolchain that compiles nothing: the "bmodel" carries the ONNX model, the "simulator" is onnxruntime.

It reads and writes the same files by the same command lines as TPU-MLIR, counts what it runs, and can be
told to fail in the ways that the real one does. bmzoo's own commands run for real, in this process.
"""

import hashlib
import json
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from bmzoo.commands.__main__ import run as run_own
from bmzoo.commands.registry import COMMANDS
from bmzoo.config import search_methods
from bmzoo.config.fused import RAW_SUFFIX
from bmzoo.errors import ToolFailed
from bmzoo.execute.toolchain import failure
from bmzoo.plan.step import Command
from bmzoo.runtime.engines.session import OnnxSession
from bmzoo.runtime.engines.simulate import write_arrays

INFO = """bmodel version: B.2.2+fake
chip: {chip}
create time: Sat Nov 21 08:44:47 2026
net 0: [fake]  static
stage 0, core num: {cores}
input: x, [1, 3, 8, 8], float32, scale: 1, zero_point: 0
output: y, [1, 2, 8, 8], float32, scale: 1, zero_point: 0
device mem size: 300 (weight: 200, instruct: 100, runtime: 0)
"""
PART = b"\0PART"  # between the bmodels that one is combined of
CVIMODEL_INFO = """For cv181x chip ONLY
fake Build at 1970-01-01 00:00:00
000  weight    weight                   200         0           00
001  cmdbuf    subfunc_0                100         200         00
    inputs      : x
    outputs     : y
        000  0           fp32  1    3    8    8    1.000000   io_mem  x
        001  0           fp32  1    2    8    8    1.000000   io_mem  y
"""


class FakeToolchain:
    """Implements bmzoo.execute.toolchain.Toolchain. `ran` lists the commands, in order."""

    def __init__(self, version: str = "fake 1", environment: Mapping[str, str] | None = None) -> None:
        self.version = version
        self.environment: Mapping[str, str] = environment or {}
        self.ran: list[str] = []
        self.before: Callable[[Command, Path], None] = lambda command, folder: None
        self.searches = search_methods.LOCKED
        self.ranked: Sequence[tuple[str, float]] = ()  # what the vendor's searches find, the worst first
        self.noise = 0.0  # added to what the compiled model gives, relative to its size
        self.gap = 0.0  # the same, of the MLIR alone: an engine that does not agree with the simulator
        self._lock = threading.Lock()

    @property
    def release(self) -> str:
        return self.version

    def identity(self, tool: str) -> str:
        own = COMMANDS.get(tool)
        return f"bmzoo {tool}" if own is not None and not own.installation else self.version

    def run(self, command: Command, folder: Path, log: Path, timeout: float) -> None:
        with self._lock:
            self.ran.append(command.tool)
        self.before(command, folder)
        own = COMMANDS.get(command.tool)
        if own is not None and not own.installation:
            status = run_own(command.tool, folder, command.args)
            if status:
                raise failure(command, status, folder, log, 0)
            return
        fake = getattr(self, f"_{command.tool.removesuffix('.py')}", None)
        if fake is None:
            raise ToolFailed(f"{command.tool}: no such tool")
        fake(folder, command)

    def _model_transform(self, folder: Path, command: Command) -> None:
        options = _options(command.args)
        data = (folder / options["--model_def"]).read_bytes()
        model = onnx.load_from_string(data)
        names = [model.graph.input[0].name, *(o for node in model.graph.node for o in node.output)]
        lines = [f'#loc{i} = loc("{name}")' for i, name in enumerate(names)]
        shapes = options["--input_shapes"]
        (folder / options["--mlir"]).write_text("\n".join([f"// {shapes}", *lines]), encoding="utf-8")
        (folder / f"{options['--model_name']}_top_f32_all_weight.npz").write_bytes(data)

    def _run_calibration(self, folder: Path, command: Command) -> None:
        if "--search" in command.args:
            self._search(folder, command, "Search_Qtable")
            return
        samples = (folder / _options(command.args)["--data_list"]).read_text(encoding="utf-8").split()
        total = hashlib.sha256()
        for sample in samples:
            with np.load(folder / sample) as archive:
                total.update(next(iter(archive.values())).tobytes())
        threshold = 1 + int(total.hexdigest()[:4], 16) / 65536
        mlir = (folder / "model.mlir").read_text(encoding="utf-8")
        names = [line.split('"')[1] for line in mlir.splitlines() if "loc(" in line]
        rows = [f"{name} {threshold:.7f} {-threshold:.7f} {threshold:.7f}" for name in names]
        text = "\n".join(["# genetated time: now", "# op_name    threshold    min    max", *rows])
        (folder / "tool.table").write_text(text + "\n", encoding="utf-8")

    def _search(self, folder: Path, command: Command, log: str) -> None:
        """Logs a ranking, and writes a table of every layer; without layers to rank, INT8 is good enough."""
        lines = [
            f"INFO:root:the layer {layer} is {place} sensitive layer, loss is {loss}, type is top.Conv"
            for place, (layer, loss) in enumerate(self.ranked)
        ]
        lines += ["INFO:root:int8 outputs_cos:0.900000 old"]
        if not self.ranked:
            lines = ["INFO:root:job success, current int8 cos:0.9995 is higher than expected_cos:0.99,no need"]
        (folder / log).write_text("\n".join(lines) + "\n", encoding="utf-8")
        if self.ranked:
            rows = "".join(f"{layer} F32\n" for layer, _ in self.ranked)
            (folder / _options(command.args)["--quantize_table"]).write_text(rows, encoding="utf-8")

    def _run_sensitive_layer(self, folder: Path, command: Command) -> None:
        """As it searches, it also doubles the thresholds."""
        self._search(folder, command, "SensitiveLayerSearcher")
        table = (folder / _options(command.args)["--calibration_table"]).read_text(encoding="utf-8")
        rows = [line.split() for line in table.splitlines() if line and not line.startswith("#")]
        new = [f"{name} {2 * float(first):.7f} {' '.join(rest)}" for name, first, *rest in rows]
        (folder / "new_cali_table.txt").write_text("# generated time: now\n" + "\n".join(new) + "\n")

    def _run_qtable(self, folder: Path, command: Command) -> None:
        """Its table is in the order of the network: here, of the names."""
        (folder / "MixPrecSearcher").write_text("INFO:root:int8 outputs_cos:0.900000 old\n", encoding="utf-8")
        rows = [f"No.{n:<4}: Layer: {name:<50}\t\t\tCos: {1 - x:.6f}" for n, (name, x) in enumerate(self.ranked)]
        (folder / "full_loss_table.txt").write_text("# chip: x  mix_mode: F32\n###\n" + "\n".join(rows) + "\n")
        table = "".join(f"{name} F32\n" for name in sorted(name for name, _ in self.ranked))
        (folder / _options(command.args)["--quantize_table"]).write_text(
            f"# op_name   quantize_mode\n{table}", encoding="utf-8"
        )

    def _model_deploy(self, folder: Path, command: Command) -> None:
        options = _options(command.args)
        weights = next(folder.glob("*_top_f32_all_weight.npz")).read_bytes()
        table = folder / "calibration.table"
        extra = {"args": command.args, "table": table.read_text(encoding="utf-8") if table.exists() else ""}
        head = f"Sat Nov 21 08:44:47 2026\n{json.dumps(extra)}\n".encode()
        if "--not_gen_bmodel" in command.args:
            (folder / "net_tpu.mlir").write_text('module.weight_file = "net_tpu_weights.npz"', encoding="utf-8")
            (folder / "net_tpu_weights.npz").write_bytes(b"\0ONNX" + weights)
        else:
            (folder / options["--model"]).write_bytes(head + b"\0ONNX" + weights)

    def _normalize(self, folder: Path, command: Command) -> None:
        """The bytes of the fake are the same every time."""

    def _model_tool(self, folder: Path, command: Command) -> None:
        if command.args[0] == "--info":
            info = CVIMODEL_INFO if command.args[1].endswith(".cvimodel") else INFO.format(chip="FAKE", cores=1)
            (folder / command.stdout).write_text(info, encoding="utf-8")
        elif command.args[0] == "--combine":
            *parts, _, made = command.args[1:]
            (folder / made).write_bytes(PART.join((folder / part).read_bytes() for part in parts))
        elif command.args[0] == "--extract":
            for stage, content in enumerate((folder / command.args[1]).read_bytes().split(PART)):
                (folder / f"bm_net0_stage{stage}.bmodel").write_bytes(content)

    def _simulate(self, folder: Path, command: Command) -> None:
        options = _options(command.args[1:])
        self._run_network(folder / options["--model"], folder / options["--inputs"], folder / options["--outputs"])

    def _infer(self, folder: Path, command: Command) -> None:
        _, inputs, outputs = command.args
        self._run_network(folder / "lowered_weights.npz", folder / inputs, folder / outputs, self.gap)

    def _drift(self, folder: Path, command: Command) -> None:
        text = json.dumps({"layer": "r", "cosine": 0.5, "sqnr_db": 1.0, "rows": []})
        (folder / command.args[-1]).write_text(text, encoding="utf-8")

    def _evaluate(self, folder: Path, command: Command) -> None:
        """Average precision that falls with the noise; 0.9 for the ONNX model."""
        request = json.loads((folder / "request.json").read_text(encoding="utf-8"))
        assert (folder / request["truth"]).exists()
        lost = 0.0 if request["network"] == "model.onnx" else 0.01 + self.noise
        (folder / "ap.json").write_text(json.dumps({"ap": {"easy": 0.9 - lost}, "pictures": 1}), encoding="utf-8")

    def _run_network(self, model: Path, inputs: Path, outputs: Path, more: float = 0.0) -> None:
        data = model.read_bytes().split(b"\0ONNX", 1)[1]
        with np.load(inputs) as archive:
            feeds = _preprocessed(dict(archive.items()))
        found = OnnxSession(data).run(feeds)
        for name, value in found.items() if self.noise + more else ():
            # The same noise for the same picture, in whatever batch it comes.
            size = np.abs(value).mean(axis=tuple(range(1, value.ndim)), keepdims=True)
            noise = np.random.default_rng(0).standard_normal(value.shape[1:]) * size
            found[name] = (value + noise * (self.noise + more)).astype(np.float32)
        write_arrays(outputs, {f"{k}_f32": v for k, v in found.items()})


def _preprocessed(feeds: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """What a compiled model with preprocessing in it makes of pixels in BGR: here, where nothing is taken off."""
    if not any(name.endswith(RAW_SUFFIX) for name in feeds):
        return feeds
    assert all(x.dtype == np.uint8 for x in feeds.values())
    planes = {name: x.transpose(0, 3, 1, 2) if x.shape[3] == 3 else x for name, x in feeds.items()}
    return {name.removesuffix(RAW_SUFFIX): x.astype(np.float32) for name, x in planes.items()}


def _options(args: tuple[str, ...]) -> dict[str, str]:
    return {a: b for a, b in zip(args, args[1:], strict=False) if a.startswith("--")}
