"""`arrange`: the sets of float layers to compile for a goal, from a priced path or from what those took."""

import json
from pathlib import Path
from typing import Any

from bmzoo.config.time_limit import time_limit
from bmzoo.quantization.budgets.sets import SETS, best_sets, first_sets, measured, set_text, time_of


def run(folder: Path, args: tuple[str, ...]) -> None:
    """Write `set1.qtable` and on, and `sets.json`. Raises ToolFailed for artifacts whose time is not known."""
    request = json.loads((folder / args[0]).read_text(encoding="utf-8"))
    path = json.loads((folder / "path.json").read_text(encoding="utf-8"))
    promotions = []
    if request["measured"]:
        times = [taken(folder, name, request["constants"]) for name in ("plain", *set_names(len(path["choices"])))]
        promotions = measured(path, times[0], times[1:])
        latency = request["latency"]
        spare = time_limit(latency).allowed(times[0]) - times[0] if latency else None
        sets = best_sets(promotions, spare)
    else:
        sets = first_sets(path)
    for name, layers in zip(set_names(), sets, strict=True):
        (folder / f"{name}.qtable").write_text(set_text(layers, request["mode"]), encoding="utf-8")
    rows = [{"layers": list(one.layers), "gain": one.gain, "price": one.price} for one in promotions]
    found = {"sets": [list(layers) for layers in sets], "promotions": rows}
    (folder / "sets.json").write_text(json.dumps(found, indent=1), encoding="utf-8")


def set_names(most: int = SETS) -> list[str]:
    """What the files of each set begin with."""
    return [f"set{number}" for number in range(1, min(most, SETS) + 1)]


def taken(folder: Path, name: str, constants: dict[str, float] | None) -> float:
    """The time of a set's artifact, by its files. Raises ToolFailed."""
    profile, facts = (document(folder, f"{name}.{kind}.json") for kind in ("profile", "facts"))
    return time_of(constants, profile, facts)


def document(folder: Path, name: str) -> Any:
    """A document in the step's folder."""
    return json.loads((folder / name).read_text(encoding="utf-8"))
