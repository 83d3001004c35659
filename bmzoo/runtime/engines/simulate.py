"""Worker of the chip simulator: one model, one process.

Run by simulator.py as `python -m bmzoo.runtime.engines.simulate` inside an overlay, since the simulator's library
is picked by the dynamic linker at start. Arrays come and go in npz files; the engine's own chatter fills stdout.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import signal
import sys
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict, List, Optional, Sequence

import numpy as np

from bmzoo.errors import BmzooError, SessionError
from bmzoo.runtime.engines.pyruntime import SimulatedNetwork, as_meant

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Integer types that carry a scale: engine's name -> lowest and highest value.
QUANTIZED = {"i8": (-128, 127), "si8": (-128, 127), "u8": (0, 255), "ui8": (0, 255)}
PLAIN = {"f32": np.float32, "f16": np.float16, "i16": np.int16, "u16": np.uint16}
PLAIN.update({"si16": np.int16, "ui16": np.uint16, "i32": np.int32, "si32": np.int32, "u32": np.uint32})
# What starts the line by which the parent process recognises a message meant for people.
MARK = "simulate: "
PR_SET_PDEATHSIG = 1  # linux/prctl.h


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Entry point: 0, or 1 with one line that starts with MARK on stderr."""
    parser = argparse.ArgumentParser(prog="bmzoo.runtime.engines.simulate", description=__doc__)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--inputs", type=Path, help="npz, arrays by input name; needs --outputs")
    parser.add_argument("--outputs", type=Path, help="npz to write, float32 by output name in network order")
    parser.add_argument("--info", type=Path, help="json to write: names, shapes, dtypes, scales")
    parser.add_argument("--parent", type=int, help="process id whose end ends this process")
    args = parser.parse_args(argv)
    if args.parent is not None:
        die_with(args.parent)
    try:
        simulate(args.model, args.inputs, args.outputs, args.info)
    except BmzooError as error:
        sys.stderr.write(f"\n{MARK}{error.message}\n")
        return 1
    return 0


def die_with(parent: int) -> None:
    """Have the kernel kill this process when its parent is gone, however that ended."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it went before the request was made
        sys.exit(f"{MARK}the process that started this one is gone: {parent}")


def simulate(model: Path, inputs: Optional[Path], outputs: Optional[Path], info: Optional[Path]) -> None:
    """Load `model`, describe it in `info`, run what is in `inputs` and write `outputs`.

    Arrays may hold k times the model's batch: then the network runs k times. Raises SessionError; a damaged
    model ends the process inside the engine.
    """
    net = SimulatedNetwork(model)
    if info is not None:
        info.write_text(json.dumps(_describe(net.networks, net), indent=1))
    if inputs is not None and outputs is not None:
        with np.load(inputs) as arrays:
            feeds = {name: arrays[name] for name in arrays.files}
        write_arrays(outputs, forward(net, feeds))


def forward(net: Any, feeds: Dict[str, NDArray[Any]]) -> Dict[str, NDArray[np.float32]]:
    """Run a network over `feeds`, batch after batch: outputs by name, in network order."""
    runs = rounds({tensor.name: _shape(tensor, feeds) for tensor in net.inputs}, feeds)
    collected: Dict[str, List[NDArray[np.float32]]] = {tensor.name: [] for tensor in net.outputs}
    for i in range(runs):
        for tensor in net.inputs:
            batch = tensor.data.shape[0]
            part = feeds[tensor.name][i * batch : (i + 1) * batch]
            given = to_engine(part, tensor.dtype, tensor.qscale, tensor.qzero_point)
            tensor.data[:] = given.reshape(tensor.data.shape)
        net.forward()
        for tensor in net.outputs:
            value = from_engine(tensor.data, tensor.dtype, tensor.qscale, tensor.qzero_point)
            collected[tensor.name].append(value.reshape(as_meant(value.shape, net.runtime)))
    return {name: np.concatenate(parts) for name, parts in collected.items()}


def _shape(tensor: Any, feeds: Dict[str, NDArray[Any]]) -> Sequence[int]:
    """Of an input, without the ones by which a cvimodel pads it beyond the dimensions that are fed."""
    shape: Sequence[int] = tensor.data.shape
    given = feeds[tensor.name].ndim if tensor.name in feeds else len(shape)
    return shape[:given] if set(shape[given:]) <= {1} else shape


def is_smaller(net: Any, feeds: Dict[str, NDArray[Any]]) -> bool:
    """Whether `feeds` are no larger than the network's inputs, and some of them smaller."""
    shapes = {tensor.name: tensor.data.shape for tensor in net.inputs}
    if set(shapes) != set(feeds) or all(feeds[name].shape == shape for name, shape in shapes.items()):
        return False
    pairs = [(feeds[name].shape, shape) for name, shape in shapes.items()]
    return all(len(a) == len(b) and all(a[i] <= b[i] for i in range(len(a))) for a, b in pairs)


