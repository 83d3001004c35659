"""What each chip of the installed TPU-MLIR can do, tried: the facts that the table in `bmzoo/chips.py` states.

Usage: python tools/chip_facts.py FACTS.json [--chips CHIP ...]

Compiles a network of its own for every chip that `model_deploy.py --help` knows, in every precision, and on 1, 2, 4
and 8 cores a wider one; runs what was compiled on the chip's simulator; compares with onnxruntime. Nothing is taken
from bmzoo's table, and the simulators that it leaves out are tried as well. `python tools/chip_facts.py
tests/data/chip_facts.json` writes what the tests hold the table to. Seven minutes on two cores with nothing else to
do, of which three pass before two simulators that hang are given up.
"""

import argparse
import hashlib
import json
import re
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bmzoo.chips import CALIBRATED, QUANTIZE
from bmzoo.errors import BmzooError
from bmzoo.execute.toolchain import LocalToolchain, find_installation
from bmzoo.plan.step import Command
from bmzoo.runtime.engines.cvimodel import CVIMODEL_MAGIC, CVIMODEL_SUFFIX
from bmzoo.runtime.engines.overlay import SIMULATORS, Simulator
from bmzoo.system.hashing import Digests

CORES = (1, 2, 4, 8)
COMPILING, SIMULATING = 120.0, 90.0
# Cosine with the float network from which on a result agrees: fp32 and half precision, the integers.
AGREES: Mapping[str, float] = {"fp32": 0.99999, "fp16": 0.9999, "bf16": 0.999, "int8": 0.99, "int4": 0.5}
# Simulators of chips that bmzoo has none for, as TPU-MLIR's own model_runner would start them.
TRIED = {"sg2380": Simulator("libcmodel_sg2380.so"), "sg2262": Simulator("libtpuv7_emulator.so", "tpuv7")}


@dataclass(frozen=True)
class Network:
    """A folder with a network's MLIR, calibration table and inputs, and what onnxruntime gives for these."""

    folder: Path
    expected: NDArray[np.float32]


def network(channels: int, size: int) -> onnx.ModelProto:
    """x [1,3,size,size] -> y [1,4,size,size]: convolutions (plain, by channel, 1x1), ReLU, pooling, sum, resize.

    No concatenation: the backend of sg2380 has none, and compiles the rest.
    """
    random = np.random.default_rng(7)

    def weights(name: str, *shape: int) -> onnx.TensorProto:
        scale = 1.4 / np.sqrt(np.prod(shape[1:]))
        return numpy_helper.from_array((random.standard_normal(shape) * scale).astype(np.float32), name)

    def conv(source: str, to: str, **more: Any) -> onnx.NodeProto:
        return helper.make_node("Conv", [source, f"{to}_w"], [to], name=to, **more)

    square = {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]}
    nodes = [
        conv("x", "first", **square),
        helper.make_node("Relu", ["first"], ["a"]),
        conv("a", "single", group=channels, **square),
        helper.make_node("Relu", ["single"], ["b"]),
        conv("b", "mixed", **square),
        helper.make_node("Add", ["mixed", "a"], ["sum"]),
        helper.make_node("MaxPool", ["sum"], ["small"], kernel_shape=[2, 2], strides=[2, 2]),
        conv("small", "deep", **square),
        helper.make_node("Relu", ["deep"], ["c"]),
        helper.make_node("Upsample", ["c", "scales"], ["large"], mode="nearest"),
        helper.make_node("Add", ["large", "sum"], ["both"]),
        conv("both", "y", kernel_shape=[1, 1]),
    ]
    x, y = (
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, count, size, size])
        for name, count in (("x", 3), ("y", 4))
    )
    constants = [
        weights("first_w", channels, 3, 3, 3),
        weights("single_w", channels, 1, 3, 3),
        weights("mixed_w", channels, channels, 3, 3),
        weights("deep_w", channels, channels, 3, 3),
        weights("y_w", 4, channels, 1, 1),
        numpy_helper.from_array(np.array([1, 1, 2, 2], np.float32), "scales"),
    ]
    graph = helper.make_graph(nodes, "facts", [x], [y], constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 9)], ir_version=6)


def prepare(tools: LocalToolchain, folder: Path, channels: int, size: int) -> Network:
    """The network as MLIR, with a calibration table of TPU-MLIR's own."""
    folder.mkdir()
    onnx.save(network(channels, size), str(folder / "model.onnx"))
    x = np.random.default_rng(1).standard_normal((1, 3, size, size)).astype(np.float32)
    np.savez(folder / "inputs.npz", x=x)
    (folder / "samples.txt").write_text("inputs.npz\n" * 2, encoding="utf-8")
    transform = ("--model_name", "facts", "--model_def", "model.onnx", "--mlir", "model.mlir")
    for command in (
        Command("model_transform.py", transform),
        Command("run_calibration.py", ("model.mlir", "--data_list", "samples.txt", "-o", "tool.table")),
    ):
        tools.run(command, folder, folder / "log.txt", COMPILING)
    return Network(folder, onnxruntime.InferenceSession(str(folder / "model.onnx")).run(None, {"x": x})[0])


def known_chips(tools: LocalToolchain, folder: Path) -> list[str]:
    """Every chip that the compiler's help names, but for `cpu`."""
    tools.run(Command("model_deploy.py", ("--help",), stdout="help.txt"), folder, folder / "log.txt", COMPILING)
    found = re.search(r"--chip \{(.+?)\}", (folder / "help.txt").read_text(encoding="utf-8"), re.DOTALL)
    assert found is not None, "model_deploy.py --help names the chips"
    return [chip for chip in found[1].replace("\n", "").replace(" ", "").split(",") if chip != "cpu"]


