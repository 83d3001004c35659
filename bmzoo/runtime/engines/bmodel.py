"""What a bmodel says about itself, read from the text of `model_tool --info`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Tuple

from bmzoo.errors import SessionError
from bmzoo.runtime.engines.session import TensorInfo

_TENSOR = re.compile(r"^(input|output): (.+), \[([\d, ]*)\], (\w+), scale: \S+, zero_point: \S+$", re.M)
_CHIP = re.compile(r"^chip: (\w+)$", re.M)
_STAGE = re.compile(r"^stage \d+, core num: (\d+)$", re.M)


@dataclass(frozen=True)
class BModelInfo:
    """Chip in lower case, cores that the network uses, and its tensors with the types stored in the file."""

    chip: str
    cores: int
    inputs: Tuple[TensorInfo, ...]
    outputs: Tuple[TensorInfo, ...]


def parse_info(text: str) -> BModelInfo:
    """Read the first stage of the first network. Raises SessionError when the text has no such thing."""
    chip, stages = _CHIP.search(text), list(_STAGE.finditer(text))
    if not chip or not stages:
        last = text.strip().splitlines()[-1:] or ["nothing"]
        raise SessionError(f"not a bmodel, or damaged: {last[0]}")
    stage = text[stages[0].end() : stages[1].start() if len(stages) > 1 else len(text)]
    tensors = list(_TENSOR.finditer(stage))
    return BModelInfo(
        chip.group(1).lower(),
        int(stages[0].group(1)),
        tuple(_tensor(match) for match in tensors if match.group(1) == "input"),
        tuple(_tensor(match) for match in tensors if match.group(1) == "output"),
    )


def _tensor(match: re.Match[str]) -> TensorInfo:
    shape = tuple(int(size) for size in match.group(3).split(",") if size.strip())
    return TensorInfo(match.group(2), shape, match.group(4))