def forward_dynamic(net: Any, feeds: Dict[str, NDArray[Any]]) -> Dict[str, NDArray[np.float32]]:
    """Run a dynamic network over inputs that may be smaller than its own. The engine does not check that it is
    dynamic, and computes nonsense where it is not.
    """
    for tensor in net.inputs:
        given = to_engine(feeds[tensor.name], tensor.dtype, tensor.qscale, tensor.qzero_point)
        tensor.data.reshape(-1)[: given.size] = given.reshape(-1)
    shapes = net.forward_dynamic([list(feeds[tensor.name].shape) for tensor in net.inputs])
    found = {}
    for tensor, shape in zip(net.outputs, shapes):  # noqa: B905
        data = tensor.data.reshape(-1)[: int(np.prod(shape, dtype=np.int64))].reshape(shape)
        found[tensor.name] = from_engine(data, tensor.dtype, tensor.qscale, tensor.qzero_point)
    return found


def rounds(shapes: Dict[str, Sequence[int]], feeds: Dict[str, NDArray[Any]]) -> int:
    """How often a network with inputs of `shapes` must run to use up `feeds`. Raises SessionError."""
    if set(shapes) != set(feeds):
        raise SessionError(f"inputs do not match: {sorted(feeds)}; the model takes: {sorted(shapes)}")
    counts = set()
    for name, shape in shapes.items():
        given = feeds[name].shape
        if not given or tuple(given[1:]) != tuple(shape[1:]) or given[0] == 0 or given[0] % shape[0]:
            raise SessionError(f"input `{name}`: must be {list(shape)} or a multiple of its batch: {list(given)}")
        counts.add(given[0] // shape[0])
    if len(counts) != 1:
        raise SessionError(f"inputs hold different numbers of batches: {sorted(counts)}")
    return counts.pop()


def to_engine(array: NDArray[Any], dtype: str, scale: float, zero_point: int) -> NDArray[Any]:
    """Float -> the engine's type. Quantized: round(x * scale + zero point), halves away from zero, clipped,
    as TPU-MLIR's model_runner does; bf16 is cut, not rounded, for the same reason.
    """
    if dtype in QUANTIZED:
        scaled = np.asarray(array, np.float32) * np.float32(scale) + np.float32(zero_point)
        lowest, highest = QUANTIZED[dtype]
        rounded = np.sign(scaled) * np.floor(np.abs(scaled) + np.float32(0.5))
        clipped: NDArray[Any] = np.clip(rounded, lowest, highest).astype(np.uint8 if lowest == 0 else np.int8)
        return clipped
    if dtype == "bf16":
        return (np.ascontiguousarray(array, np.float32).view(np.uint32) >> 16).astype(np.uint16)
    if dtype not in PLAIN:
        raise SessionError(f"inputs of this type are not supported: {dtype}")
    return array.astype(PLAIN[dtype])


def from_engine(array: NDArray[Any], dtype: str, scale: float, zero_point: int) -> NDArray[np.float32]:
    """The engine's type -> float32, always a copy: the engine reuses its buffers."""
    if dtype in QUANTIZED and scale != 0:
        return (array.astype(np.float32) - np.float32(zero_point)) * np.float32(scale)
    if dtype == "bf16":
        return (array.astype(np.uint32) << 16).view(np.float32)
    return array.astype(np.float32)


def write_arrays(path: Path, arrays: Dict[str, NDArray[Any]]) -> None:
    """An uncompressed npz in the order given; unlike np.savez it takes any name, `file` included."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as entry:
                np.lib.format.write_array(entry, array, allow_pickle=False)  # type: ignore[no-untyped-call]


def _describe(networks: List[str], net: Any) -> Dict[str, Any]:  # the engine ships no types
    tensors = {"inputs": net.inputs, "outputs": net.outputs}
    described = {
        key: [
            {
                "name": tensor.name,
                "shape": list(tensor.data.shape),
                "dtype": tensor.dtype,
                "qscale": tensor.qscale,
                "qzero_point": tensor.qzero_point,
            }
            for tensor in group
        ]
        for key, group in tensors.items()
    }
    return {"networks": networks, **described}


if __name__ == "__main__":
    result = main()
    sys.stdout.flush()
    sys.stderr.flush()
    # Everything is written; taking the simulator down would add 1 to 2 seconds to every run.
    os._exit(result)
