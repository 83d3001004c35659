"""Networks with sail's interface: raw arrays in the model's own types, whichever engine runs them.

A bmodel runs on the chip simulator of TPU-MLIR, which is searched in $TPUC_ROOT, then as the installed package
`tpu_mlir`; any other file is taken for an ONNX model and runs in onnxruntime.
"""

from __future__ import annotations

import importlib.util
import os
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict, Mapping, Protocol, Sequence, Tuple

import numpy as np

from bmzoo.runtime.engines.session import OnnxSession, TensorInfo
from bmzoo.runtime.engines.simulator import SimulatorSession
from bmzoo.runtime.engines.worker import call
from bmzoo.sail.device import LOGGER
from bmzoo.sail.enums import ELEMENTS, Dtype
from bmzoo.sail.errors import SailEngineError

if TYPE_CHECKING:
    from numpy.typing import NDArray

MAGIC = b"\xee\xaa\x55\xff"  # the first four bytes of every bmodel
# Batch size of ONNX models with a dynamic batch; default 1.
BATCH = "BMZOO_SAIL_BATCH"
_NET = re.compile(r"^net \d+: \[(.*)\]  (\w+)$", re.M)
_STAGE = re.compile(r"^stage \d+,", re.M)
_SCALES = re.compile(r"^(?:input|output): (.+), \[[\d, ]*\], \w+, scale: (\S+), zero_point: (\S+)$", re.M)
_DTYPES = {
    "float32": Dtype.BM_FLOAT32,
    "float16": Dtype.BM_FLOAT16,
    "bfloat16": Dtype.BM_BFLOAT16,
    "int8": Dtype.BM_INT8,
    "uint8": Dtype.BM_UINT8,
    "int16": Dtype.BM_INT16,
    "uint16": Dtype.BM_UINT16,
    "int32": Dtype.BM_INT32,
    "uint32": Dtype.BM_UINT32,
}
# Types that only ONNX has, and their replacements in a compiled model.
_ONNX_DTYPES = {"float64": Dtype.BM_FLOAT32, "int64": Dtype.BM_INT32, "bool": Dtype.BM_UINT8}
_BYTES = (Dtype.BM_INT8, Dtype.BM_UINT8)


@dataclass(frozen=True)
class Port:
    """An input (integer = round(float * scale)) or output (float = integer * scale) of a network."""

    name: str
    shape: Tuple[int, ...]
    dtype: Dtype
    scale: float = 1.0
    zero_point: int = 0


class Network(Protocol):
    """A loaded model; `run` takes and gives arrays of ELEMENTS[port.dtype] and raises SessionError."""

    name: str
    inputs: Tuple[Port, ...]
    outputs: Tuple[Port, ...]
    dynamic: bool
    chip: str

    def run(self, feeds: Mapping[str, NDArray[Any]]) -> Dict[str, NDArray[Any]]: ...

    def close(self) -> None: ...


def open_network(path: Path) -> Network:
    """The model in the file: the first network of a bmodel, or an ONNX model.

    Raises OSError when the file cannot be read, SessionError when it is no model, SailEngineError when the engine
    for such models is not installed.
    """
    with path.open("rb") as stream:
        start = stream.read(len(MAGIC))
    return BmodelNetwork(path, tpuc_root()) if start == MAGIC else OnnxNetwork(path)


def tpuc_root() -> Path:
    """Folder of the TPU-MLIR package. Raises SailEngineError when there is none."""
    root = os.environ.get("TPUC_ROOT")
    if root:
        return Path(root)
    spec = importlib.util.find_spec("tpu_mlir")
    if spec is None or spec.origin is None:
        raise SailEngineError(
            "a bmodel needs the chip simulator of TPU-MLIR: pip install tpu_mlir, or set TPUC_ROOT"
        )
    return Path(spec.origin).parent


class BmodelNetwork:
    """A bmodel on the simulator of its chip, one session for all runs. Scales have six digits."""

    def __init__(self, path: Path, root: Path) -> None:
        self._session = SimulatorSession(path, root)
        try:
            text = _model_tool(path, root)
            nets = _NET.findall(text)
            if len(nets) > 1 or len(_STAGE.findall(text)) > 1:
                LOGGER.warning("%s: only the first stage of the first network can be used", path)
            self.name: str = nets[0][0] if nets else path.stem
            self.dynamic = bool(nets) and nets[0][1] == "dynamic"
            self.chip = self._session.info.chip
            scales = {name: (float(scale), int(zero)) for name, scale, zero in reversed(_SCALES.findall(text))}
            self.inputs = tuple(_port(info, scales) for info in self._session.info.inputs)
            self.outputs = tuple(_port(info, scales) for info in self._session.info.outputs)
            for port in (*self.inputs, *self.outputs):
                if port.zero_point:
                    LOGGER.warning("%s: zero point %d, which sail does not apply", port.name, port.zero_point)
        except BaseException:
            self._session.close()
            raise

    def run(self, feeds: Mapping[str, NDArray[Any]]) -> Dict[str, NDArray[Any]]:
        """Raw arrays by name -> raw arrays by name. Raises SessionError."""
        results = self._session.run({port.name: _to_session(feeds[port.name], port) for port in self.inputs})
        return {port.name: _from_session(results[port.name], port) for port in self.outputs}

    def close(self) -> None:
        """Remove the session's files."""
        self._session.close()


