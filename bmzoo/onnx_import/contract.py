"""The contract with onnx 1.6.0: IR version <= 6, ai.onnx opset <= 11, no operators from anywhere else.

It binds the model, not the environment: TPU-MLIR needs a newer onnx package than 1.6.0. Numbers from ONNX's
table of versions: release 1.6.0 has IR version 6, ai.onnx 11 and ai.onnx.ml 2.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from onnx import checker
from onnx.onnx_ml_pb2 import ModelProto

from bmzoo.errors import SourceError
from bmzoo.onnx_import.adapters import NotConvertible
from bmzoo.onnx_import.downgrade import IR_VERSION, OPSET, downgrade
from bmzoo.onnx_import.newer import readable
from bmzoo.onnx_import.onnx_file import ModelSignature, ValueInfo, io_signature, load_onnx
from bmzoo.onnx_import.walk import nodes

__all__ = ["ModelSignature", "ValueInfo", "conform", "io_signature", "load_onnx", "violations"]

_REEXPORT = "export the model again with opset 11 (torch.onnx.export: opset_version=11)"


def violations(model: ModelProto) -> list[str]:
    """Every violation of the contract; empty for a model that conforms."""
    limits = {"": OPSET, "ai.onnx": OPSET, "ai.onnx.ml": 2}
    found = []
    if model.ir_version > IR_VERSION:
        found.append(f"IR version {model.ir_version}, more than {IR_VERSION}")
    for opset in model.opset_import:
        if opset.version > limits.get(opset.domain, opset.version):
            limit = limits[opset.domain]
            found.append(f"{opset.domain or 'ai.onnx'} opset {opset.version}, more than {limit}")
    if not any(opset.domain in ("", "ai.onnx") for opset in model.opset_import):
        found.append("no ai.onnx opset")
    if model.functions:
        found.append(f"functions of its own: {', '.join(f.name for f in model.functions)}")
    foreign = sorted({f"{n.domain}.{n.op_type}" for n in nodes(model.graph) if n.domain not in limits})
    if foreign:
        found.append(f"operators that are not ONNX's: {', '.join(foreign)}")
    return found


def conform(model: ModelProto, where: str, picture: Sequence[int] = ()) -> ModelProto:
    """The model itself when it conforms, else an equivalent converted copy.

    Equivalent: outputs within 1e-4 (relative) in onnxruntime, on random inputs, dynamic dimensions at 1 and 2; only
    the batch is where `picture` gives channels, height and width.
    Raises SourceError, naming every obstacle, when the model is invalid or cannot be converted.
    """
    found = violations(model)
    known = _read(model, found, where)
    _check(known, where)
    if not found:
        return model
    try:
        converted = downgrade(known)
    except NotConvertible as err:
        raise _not_convertible(where, found, err) from None
    _check(converted, where)
    _require_equal(known, converted, where, picture)
    return converted


def _read(model: ModelProto, found: Sequence[str], where: str) -> ModelProto:
    """The model under numbers that the installed packages can read. Raises SourceError."""
    try:
        return readable(model)
    except NotConvertible as err:
        raise _not_convertible(where, found, err) from None


def _not_convertible(where: str, found: Sequence[str], why: NotConvertible) -> SourceError:
    return SourceError(f"{where}: {'; '.join(found)}: cannot be converted down: {why}", _REEXPORT)


def _check(model: ModelProto, where: str) -> None:
    try:
        checker.check_model(model)
    except checker.ValidationError as err:
        raise SourceError(f"{where}: not a valid ONNX model: {_first_line(err)}", _REEXPORT) from None


def _require_equal(model: ModelProto, converted: ModelProto, where: str, picture: Sequence[int]) -> None:
    before = _session(model, f"{where}: onnxruntime refuses it")
    after = _session(converted, f"{where}: converted to opset {OPSET}, onnxruntime refuses it")
    failures = []
    for size in (1, 2):
        inputs = {port.name: _sample(port, size, picture) for port in io_signature(model).inputs}
        try:
            wanted = before.run(None, inputs)
        except Exception as err:  # not every dynamic dimension can be this small
            failures.append(_first_line(err))
            continue
        if not _gives(after, inputs, wanted, where):
            message = f"{where}: converted to opset {OPSET}, the model gives other results than before"
            raise SourceError(message, _REEXPORT)
    if len(failures) == 2:
        message = f"{where}: cannot be compared with its conversion: fails itself, free dimensions at 1 or at 2"
        raise SourceError(f"{message}: {failures[0]}", "export the model with a fixed height and width")


def _gives(
    session: onnxruntime.InferenceSession,
    inputs: Mapping[str, NDArray[np.generic]],
    wanted: Sequence[NDArray[np.generic]],
    where: str,
) -> bool:
    try:
        found = session.run(None, inputs)
    except Exception as err:  # as above
        problem = f"{where}: converted to opset {OPSET}, the model fails: {_first_line(err)}"
        raise SourceError(problem, _REEXPORT) from None
    return all(map(_equal, wanted, found))


def _equal(one: NDArray[np.generic], other: NDArray[np.generic]) -> bool:
    return one.shape == other.shape and np.allclose(one, other, rtol=1e-4, atol=1e-5, equal_nan=True)


def _session(model: ModelProto, problem: str) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4  # errors come back as exceptions
    try:
        data = model.SerializeToString()
        return onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    except Exception as err:  # onnxruntime's errors have no base class of their own
        raise SourceError(f"{problem}: {_first_line(err)}", _REEXPORT) from None


def _sample(port: ValueInfo, size: int, picture: Sequence[int]) -> NDArray[np.generic]:
    shape = [size if isinstance(dim, str) else dim for dim in port.shape or ()]  # the checker wants a shape
    if len(shape) == len(picture) + 1:
        shape[1:] = picture
    random = np.random.default_rng(size)
    if port.dtype.startswith("float"):
        return random.standard_normal(shape).astype(port.dtype)
    return random.integers(0, 2, shape).astype(port.dtype)


def _first_line(err: Exception) -> str:
    return str(err).strip().partition("\n")[0]
