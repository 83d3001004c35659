"""`check-tables`: checks that tables name tensors of this model, and every row of those that are written by hand.

For a calibration table that lacks a tensor TPU-MLIR 1.30.2 aborts with a stack dump, and it silently ignores names
that it does not know.
"""

from collections.abc import Collection, Mapping
from pathlib import Path

from bmzoo.chips import CHIPS, QUANTIZE, Chip
from bmzoo.errors import SourceError
from bmzoo.measure.given_names import given_names
from bmzoo.quantization.hand_tables import check_calibration, check_qtable, text_of
from bmzoo.quantization.tables import calibrated, check_names, float_layers, tensors_of


def run(folder: Path, args: tuple[str, ...]) -> None:
    """Check `calibration.table` and, if there, `mixed.qtable` against an MLIR file. Raises SourceError.

    args: the MLIR; where a table is written by hand also the chip, and `table=name` with its name for people.
    """
    tensors = tensors_of((folder / args[0]).read_text(encoding="utf-8"))
    for table, shown in _by_hand(args):
        text_of((folder / table).read_bytes(), shown)
    _rename(folder, tensors)
    _check_by_hand(folder, tensors, args)
    try:
        check_names("calibration table", calibrated(_text(folder / "calibration.table")), tensors)
        if (folder / "mixed.qtable").exists():
            check_names("qtable", (layer for layer, _ in float_layers(_text(folder / "mixed.qtable"))), tensors)
    except ValueError as error:
        raise SourceError(f"table: {error}", "see the tables in calibration/ and qtables/") from None


def _rename(folder: Path, tensors: Collection[str]) -> None:
    """Where the import renamed tensors, tables written by hand may name them as they were."""
    given = given_names(folder) if (folder / "model.json").exists() else {}
    for path in (folder / "calibration.table", folder / "mixed.qtable") if given else ():
        if path.exists():
            lines = [renamed_line(line, given, tensors) for line in _text(path).splitlines()]
            path.unlink()  # a link to the table itself, which stays as it is
            path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def renamed_line(line: str, given: Mapping[str, str], tensors: Collection[str]) -> str:
    """A line of a table, by the names of the imported model. `given`: new name -> old name."""
    if line.startswith("#") or not line.strip() or line.split(maxsplit=1)[0] in tensors:
        return line
    for now, before in sorted(given.items(), key=lambda pair: -len(pair[1])):
        if line.startswith((f"{before} ", f"{before}_")):
            return now + line.removeprefix(before)
    return line


def _by_hand(args: tuple[str, ...]) -> list[tuple[str, str]]:
    """Tables written by hand: the name in the folder, and that for people."""
    return [(table, shown) for table, _, shown in (arg.partition("=") for arg in args[2:])]


def _check_by_hand(folder: Path, tensors: frozenset[str], args: tuple[str, ...]) -> None:
    for table, shown in _by_hand(args):
        text = text_of((folder / table).read_bytes(), shown)
        if table == "mixed.qtable":
            check_qtable(text, shown, tensors, _lacking(CHIPS[args[1]]))
        else:
            check_calibration(text, shown, tensors)


def _lacking(chip: Chip) -> dict[str, str]:
    """Mode -> why the chip has it not."""
    return {mode: chip.why_not(name, 1) for name, mode in QUANTIZE.items() if name not in chip.precisions}


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise SourceError(f"{path.name}: not a text file") from None