class OnnxNetwork:
    """An ONNX model in onnxruntime; a dynamic batch size becomes $BMZOO_SAIL_BATCH, or 1.

    Output shapes that the file does not specify are determined by one run on zeros.
    """

    def __init__(self, path: Path) -> None:
        self._session = OnnxSession(path)
        self._kinds = {info.name: info.dtype for info in self._session.inputs}
        self.name, self.dynamic, self.chip = path.stem, False, ""
        batch = _batch()
        shapes = {info.name: _fixed(info, batch) for info in self._session.inputs}
        self.inputs = tuple(Port(info.name, shapes[info.name], _onnx_dtype(info)) for info in self._session.inputs)
        found = {info.name: info.shape for info in self._session.outputs}
        if any(size < 0 for shape in found.values() for size in shape):
            zeros = {port.name: np.zeros(port.shape, ELEMENTS[port.dtype]) for port in self.inputs}
            found = {name: array.shape for name, array in self._session.run(self._cast(zeros)).items()}
        self.outputs = tuple(
            Port(info.name, tuple(found[info.name]), _onnx_dtype(info)) for info in self._session.outputs
        )

    def run(self, feeds: Mapping[str, NDArray[Any]]) -> Dict[str, NDArray[Any]]:
        """Raw arrays by name -> raw arrays by name. Raises SessionError."""
        results = self._session.run(self._cast(feeds))
        return {port.name: _from_session(results[port.name], port) for port in self.outputs}

    def _cast(self, feeds: Mapping[str, NDArray[Any]]) -> Dict[str, NDArray[Any]]:
        kinds = self._kinds
        return {name: _halves(array, kinds[name]).astype(kinds[name]) for name, array in feeds.items()}

    def close(self) -> None:
        """Nothing to free."""
        self._session.close()


def _model_tool(path: Path, root: Path) -> str:
    argv = [str(root.resolve() / "bin" / "model_tool"), "--info", str(path.resolve())]
    with tempfile.TemporaryDirectory() as folder:
        answer = Path(folder, "info.txt")
        call(argv, Path(folder), {}, answer, 60.0)
        return answer.read_text(errors="replace")


def _port(info: TensorInfo, scales: Mapping[str, Tuple[float, int]]) -> Port:
    if info.dtype not in _DTYPES:
        raise SailEngineError(f"`{info.name}`: tensors of this type are not supported: {info.dtype}")
    return Port(info.name, info.shape, _DTYPES[info.dtype], *scales.get(info.name, (1.0, 0)))


def _batch() -> int:
    text = os.environ.get(BATCH, "1")
    if not text.isdigit() or int(text) < 1:
        raise SailEngineError(f"${BATCH}: must be a whole number from 1: {text}")
    return int(text)


def _fixed(info: TensorInfo, batch: int) -> Tuple[int, ...]:
    if any(size < 0 for size in info.shape[1:]):
        raise SailEngineError(f"only the batch of an ONNX model may be free: {info}")
    return tuple(batch if size < 0 else size for size in info.shape)


def _onnx_dtype(info: TensorInfo) -> Dtype:
    found = _DTYPES.get(info.dtype, _ONNX_DTYPES.get(info.dtype))
    if found is None:
        raise SailEngineError(f"`{info.name}`: tensors of this type are not supported: {info.dtype}")
    return found


def _halves(array: NDArray[Any], kind: str) -> NDArray[Any]:
    """float16 from its bits: sail passes 16-bit floats as bits, onnxruntime as numbers."""
    return array.view(np.float16) if kind == "float16" else array


def _to_session(raw: NDArray[Any], port: Port) -> NDArray[Any]:
    """Raw -> float32 that the simulator's worker quantizes back to exactly the same raw values."""
    if port.dtype in _BYTES and port.scale != 0:
        return (raw.astype(np.float32) - np.float32(port.zero_point)) / np.float32(port.scale)
    if port.dtype is Dtype.BM_FLOAT16:
        return raw.view(np.float16).astype(np.float32)
    if port.dtype is Dtype.BM_BFLOAT16:
        return (raw.astype(np.uint32) << 16).view(np.float32)
    return raw.astype(np.float32)


def _from_session(values: NDArray[np.float32], port: Port) -> NDArray[Any]:
    """The float32 values that sessions give -> raw."""
    if port.dtype in _BYTES and port.scale != 0:
        values = np.rint(values / np.float32(port.scale) + np.float32(port.zero_point))
    if port.dtype is Dtype.BM_FLOAT16:
        return values.astype(np.float16).view(np.uint16)
    if port.dtype is Dtype.BM_BFLOAT16:
        return (np.ascontiguousarray(values).view(np.uint32) >> 16).astype(np.uint16)
    raw: NDArray[Any] = values.astype(ELEMENTS[port.dtype])
    return raw


def shapes_of(ports: Sequence[Port]) -> Dict[str, Tuple[int, ...]]:
    """Shapes by name."""
    return {port.name: port.shape for port in ports}
