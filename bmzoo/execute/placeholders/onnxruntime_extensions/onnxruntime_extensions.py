"""Stands in for onnxruntime_extensions in compiler steps; running a custom operator says what to install.

TPU-MLIR declares its custom ONNX operators on import, and needs the package only for a model that has one.
"""

from collections.abc import Callable
from typing import TypeVar

F = TypeVar("F")


class PyOp:
    """Element types (those of onnx.TensorProto) that operators are declared with."""

    dt_float = 1
    dt_int64 = 7


def onnx_op(*_: object, **__: object) -> Callable[[F], F]:
    """Registers nothing: the function is returned as it is."""
    return lambda function: function


class PyOrtFunction:
    """Runs a model with custom operators; here it cannot."""

    @staticmethod
    def from_model(*_: object, **__: object) -> object:
        """Say which package is missing."""
        raise RuntimeError(
            "bmzoo: this model has operators that onnxruntime itself does not know, and "
            "onnxruntime_extensions, with which TPU-MLIR runs some of them, is not installed: "
            "`.venv/bin/pip install onnxruntime_extensions==0.14.0 torch==1.12.1`"
        )
