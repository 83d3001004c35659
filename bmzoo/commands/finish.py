"""`finish`: extracts the metadata of the compiled model into `facts.json`."""

import json
import re
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bmzoo.errors import ToolFailed
from bmzoo.runtime.engines.bmodel import BModelInfo, parse_info
from bmzoo.runtime.engines.cvimodel import CVIMODEL_SUFFIX, memory_bytes, parse_cvimodel_info

_NETWORK = re.compile(r"^net \d+: \[(.+?)\]", re.MULTILINE)
_MEMORY = re.compile(
    r"device mem size: (?P<total>\d+) "
    r"\(weight: (?P<weights>\d+), instruct: (?P<instructions>\d+), runtime: (?P<runtime>\d+)\)"
)


def run(folder: Path, args: tuple[str, ...]) -> None:
    """Write `facts.json`. Raises ToolFailed."""
    model, info = folder / args[0], (folder / args[1]).read_text(encoding="utf-8", errors="replace")
    said = facts_of_cvimodel(info) if model.suffix == CVIMODEL_SUFFIX else facts_of(info)
    facts = {**said, "bytes": model.stat().st_size, "cost": group_cost(folder)}
    if facts["cores"] != int(args[2]):
        warning = f"compiled for {facts['cores']} core, not {args[2]}: the network is too small to split"
        (folder / "warnings.json").write_text(json.dumps([warning]), encoding="utf-8")
    (folder / "facts.json").write_text(json.dumps(facts, indent=1, sort_keys=True), encoding="utf-8")


def facts_of(info: str) -> dict[str, Any]:
    """Chip, cores, networks, tensors and memory from `model_tool --info`. Raises SessionError, ToolFailed."""
    model = parse_info(info)
    memory = _MEMORY.search(info)
    if not memory:
        raise ToolFailed("model_tool: nothing about memory in its output")
    return _facts(model, _NETWORK.findall(info), {key: int(value) for key, value in memory.groupdict().items()})


def facts_of_cvimodel(info: str) -> dict[str, Any]:
    """The same of a cvimodel. Raises SessionError."""
    model = parse_cvimodel_info(info)
    return _facts(model, [network.name for network in model.networks], memory_bytes(info))


def _facts(model: BModelInfo, networks: list[str], memory: Mapping[str, int]) -> dict[str, Any]:
    return {
        "chip": model.chip,
        "cores": model.cores,
        "dynamic": any(network.dynamic for network in model.networks),
        "networks": networks,
        "inputs": [asdict(tensor) for tensor in model.inputs],
        "outputs": [asdict(tensor) for tensor in model.outputs],
        "memory_bytes": dict(memory),
    }


def group_cost(folder: Path) -> int | None:
    """The compiler's cost estimate in cycles, summed over layer groups; None when it wrote none.

    Layers outside of groups are not included.
    """
    caches = sorted(folder.glob("*.layer_group_cache.json"))
    if not caches:
        return None
    return _sum_costs(json.loads(caches[0].read_text(encoding="utf-8")))


def _sum_costs(value: Any) -> int:  # noqa: ANN401  # walks whatever JSON the compiler wrote
    if isinstance(value, dict):
        own = value.get("group_cost", 0)
        return int(own) + sum(_sum_costs(v) for v in value.values())
    return sum(_sum_costs(v) for v in value) if isinstance(value, list) else 0
