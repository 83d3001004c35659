"""`finish`: the compiled bmodel made reproducible, and what it says about itself as `facts.json`."""

import json
import re
from pathlib import Path
from typing import Any

from bmzoo.errors import ToolFailed

# The compiler writes the time of day near the start of the file; it is the only thing that varies.
_TIME = re.compile(rb"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun) [A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d \d{4}")
EPOCH = b"Thu Jan  1 00:00:00 1970"
_HEADER = 1 << 20
_TENSOR = re.compile(r"(input|output): (.+), \[([\d, ]*)\], (\w+), scale: ([^,]+), zero_point: (-?\d+)")


def run(folder: Path, args: tuple[str, ...]) -> None:
    """Fix the creation time inside the bmodel and write `facts.json`. Raises ToolFailed."""
    model, info = folder / args[0], (folder / args[1]).read_text(encoding="utf-8", errors="replace")
    fix_time(model)
    facts = {**parse_info(info), "bytes": model.stat().st_size, "cost": group_cost(folder)}
    (folder / "facts.json").write_text(json.dumps(facts, indent=1, sort_keys=True), encoding="utf-8")


def fix_time(model: Path) -> None:
    """Replace the creation time by a fixed one of the same length. Raises ToolFailed when it is not found."""
    with model.open("r+b") as file:
        start = file.read(_HEADER)
        found = _TIME.search(start)
        if not found:
            raise ToolFailed(f"{model.name}: no creation time in the header", "is this a bmodel of TPU-MLIR 1.x?")
        file.seek(found.start())
        file.write(EPOCH)


def parse_info(text: str) -> dict[str, Any]:
    """Chip, cores, tensors and memory from `model_tool --info`."""
    chip = re.search(r"^chip: (\S+)", text, re.MULTILINE)
    memory = re.search(r"device mem size: (\d+) \(weight: (\d+), instruct: (\d+), runtime: (\d+)\)", text)
    if not chip or not memory:
        raise ToolFailed("model_tool: nothing about chip or memory in its output", "see info.txt in the evidence")
    names = ("total", "weights", "instructions", "runtime")
    cores = re.search(r"core num: (\d+)", text)
    tensors = [
        {
            "kind": kind,
            "name": name,
            "shape": [int(n) for n in shape.split(",")] if shape.strip() else [],
            "dtype": dtype,
            "scale": float(scale),
            "zero_point": int(zero),
        }
        for kind, name, shape, dtype, scale, zero in _TENSOR.findall(text)
    ]
    return {
        "chip": chip[1],
        "cores": int(cores[1]) if cores else 1,
        "networks": re.findall(r"^net \d+: \[(.+?)\]", text, re.MULTILINE),
        "inputs": [t for t in tensors if t["kind"] == "input"],
        "outputs": [t for t in tensors if t["kind"] == "output"],
        "memory_bytes": dict(zip(names, map(int, memory.groups()), strict=True)),
    }


def group_cost(folder: Path) -> int | None:
    """The compiler's own cost in cycles, summed over layer groups; None when it wrote none."""
    caches = sorted(folder.glob("*.layer_group_cache.json"))
    if not caches:
        return None
    return _sum_costs(json.loads(caches[0].read_text(encoding="utf-8")))


def _sum_costs(value: Any) -> int:  # noqa: ANN401  # walks whatever JSON the compiler wrote
    if isinstance(value, dict):
        own = value.get("group_cost", 0)
        return int(own) + sum(_sum_costs(v) for v in value.values())
    return sum(_sum_costs(v) for v in value) if isinstance(value, list) else 0
