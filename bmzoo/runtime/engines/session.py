"""One door to every inference engine: named float tensors in, named float32 tensors out."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict, List, Mapping, Protocol, Sequence, Tuple, Union

import numpy as np

from bmzoo.errors import SessionError
from bmzoo.runtime.engines.onnx_ir import stamped
from bmzoo.runtime.engines.tensor_info import TensorInfo

if TYPE_CHECKING:
    from numpy.typing import NDArray

_PROVIDERS = ["CPUExecutionProvider"]
_NEWER_IR = re.compile(r"[Uu]nsupported model IR version: \d+, max supported IR version: (\d+)")


class Session(Protocol):
    """A loaded network. `run` gives float32 outputs in the network's order and raises SessionError."""

    @property
    def inputs(self) -> Tuple[TensorInfo, ...]: ...

    @property
    def outputs(self) -> Tuple[TensorInfo, ...]: ...

    def run(self, feeds: Mapping[str, NDArray[Any]]) -> Dict[str, NDArray[np.float32]]: ...

    def close(self) -> None: ...


class OnnxSession:
    """An ONNX file, or its bytes, in onnxruntime on the CPU; `threads` 0 leaves the number to onnxruntime.

    A model whose batch is fixed runs as often as the pictures fed are a multiple of it, like every other session.
    Raises SessionError when onnxruntime is missing or refuses the model.
    """

    def __init__(self, model: Union[Path, bytes], threads: int = 0) -> None:
        self._where = "onnx model" if isinstance(model, bytes) else str(model)
        try:
            import onnxruntime  # engines are optional: the board has none
        except ImportError as error:
            hint = "pip install onnxruntime"
            raise SessionError(f"{self._where}: needs onnxruntime: {error}", hint) from error
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 4
        try:
            self._engine: Any = _open(onnxruntime, model, options)
        except Exception as error:  # onnxruntime has a class per status code and no common base
            message = f"{self._where}: onnxruntime refuses the model: {_first_line(error)}"
            raise SessionError(message) from error
        self.inputs = tuple(_info(node) for node in self._engine.get_inputs())
        self.outputs = tuple(_info(node) for node in self._engine.get_outputs())
        self.metadata: Dict[str, str] = dict(self._engine.get_modelmeta().custom_metadata_map)

    def run(self, feeds: Mapping[str, NDArray[Any]]) -> Dict[str, NDArray[np.float32]]:
        """Outputs by name, float32, in the model's order; `feeds` must match name, dtype and shape.

        Where the model's batch is fixed, arrays may hold a multiple of it.
        """
        if self._engine is None:
            raise SessionError(f"{self._where}: the session is closed")
        _check_names(self._where, self.inputs, feeds)
        found = [self._once(part) for part in _rounds(self.inputs, feeds)]
        if len(found) == 1:
            return found[0]
        return {name: np.concatenate([np.atleast_1d(one[name]) for one in found]) for name in found[0]}

    def _once(self, feeds: Mapping[str, NDArray[Any]]) -> Dict[str, NDArray[np.float32]]:
        check_feeds(self._where, self.inputs, feeds)
        names = [output.name for output in self.outputs]
        try:
            values = self._engine.run(names, dict(feeds))
        except Exception as error:
            raise SessionError(f"{self._where}: onnxruntime failed: {_first_line(error)}") from error
        return {names[i]: np.asarray(value, np.float32) for i, value in enumerate(values)}

    def close(self) -> None:
        """Free the network."""
        self._engine = None


def _open(onnxruntime: Any, model: Union[Path, bytes], options: Any) -> Any:
    """A session of the engine; a file of a newer IR version than it knows is opened as one of the last it knows."""
    source = model if isinstance(model, bytes) else str(model)
    try:
        return onnxruntime.InferenceSession(source, options, providers=_PROVIDERS)
    except Exception as error:
        refused = _NEWER_IR.search(str(error))
        if refused is None:
            raise
        known = int(refused.group(1))
    if isinstance(model, bytes):
        return onnxruntime.InferenceSession(stamped(model, known), options, providers=_PROVIDERS)
    with tempfile.TemporaryDirectory(prefix="bmzoo-onnx-") as folder:
        for entry in model.resolve().parent.iterdir():  # weights may lie beside it
            Path(folder, entry.name).symlink_to(entry)
        copy = Path(folder, model.resolve().name)
        copy.unlink()
        copy.write_bytes(stamped(model.read_bytes(), known))
        return onnxruntime.InferenceSession(str(copy), options, providers=_PROVIDERS)


