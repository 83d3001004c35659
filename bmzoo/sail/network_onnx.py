"""An ONNX model in onnxruntime, in the place of a bmodel that was compiled from it.

A bmodel has fixed shapes. What an ONNX file leaves free is stated: the batch by $BMZOO_SAIL_BATCH, whole shapes by
$BMZOO_SAIL_SHAPE, or else all of it by the first call.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any, Dict, List, Mapping, Optional, Sequence, Tuple

import numpy as np

from bmzoo.runtime.engines.session import OnnxSession
from bmzoo.runtime.engines.tensor_info import TensorInfo
from bmzoo.sail.enums import ELEMENTS, Dtype
from bmzoo.sail.errors import SailEngineError
from bmzoo.sail.ports import DTYPES, Port, Shapes, from_session, largest_of, shapes_of

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

# Batch size of ONNX models with a dynamic batch; default 1.
BATCH = "BMZOO_SAIL_BATCH"
# Shapes of inputs, as NAME:1x3x320x320,...; a name that comes again begins another stage.
SHAPE = "BMZOO_SAIL_SHAPE"
_STATED = re.compile(r"\s*(?:(.*?):)?(\d+(?:x\d+)*)\s*(?:[,;]|$)")
# Types that only ONNX has, and their replacements in a compiled model.
_ONNX_DTYPES = {"float64": Dtype.BM_FLOAT32, "int64": Dtype.BM_INT32, "bool": Dtype.BM_UINT8}


class OnnxNetwork:
    """Output shapes that the file does not specify are determined by one run on zeros."""

    dynamic, chip = False, ""

    def __init__(self, path: Path) -> None:
        self._session = OnnxSession(path)
        self.name = path.stem
        self._infos = {info.name: info for info in self._session.inputs}
        self._stages: List[Tuple[Shapes, Shapes]] = []
        self.inputs = tuple(Port(i.name, _with_batch(i), _onnx_dtype(i)) for i in self._session.inputs)
        self.outputs = tuple(Port(i.name, i.shape, _onnx_dtype(i)) for i in self._session.outputs)
        stages = stated_stages(self._session.inputs)
        if not stages and all(_is_known(port.shape) for port in self.inputs):
            stages = [{port.name: port.shape for port in self.inputs}]
        if stages:
            self._settle(stages)

    def _settle(self, stages: Sequence[Shapes]) -> None:
        """Take these shapes, and no others from now on."""
        found = [(stage, self._outputs(stage)) for stage in stages]
        self.inputs = largest_of([_shaped(self.inputs, stage) for stage in stages])
        self.outputs = largest_of([_shaped(self.outputs, outputs) for _, outputs in found])
        self._stages = found

    def _outputs(self, stage: Shapes) -> Shapes:
        stated = {info.name: info.shape for info in self._session.outputs}
        if all(_is_known(shape) for shape in stated.values()):
            return stated
        kinds = {port.name: ELEMENTS[port.dtype] for port in self.inputs}
        zeros = {name: np.zeros(shape, kinds[name]) for name, shape in stage.items()}
        return {name: array.shape for name, array in self._session.run(self._cast(zeros)).items()}

    def stage(self, shapes: Mapping[str, Tuple[int, ...]]) -> Optional[Shapes]:
        """Shapes of the outputs; the first call settles what the file leaves free. Raises SessionError."""
        if not self._stages and _fits(self.inputs, shapes):
            self._settle([dict(shapes)])
        return next((outputs for inputs, outputs in self._stages if inputs == dict(shapes)), None)

    def takes(self) -> List[Shapes]:
        """Shapes of the inputs in each stage; -1 is free until the first call."""
        return [inputs for inputs, _ in self._stages] or [shapes_of(self.inputs)]

    def run(self, feeds: Mapping[str, NDArray[Any]]) -> Dict[str, NDArray[Any]]:
        """Raw arrays by name -> raw arrays by name. Raises SessionError."""
        results = self._session.run(self._cast(feeds))
        return {port.name: from_session(results[port.name], port) for port in self.outputs}

    def _cast(self, feeds: Mapping[str, NDArray[Any]]) -> Dict[str, NDArray[Any]]:
        kinds = {name: info.dtype for name, info in self._infos.items()}
        return {name: _halves(array, kinds[name]).astype(kinds[name]) for name, array in feeds.items()}

    def close(self) -> None:
        """Free the model."""
        self._session.close()


def stated_stages(inputs: Sequence[TensorInfo]) -> List[Shapes]:
    """Shapes of all inputs from $BMZOO_SAIL_SHAPE, a dictionary for each stage; none when it says nothing of them.

    An input that comes once has that shape in every stage, one that does not come must be fixed in the file.
    Raises SailEngineError.
    """
    known = {info.name: info for info in inputs}
    stated: Dict[str, List[Tuple[int, ...]]] = {}
    for name, shape in _entries(inputs):
        if name in known:
            stated.setdefault(name, []).append(_checked(known[name], shape))
    if not stated:
        return []
    count = max(len(shapes) for shapes in stated.values())
    for info in inputs:
        shapes = stated.setdefault(info.name, [_with_batch(info)])
        if not all(_is_known(shape) for shape in shapes):
            raise SailEngineError(f"${SHAPE}: states no shape for the other input: {info}")
        if len(shapes) not in (1, count):
            raise SailEngineError(f"${SHAPE}: `{info.name}`: must come once or {count} times: {len(shapes)}")
    return [{name: shapes[min(i, len(shapes) - 1)] for name, shapes in stated.items()} for i in range(count)]


def _entries(inputs: Sequence[TensorInfo]) -> List[Tuple[str, Tuple[int, ...]]]:
    """Names and shapes in $BMZOO_SAIL_SHAPE; without a name it is the only input's."""
    text = os.environ.get(SHAPE, "").strip().rstrip(",;")
    found, at = [], 0
    while at < len(text):
        match = _STATED.match(text, at)
        shape = tuple(int(size) for size in match.group(2).split("x")) if match else ()
        if match is None or min(shape) < 1:
            raise SailEngineError(f"${SHAPE}: must be NAME:1x3x320x320, more of them after commas: {text}")
        if match.group(1) is None and len(inputs) != 1:
            names = ", ".join(info.name for info in inputs)
            raise SailEngineError(f"${SHAPE}: must name the input, one of {names}: {text}")
        found.append((match.group(1) or inputs[0].name, shape))
        at = match.end()
    return found


