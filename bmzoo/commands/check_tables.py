"""`check-tables`: checks that tables name tensors of this model.

For a calibration table that lacks a tensor TPU-MLIR 1.30.2 aborts with a stack dump, and it silently ignores names
that it does not know.
"""

from pathlib import Path

from bmzoo.errors import SourceError
from bmzoo.quantization.tables import calibrated, check_names, float_layers, tensors_of


def run(folder: Path, args: tuple[str, ...]) -> None:
    """Check `calibration.table` and, if there, `mixed.qtable` against an MLIR file. Raises SourceError."""
    tensors = tensors_of((folder / args[0]).read_text(encoding="utf-8"))
    try:
        check_names("calibration table", calibrated(_text(folder / "calibration.table")), tensors)
        if (folder / "mixed.qtable").exists():
            check_names("qtable", (layer for layer, _ in float_layers(_text(folder / "mixed.qtable"))), tensors)
    except ValueError as error:
        raise SourceError(f"table: {error}", "see the tables in calibration/ and qtables/") from None


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise SourceError(f"{path.name}: not a text file") from None