def as_taken(feeds: Mapping[str, NDArray[Any]], inputs: Sequence[TensorInfo]) -> Dict[str, NDArray[Any]]:
    """`feeds` in the types that another engine of the same network wants: floats for integers, or the reverse."""
    types = {info.name: info.dtype for info in inputs}
    return {name: array.astype(types.get(name, array.dtype), copy=False) for name, array in feeds.items()}


def check_feeds(where: str, inputs: Sequence[TensorInfo], feeds: Mapping[str, NDArray[Any]]) -> None:
    """Raise SessionError unless `feeds` has exactly the model's inputs in their dtypes and shapes."""
    _check_names(where, inputs, feeds)
    for info in inputs:
        array = feeds[info.name]
        if array.dtype.name != info.dtype or not _fits(array.shape, info.shape):
            raise SessionError(f"{where}: input does not fit {info}: {array.dtype.name} {list(array.shape)}")


def _rounds(inputs: Sequence[TensorInfo], feeds: Mapping[str, NDArray[Any]]) -> List[Mapping[str, NDArray[Any]]]:
    """`feeds` in equal parts of a fixed batch; whole where there is none, and where they do not fit."""
    fixed = [info for info in inputs if info.shape and info.shape[0] > 0]
    counts = {_multiple(feeds[info.name], info) for info in fixed}
    count = counts.pop() if len(counts) == 1 else 1
    if count < 2 or any(not array.shape or array.shape[0] % count for array in feeds.values()):
        return [feeds]
    size = {name: len(array) // count for name, array in feeds.items()}
    return [
        {name: array[i * size[name] : (i + 1) * size[name]] for name, array in feeds.items()} for i in range(count)
    ]


def _multiple(array: NDArray[Any], info: TensorInfo) -> int:
    """How many batches of an input an array holds, 0 where it is not whole ones of its type."""
    shape, batch = array.shape, info.shape[0]
    fits = bool(shape) and array.dtype.name == info.dtype and _fits(shape[1:], info.shape[1:])
    return shape[0] // batch if fits and shape[0] % batch == 0 else 0


def check_batches(where: str, inputs: Sequence[TensorInfo], feeds: Mapping[str, NDArray[Any]]) -> int:
    """How many batches of a model with fixed shapes `feeds` holds; all inputs must hold the same number.

    Raises SessionError like `check_feeds`.
    """
    _check_names(where, inputs, feeds)
    counts = {}
    for info in inputs:
        array = feeds[info.name]
        size, batch = len(array) if array.shape else 0, info.shape[0] if info.shape else 1
        whole = size > 0 and size % batch == 0 and array.shape[1:] == info.shape[1:]
        if array.dtype.name != info.dtype or not whole:
            given = f"{array.dtype.name} {list(array.shape)}"
            raise SessionError(f"{where}: input does not fit {info}, or a multiple of its batch: {given}")
        counts[info.name] = size // batch
    if len(set(counts.values())) > 1:
        raise SessionError(f"{where}: inputs hold different numbers of batches: {counts}")
    return next(iter(counts.values()), 1)


def _check_names(where: str, inputs: Sequence[TensorInfo], feeds: Mapping[str, NDArray[Any]]) -> None:
    names = [info.name for info in inputs]
    if set(names) != set(feeds):
        given, hint = ", ".join(feeds) or "nothing", f"the model takes: {', '.join(names)}"
        raise SessionError(f"{where}: inputs do not match: {given}", hint)


def _fits(shape: Tuple[int, ...], wanted: Tuple[int, ...]) -> bool:
    if len(shape) != len(wanted):
        return False
    return all(wanted[i] in (-1, size) for i, size in enumerate(shape))


def _info(node: Any) -> TensorInfo:  # onnxruntime ships no types
    element = node.type[len("tensor(") : -1]
    dtype = {"float": "float32", "double": "float64"}.get(element, element)
    shape = tuple(size if isinstance(size, int) else -1 for size in node.shape)
    return TensorInfo(node.name, shape, dtype)


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n", 1)[0] or type(error).__name__