def _checked(info: TensorInfo, shape: Tuple[int, ...]) -> Tuple[int, ...]:
    if len(shape) != len(info.shape) or any(info.shape[i] not in (-1, size) for i, size in enumerate(shape)):
        raise SailEngineError(f"${SHAPE}: does not fit {info}: {'x'.join(map(str, shape))}")
    return shape


def _with_batch(info: TensorInfo) -> Tuple[int, ...]:
    """The batch filled in, where it is stated or all that is free."""
    if not info.shape or info.shape[0] >= 0 or (BATCH not in os.environ and not _is_known(info.shape[1:])):
        return info.shape
    return (_batch(), *info.shape[1:])


def _batch() -> int:
    text = os.environ.get(BATCH, "1")
    if not text.isdigit() or int(text) < 1:
        raise SailEngineError(f"${BATCH}: must be a whole number from 1: {text}")
    return int(text)


def _is_known(shape: Sequence[int]) -> bool:
    return all(size >= 0 for size in shape)


def _shaped(ports: Sequence[Port], shapes: Mapping[str, Tuple[int, ...]]) -> Tuple[Port, ...]:
    return tuple(Port(port.name, tuple(shapes[port.name]), port.dtype) for port in ports)


def _fits(ports: Sequence[Port], shapes: Mapping[str, Tuple[int, ...]]) -> bool:
    if {port.name for port in ports} != set(shapes):
        return False
    pairs = [(shapes[port.name], port.shape) for port in ports]
    return all(len(a) == len(b) and all(b[i] in (-1, a[i]) for i in range(len(a))) for a, b in pairs)


def _onnx_dtype(info: TensorInfo) -> Dtype:
    found = DTYPES.get(info.dtype, _ONNX_DTYPES.get(info.dtype))
    if found is None:
        raise SailEngineError(f"`{info.name}`: tensors of this type are not supported: {info.dtype}")
    return found


def _halves(array: NDArray[Any], kind: str) -> NDArray[Any]:
    """float16 from its bits: sail passes 16-bit floats as bits, onnxruntime as numbers."""
    return array.view(np.float16) if kind == "float16" else array
