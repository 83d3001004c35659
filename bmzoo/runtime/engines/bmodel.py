"""What a bmodel says about itself, read from the text of `model_tool --info`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Dict, List, Tuple

from bmzoo.errors import SessionError
from bmzoo.runtime.engines.tensor_info import TensorInfo

# The inputs of a dynamic network say [max:2, max:3, ...].
_TENSOR = re.compile(
    r"^(input|output): (.+), \[((?:(?:max:)?\d+(?:, )?)*)\], (\w+), scale: (\S+), zero_point: (\S+)$", re.M
)
_CHIP = re.compile(r"^chip: (\w+)$", re.M)
_NETWORK = re.compile(r"^net \d+: \[(.*)\]  (\w+)$", re.M)
_STAGE = re.compile(r"^stage \d+, core num: (\d+)$", re.M)


@dataclass(frozen=True)
class BModelStage:
    """A network compiled for one set of shapes: cores, tensors with the types stored in the file, and by tensor
    its scale and zero point; scales have six digits.
    """

    cores: int
    inputs: Tuple[TensorInfo, ...]
    outputs: Tuple[TensorInfo, ...]
    scales: Dict[str, Tuple[float, int]]


@dataclass(frozen=True)
class BModelNetwork:
    """A network of a bmodel. A dynamic one takes whatever is no larger than a stage's inputs."""

    name: str
    dynamic: bool
    stages: Tuple[BModelStage, ...]


@dataclass(frozen=True)
class BModelInfo:
    """Chip in lower case, and the networks in the file's order; at least one, with at least one stage."""

    chip: str
    networks: Tuple[BModelNetwork, ...]

    @property
    def cores(self) -> int:
        """Of the first stage of the first network."""
        return self.networks[0].stages[0].cores

    @property
    def inputs(self) -> Tuple[TensorInfo, ...]:
        """Of the first stage of the first network."""
        return self.networks[0].stages[0].inputs

    @property
    def outputs(self) -> Tuple[TensorInfo, ...]:
        """Of the first stage of the first network."""
        return self.networks[0].stages[0].outputs


def parse_info(text: str) -> BModelInfo:
    """Read all networks and stages. Raises SessionError when the text has no such thing."""
    chip = _CHIP.search(text)
    networks = [_network(head, body) for head, body in _parts(_NETWORK, text)]
    if not chip or not networks or not all(network.stages for network in networks):
        last = text.strip().splitlines()[-1:] or ["nothing"]
        raise SessionError(f"not a bmodel, or damaged: {last[0]}")
    return BModelInfo(chip.group(1).lower(), tuple(networks))


def _parts(head: re.Pattern[str], text: str) -> List[Tuple[re.Match[str], str]]:
    """Every match, with the text up to the next one."""
    found = list(head.finditer(text))
    ends = [match.start() for match in found[1:]] + [len(text)]
    return [(match, text[match.end() : end]) for match, end in zip(found, ends)]  # noqa: B905


def _network(head: re.Match[str], body: str) -> BModelNetwork:
    stages = tuple(_stage(int(stage.group(1)), tensors) for stage, tensors in _parts(_STAGE, body))
    return BModelNetwork(head.group(1), head.group(2) == "dynamic", stages)


def _stage(cores: int, text: str) -> BModelStage:
    tensors = list(_TENSOR.finditer(text))
    return BModelStage(
        cores,
        tuple(_tensor(match) for match in tensors if match.group(1) == "input"),
        tuple(_tensor(match) for match in tensors if match.group(1) == "output"),
        {match.group(2): (float(match.group(5)), int(match.group(6))) for match in reversed(tensors)},
    )


def _tensor(match: re.Match[str]) -> TensorInfo:
    sizes = match.group(3).replace("max:", "").split(",")
    return TensorInfo(match.group(2), tuple(int(size) for size in sizes if size.strip()), match.group(4))
