"""`finish`: the compiled bmodel made reproducible, and what it says about itself as `facts.json`."""

import json
import re
import struct
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bmzoo.errors import ToolFailed
from bmzoo.runtime.bmodel import parse_info

# The compiler writes the time of day near the start of the file.
_TIME = re.compile(rb"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun) [A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d \d{4}")
EPOCH = b"Thu Jan  1 00:00:00 1970"
_HEADER = 1 << 20
# A bmodel is these 16 bytes (magic, size of the header, of the flatbuffer after it, of the binary), then the rest.
_PREFIX = struct.Struct("<4s3I")
_MAGIC = b"\xee\xaa\x55\xff"
# Slots of the flatbuffer's tables: Model.kernel_module, and KernelModule {file_name, binary, mode}.
_KERNEL_MODULE, _BINARY, _MODE = 16, 6, 8
_HINT = "is this a bmodel of TPU-MLIR 1.x?"
_NETWORK = re.compile(r"^net \d+: \[(.+?)\]", re.MULTILINE)
_MEMORY = re.compile(
    r"device mem size: (?P<total>\d+) "
    r"\(weight: (?P<weights>\d+), instruct: (?P<instructions>\d+), runtime: (?P<runtime>\d+)\)"
)


def run(folder: Path, args: tuple[str, ...]) -> None:
    """Fix the creation time inside the bmodel and write `facts.json`. Raises ToolFailed."""
    model, info = folder / args[0], (folder / args[1]).read_text(encoding="utf-8", errors="replace")
    fix_time(model)
    fix_mode(model)
    facts = {**facts_of(info), "bytes": model.stat().st_size, "cost": group_cost(folder)}
    if facts["cores"] != int(args[2]):
        warning = f"compiled for {facts['cores']} core, not {args[2]}: the network is too small to split"
        (folder / "warnings.json").write_text(json.dumps([warning]), encoding="utf-8")
    (folder / "facts.json").write_text(json.dumps(facts, indent=1, sort_keys=True), encoding="utf-8")


def fix_time(model: Path) -> None:
    """Replace the creation time by a fixed one of the same length. Raises ToolFailed when it is not found."""
    with model.open("r+b") as file:
        start = file.read(_HEADER)
        found = _TIME.search(start)
        if not found:
            raise ToolFailed(f"{model.name}: no creation time in the header", _HINT)
        file.seek(found.start())
        file.write(EPOCH)


def fix_mode(model: Path) -> None:
    """Zero the mode of a kernel module that is not there. Raises ToolFailed for a damaged bmodel.

    For bm1684 the compiler writes an empty module whose mode it never set: whatever the memory held, which
    for small networks differs from run to run. Nothing reads it where the module has no bytes.
    """
    with model.open("r+b") as file:
        prefix = file.read(_PREFIX.size)
        if len(prefix) < _PREFIX.size or not prefix.startswith(_MAGIC):
            return
        _, header, size, _ = _PREFIX.unpack(prefix)
        file.seek(header)
        try:
            mode = _unset_mode(file.read(size))
        except struct.error:
            raise ToolFailed(
                f"{model.name}: its header cannot be read", "is this a bmodel of TPU-MLIR 1.x?"
            ) from None
        if mode:
            file.seek(header + mode)
            file.write(bytes(4))


def _unset_mode(buffer: bytes) -> int:
    """Where in the flatbuffer the mode of an empty kernel module is; 0 when there is none."""
    model = _follow(buffer, 0)
    slot = _slot(buffer, model, _KERNEL_MODULE)
    if not slot:
        return 0
    kernel = _follow(buffer, slot)
    binary, mode = _slot(buffer, kernel, _BINARY), _slot(buffer, kernel, _MODE)
    _, count = struct.unpack_from("<2Q", buffer, binary) if binary else (0, 0)
    return mode if count == 0 else 0


def _follow(buffer: bytes, at: int) -> int:
    return at + int(struct.unpack_from("<I", buffer, at)[0])


def _slot(buffer: bytes, table: int, slot: int) -> int:
    """Where a table's field is, by the slot of the vtable that the table begins by naming; 0 when absent."""
    vtable = table - int(struct.unpack_from("<i", buffer, table)[0])
    if slot >= struct.unpack_from("<H", buffer, vtable)[0]:
        return 0
    offset = int(struct.unpack_from("<H", buffer, vtable + slot)[0])
    return table + offset if offset else 0


def facts_of(info: str) -> dict[str, Any]:
    """Chip, cores, networks, tensors and memory from `model_tool --info`. Raises SessionError, ToolFailed."""
    model = parse_info(info)
    memory = _MEMORY.search(info)
    if not memory:
        raise ToolFailed("model_tool: nothing about memory in its output")
    return {
        "chip": model.chip,
        "cores": model.cores,
        "networks": _NETWORK.findall(info),
        "inputs": [asdict(tensor) for tensor in model.inputs],
        "outputs": [asdict(tensor) for tensor in model.outputs],
        "memory_bytes": {key: int(value) for key, value in memory.groupdict().items()},
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
