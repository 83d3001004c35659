"""The contract with onnx 1.6.0: IR version <= 6, ai.onnx opset <= 11, no operators from anywhere else.

It binds the model, not the environment: TPU-MLIR needs a newer onnx package than 1.6.0. Numbers from ONNX's
table of versions: release 1.6.0 has IR version 6, ai.onnx 11 and ai.onnx.ml 2.
"""

from collections.abc import Sequence

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from onnx import checker
from onnx.onnx_ml_pb2 import ModelProto

from bmzoo.errors import SourceError
from bmzoo.onnx_import.adapters import NotConvertible
from bmzoo.onnx_import.downgrade import IR_VERSION, OPSET, downgrade
from bmzoo.onnx_import.misread import rewritten
from bmzoo.onnx_import.newer import readable
from bmzoo.onnx_import.onnx_file import ModelSignature, ValueInfo, io_signature, load_onnx
from bmzoo.onnx_import.samples import Feeds
from bmzoo.onnx_import.walk import nodes

__all__ = [
    "ModelSignature",
    "ValueInfo",
    "as_toolchain_reads",
    "conform",
    "io_signature",
    "load_onnx",
    "violations",
]

_LIMITS = {"": OPSET, "ai.onnx": OPSET, "ai.onnx.ml": 2}
_TOOLCHAIN = (
    "`contract: toolchain` in the config builds it as TPU-MLIR's own onnx reads it; "
    "or export it with opset 11 (torch.onnx.export: opset_version=11)"
)
_FOREIGN = (
    "export the model with ONNX's own operators only, or cut it before them: `outputs: [tensors]` in the config"
)
_REEXPORT = "export the model again with opset 11 (torch.onnx.export: opset_version=11)"


def violations(model: ModelProto) -> list[str]:
    """Every violation of the contract; empty for a model that conforms."""
    found = []
    if model.ir_version > IR_VERSION:
        found.append(f"IR version {model.ir_version}, more than {IR_VERSION}")
    for opset in model.opset_import:
        if opset.version > _LIMITS.get(opset.domain, opset.version):
            limit = _LIMITS[opset.domain]
            found.append(f"{opset.domain or 'ai.onnx'} opset {opset.version}, more than {limit}")
    if not any(opset.domain in ("", "ai.onnx") for opset in model.opset_import):
        found.append("no ai.onnx opset")
    if model.functions:
        found.append(f"functions of its own: {', '.join(f.name for f in model.functions)}")
    if others := foreign(model):
        found.append(f"operators that are not ONNX's: {', '.join(others)}")
    return found


def conform(model: ModelProto, where: str, tried_on: Sequence[Feeds] = ()) -> ModelProto:
    """The model itself when it conforms, else an equivalent converted copy.

    Equivalent: outputs within 1e-4 (relative) in onnxruntime, on `tried_on`, or on random inputs with dynamic
    dimensions at 1 and 2. Raises SourceError, naming every obstacle, when it is invalid or cannot be converted.
    """
    found = violations(model)
    known = _read(model, found, where)
    _check(known, where)
    if not found:
        return model
    try:
        converted = downgrade(known)
    except NotConvertible as err:
        raise _not_convertible(where, found, err, _FOREIGN if foreign(model) else _TOOLCHAIN) from None
    _check(converted, where)
    _require_equal(known, converted, where, tried_on or _random(known))
    return converted


def as_toolchain_reads(model: ModelProto, where: str) -> ModelProto:
    """The model itself, or under numbers that TPU-MLIR's onnx and onnxruntime read. Raises SourceError."""
    known = _read(model, violations(model), where)
    if found := [*foreign(model), *(f"function {f.name}" for f in model.functions)]:
        raise SourceError(f"{where}: operators that are not ONNX's: {', '.join(found)}", _FOREIGN)
    _check(known, where)
    _session(known, f"{where}: onnxruntime refuses it")
    try:
        return rewritten(known)
    except NotConvertible as err:
        raise SourceError(f"{where}: read wrongly by TPU-MLIR: {err}", _REEXPORT) from None


