"""`lowered`: renames the MLIR that model_deploy keeps, so that names do not depend on chip and precision."""

import re
from pathlib import Path

from bmzoo.errors import ToolFailed

_WEIGHTS = re.compile(r'module\.weight_file = "([^"]+)"')


def run(folder: Path, args: tuple[str, ...]) -> None:
    """`*_tpu.mlir` to `lowered.mlir`, with its weights. Raises ToolFailed unless there is exactly one.

    The MLIR refers to its weights by a relative path, so that is renamed in its text as well.
    """
    found = sorted(folder.glob("*_tpu.mlir"))
    if len(found) != 1:
        raise ToolFailed(f"model_deploy.py: kept {len(found)} lowered MLIR files, one was expected")
    text = found[0].read_text(encoding="utf-8")
    named = _WEIGHTS.search(text)
    if named is None or not (folder / named[1]).is_file():
        raise ToolFailed("model_deploy.py: the lowered MLIR names no weights that are there")
    (folder / named[1]).rename(folder / "lowered_weights.npz")
    text = text.replace(named[0], 'module.weight_file = "lowered_weights.npz"')
    (folder / "lowered.mlir").write_text(text, encoding="utf-8")
