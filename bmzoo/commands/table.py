"""`table`: the calibration table that the tool wrote, checked, with a header that says what it was made from."""

import json
import re
from collections.abc import Iterable
from pathlib import Path

from bmzoo.errors import ToolFailed
from bmzoo.plan.fingerprint import digest_of_list
from bmzoo.quantization.tables import calibrated


def run(folder: Path, args: tuple[str, ...]) -> None:
    """`tool.table` to `calibration.table`. Raises ToolFailed when the tool's table is not one."""
    request = json.loads((folder / args[0]).read_text(encoding="utf-8"))
    pictures = json.loads((folder / "samples.json").read_text(encoding="utf-8"))
    text = (folder / "tool.table").read_text(encoding="utf-8")
    try:
        names = calibrated(text)
    except ValueError as error:
        raise ToolFailed(f"run_calibration.py: wrote a table that cannot be read: {error}") from None
    if not names:
        raise ToolFailed("run_calibration.py: wrote a table without a single tensor")
    facts = (
        "bmzoo calibration table",
        f"pictures: {len(pictures)}, sha256 of their digests in order: {digest_of_list(pictures)}",
        f"method: {request['method']}",
    )
    (folder / "calibration.table").write_text(with_header(text, facts), encoding="utf-8")


def with_header(table: str, facts: Iterable[str]) -> str:
    """The tool's table with our facts on top and without what changes from run to run (time, path)."""
    kept = [line for line in table.splitlines() if not re.match(r"# (genetated|generated) time:|# mlir:", line)]
    return "\n".join([*(f"# {fact}" for fact in facts), *kept]) + "\n"