def tried(tools: LocalToolchain, net: Network, chip: str, precision: str, cores: int) -> dict[str, Any]:
    """Compiled and simulated: how far it came, and how near the outputs are to the float network's."""
    # The runtime goes by the name, and only the content of what was made says what it is.
    made, log = net.folder / f"{chip}_{precision}_{cores}.bmodel", net.folder / f"{chip}_{precision}_{cores}.log"
    try:
        tools.run(Command("model_deploy.py", deploy(chip, precision, cores, made.name)), net.folder, log, COMPILING)
    except BmzooError as error:
        return {"compiles": False, "why": short(error)}
    if not made.is_file():
        return {"compiles": False, "why": "no file"}
    if made.read_bytes().startswith(CVIMODEL_MAGIC):
        made = made.rename(made.with_suffix(CVIMODEL_SUFFIX))
    found: dict[str, Any] = {"compiles": True, "suffix": made.suffix, **_cores(tools, made)}
    ran = simulated(tools, net, chip, made, log)
    return {**found, **ran, **({"agrees": ran["cosine"] >= AGREES[precision]} if ran["simulates"] else {})}


def deploy(chip: str, precision: str, cores: int, name: str) -> tuple[str, ...]:
    """Arguments of model_deploy.py."""
    table = ["--calibration_table", "tool.table"] if precision in CALIBRATED else []
    table += ["--tolerance", "0,0"] if precision == "int4" else []
    return (
        *("--mlir", "model.mlir", "--chip", chip, "--quantize", QUANTIZE[precision], *table),
        *("--skip_validation", "--num_core", str(cores), "--model", name),
    )


def simulated(tools: LocalToolchain, net: Network, chip: str, model: Path, log: Path) -> dict[str, Any]:
    """What the simulator makes of it. `outputs`: the first digits of their sha256, for chips that compute alike."""
    files = ("--model", model.name, "--inputs", "inputs.npz", "--outputs", f"{model.name}.npz")
    try:
        tools.run(Command("simulate", (chip, *files)), net.folder, log, SIMULATING)
    except BmzooError as error:
        return {"simulates": False, "why": short(error)}
    with np.load(net.folder / f"{model.name}.npz") as arrays:
        y = next(iter(arrays.values())).reshape(net.expected.shape)
    digest = hashlib.sha256(np.ascontiguousarray(y).tobytes()).hexdigest()[:16]
    return {"simulates": True, "cosine": round(cosine(y, net.expected), 6), "outputs": digest}


def cosine(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    """Of two tensors, as vectors; 0 where one of them is all zeros or no number."""
    one, other = a.astype(np.float64).ravel(), b.astype(np.float64).ravel()
    size = np.linalg.norm(one) * np.linalg.norm(other)
    return float(one @ other / size) if np.isfinite(size) and size > 0 else 0.0


def short(error: BmzooError) -> str:
    """An error in few words, without command lines that the tools print."""
    return re.sub(r"\[!Error\]: .+", "the compiler fails", error.message)[:120]


def _cores(tools: LocalToolchain, model: Path) -> dict[str, int]:
    """For how many cores it is compiled, as `model_tool` says of bmodels."""
    if model.suffix == CVIMODEL_SUFFIX:
        return {}
    info = model.with_suffix(".info")
    tools.run(Command("model_tool", ("--info", model.name), stdout=info.name), model.parent, info, COMPILING)
    found = re.search(r"core num: (\d+)", info.read_text(encoding="utf-8", errors="replace"))
    return {"cores": int(found[1])} if found else {}


def facts_of(tools: LocalToolchain, small: Network, wide: Network, chip: str) -> dict[str, Any]:
    """All that was tried with one chip."""
    precisions = {}
    for precision in QUANTIZE:
        precisions[precision] = tried(tools, small, chip, precision, 1)
        print(f"{chip} {precision}: {precisions[precision]}", flush=True)
    cores = {}
    for count in CORES[1:]:
        cores[str(count)] = tried(tools, wide, chip, "int8", count)
        print(f"{chip} {count} cores: {cores[str(count)]}", flush=True)
    return {"precisions": precisions, "cores": cores}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("facts", type=Path, help="JSON to write")
    parser.add_argument("--chips", nargs="+", help="only these, beside what the file says of others")
    args = parser.parse_args()
    installation = find_installation({})
    if installation is None:
        sys.exit("TPU-MLIR is not installed here: start it with .venv/bin/python")
    SIMULATORS.update(TRIED)
    with tempfile.TemporaryDirectory(prefix="chip-facts-") as place:
        folder = Path(place)
        tools = LocalToolchain(installation, Digests(folder / "digests.json"))
        small, wide = prepare(tools, folder / "small", 16, 32), prepare(tools, folder / "wide", 128, 64)
        known = known_chips(tools, folder)
        chosen = {chip: facts_of(tools, small, wide, chip) for chip in args.chips or known}
    kept = json.loads(args.facts.read_text(encoding="utf-8"))["chips"] if args.chips and args.facts.exists() else {}
    told = {"toolchain": installation.version, "chips": {**kept, **chosen}}
    args.facts.write_text(json.dumps(told, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
