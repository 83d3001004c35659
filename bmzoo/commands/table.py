"""`table`: validates and rounds the calibration table that the tool wrote."""

import re
from pathlib import Path

from bmzoo.errors import ToolFailed
from bmzoo.quantization.tables import calibrated

# Significant digits. The last digits of a threshold depend on the processor (seen with and without AVX-512), and a
# table must come out the same everywhere. What three digits cost is in bench/README.md.
DIGITS = 3


def run(folder: Path, args: tuple[str, ...]) -> None:
    """`tool.table` to `calibration.table`. Raises ToolFailed when the tool's table is malformed."""
    text = (folder / "tool.table").read_text(encoding="utf-8")
    try:
        names = calibrated(text)
    except ValueError as error:
        raise ToolFailed(f"run_calibration.py: wrote a table that cannot be read: {error}") from None
    if not names:
        raise ToolFailed("run_calibration.py: wrote a table without a single tensor")
    (folder / "calibration.table").write_text(rounded(text), encoding="utf-8")


def rounded(table: str) -> str:
    """The tool's table with DIGITS significant digits, and without what changes from run to run (time, path)."""
    kept = [line for line in table.splitlines() if not re.match(r"# (genetated|generated) time:|# mlir:", line)]
    return "\n".join(map(_line, kept)) + "\n"


def _line(line: str) -> str:
    if line.startswith("#") or not line.strip():
        return line
    name, *numbers = line.split()
    return " ".join([name, *map(_rounded, numbers)])


def _rounded(number: str) -> str:
    """Without the plus of large exponents: the compiler takes a row with one for no row."""
    return f"{float(number):.{DIGITS}g}".replace("e+", "e")