def foreign(model: ModelProto) -> list[str]:
    """Operators from other domains than ONNX's own, by domain and name."""
    return sorted({f"{n.domain}.{n.op_type}" for n in nodes(model.graph) if n.domain not in _LIMITS})


def _read(model: ModelProto, found: Sequence[str], where: str) -> ModelProto:
    """The model under numbers that the installed packages can read. Raises SourceError."""
    try:
        return readable(model)
    except NotConvertible as err:
        raise _not_convertible(where, found, err) from None


def _not_convertible(where: str, found: Sequence[str], why: NotConvertible, hint: str = _REEXPORT) -> SourceError:
    return SourceError(f"{where}: {'; '.join(found)}: cannot be converted down: {why}", hint)


def _check(model: ModelProto, where: str) -> None:
    try:
        checker.check_model(model)
    except checker.ValidationError as err:
        raise SourceError(f"{where}: not a valid ONNX model: {_first_line(err)}", _REEXPORT) from None


def _require_equal(model: ModelProto, converted: ModelProto, where: str, tried_on: Sequence[Feeds]) -> None:
    before = _session(model, f"{where}: onnxruntime refuses it")
    after = _session(converted, f"{where}: converted to opset {OPSET}, onnxruntime refuses it", _TOOLCHAIN)
    failures = []
    for inputs in tried_on:
        try:
            wanted = before.run(None, inputs)
        except Exception as err:  # not every dynamic dimension can be what is tried
            failures.append(_first_line(err))
            continue
        if not _gives(after, inputs, wanted, where):
            message = f"{where}: converted to opset {OPSET}, the model gives other results than before"
            raise SourceError(message, _TOOLCHAIN)
    if len(failures) == len(tried_on):
        shapes = " or ".join(str([list(value.shape) for value in inputs.values()]) for inputs in tried_on)
        message = f"{where}: cannot be compared with its conversion: fails itself on {shapes}: {failures[0]}"
        raise SourceError(message, "do height, width and the shapes of other inputs in the config fit the model?")


def _gives(
    session: onnxruntime.InferenceSession, inputs: Feeds, wanted: Sequence[NDArray[np.generic]], where: str
) -> bool:
    try:
        found = session.run(None, inputs)
    except Exception as err:  # as above
        problem = f"{where}: converted to opset {OPSET}, the model fails: {_first_line(err)}"
        raise SourceError(problem, _TOOLCHAIN) from None
    return all(map(_equal, wanted, found))


def _equal(one: NDArray[np.generic], other: NDArray[np.generic]) -> bool:
    return one.shape == other.shape and np.allclose(one, other, rtol=1e-4, atol=1e-5, equal_nan=True)


def _session(model: ModelProto, problem: str, hint: str = _REEXPORT) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4  # errors come back as exceptions
    try:
        data = model.SerializeToString()
        return onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    except Exception as err:  # onnxruntime's errors have no base class of their own
        raise SourceError(f"{problem}: {_first_line(err)}", hint) from None


def _random(model: ModelProto) -> list[Feeds]:
    """Noise for every input, its free dimensions at 1 and at 2."""
    ports = io_signature(model).inputs
    return [{port.name: _sample(port, size) for port in ports} for size in (1, 2)]


def _sample(port: ValueInfo, size: int) -> NDArray[np.generic]:
    shape = [size if isinstance(dim, str) else dim for dim in port.shape or ()]  # the checker wants a shape
    random = np.random.default_rng(size)
    if port.dtype.startswith("float"):
        return random.standard_normal(shape).astype(port.dtype)
    return random.integers(0, 2, shape).astype(port.dtype)


def _first_line(err: Exception) -> str:
    return str(err).strip().partition("\n")[0]
