"""Stands in for torch in compiler steps; any use says what to install.

TPU-MLIR imports torch on most paths, and uses it for custom ONNX operators, PyTorch models and one debug flag
of run_calibration (use_torch_observer_for_cali).
"""


class Tensor:
    """There to be named in annotations and isinstance tests; nothing is one."""

    def __init__(self, *_: object, **__: object) -> None:
        _missing("Tensor")


def _missing(name: str) -> None:
    raise RuntimeError(
        f"bmzoo: torch.{name} is needed for custom operators, PyTorch models or torch observers, "
        "and torch is not installed: `.venv/bin/pip install torch==1.12.1` (776 MB)"
    )


def __getattr__(name: str) -> object:
    if not name.startswith("__"):  # what the import machinery asks for must look absent, not broken
        _missing(name)
    raise AttributeError(name)
