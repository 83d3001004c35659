"""The mixed-precision table of a model and a chip: searched, confirmed by real lowerings, published, explained."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from bmzoo import publish
from bmzoo.config import Model
from bmzoo.errors import ConfigError, VerifyFailed
from bmzoo.schema import Search
from bmzoo.search import agree_step, cut_step
from bmzoo.step import Output, Step
from bmzoo.workspace import Workspace, read_json

TABLE = "mixed.qtable"
# A pick that loses this much agreement against plain INT8 was chosen by chance.
WORSE = 0.005


@dataclass(frozen=True)
class Confirmed:
    """A search's table and what real lowerings say of it: figures of `agree` with the table and without."""

    choice: Mapping[str, Any]
    plain: Mapping[str, Any]
    mixed: Mapping[str, Any]

    def __str__(self) -> str:
        number, mode = len(self.choice["layers"]), self.choice["mode"]
        parts = [f"{number} layers {mode}", f"cosine {self.plain['cosine']:.4f} to {self.mixed['cosine']:.4f}"]
        if self.mixed["agreement"] is not None:
            missed = [figures["detections"]["missed"] for figures in (self.plain, self.mixed)]
            faces = self.mixed["detections"]["expected"]
            parts += [
                f"agreement {self.plain['agreement']:.4f} to {self.mixed['agreement']:.4f}",
                f"missed {missed[0]} to {missed[1]} of {faces} faces",
            ]
        return f"{', '.join(parts)} on {self.mixed['pictures']} pictures"


def make(at: Workspace, model: Model, chip: str, search: Search, publish_it: bool = True) -> Confirmed:
    """Search, confirm and publish `qtables/<model>.<weights>.<chip>.qtable`.

    Raises ConfigError where a file written by hand is in the way, VerifyFailed when a real lowering contradicts
    the pick.
    """
    weights = at.chosen(model)
    path = at.layout.qtable(model.name, weights.name, chip)
    if (
        publish_it
        and path.exists()
        and not publish.is_our_table(path.read_text(encoding="utf-8", errors="replace"))
    ):
        raise ConfigError(
            f"{at.layout.shown(path)}: written or edited by hand, so it is not overwritten",
            f"name it below `quantization.tables` in {at.layout.shown(model.path)}, or remove it",
        )
    at.check_image_sets(model)
    step = cut_step(model, chip, weights, search)
    entry = at.builder(model).run(step)
    found = confirm(at, model, chip, step)
    before, after = (figures["agreement"] or figures["cosine"] for figures in (found.plain, found.mixed))
    if after < before - WORSE:
        raise VerifyFailed(
            f"qtable:{chip}: real lowerings contradict the pick: agreement {before:.4f} falls to {after:.4f}",
            "more pictures below quantization.images make the choice surer; ./doit tune shows other settings",
        )
    if publish_it:
        publish.write(publish.table_text(entry, TABLE), path)
    return found


def confirm(at: Workspace, model: Model, chip: str, step: Step) -> Confirmed:
    """Real lowerings with a search's table and without, on the selection pictures."""
    weights, builder = at.chosen(model), at.builder(model)
    steps = [agree_step(model, chip, weights, table) for table in (None, Output(step, TABLE))]
    with ThreadPoolExecutor(len(steps)) as pool:
        plain, mixed = (read_json(entry, "agreement.json") for entry in pool.map(builder.run, steps))
    return Confirmed(read_json(builder.run(step), "choice.json"), plain, mixed)


def is_current(at: Workspace, model: Model, chip: str, search: Search) -> bool:
    """Whether the published table is what the search would give now, and was confirmed."""
    weights, builder = at.chosen(model), at.builder(model)
    step = cut_step(model, chip, weights, search)
    entry = builder.find(step)
    path = at.layout.qtable(model.name, weights.name, chip)
    return (
        entry is not None
        and path.is_file()
        and path.read_text(encoding="utf-8", errors="replace") == publish.table_text(entry, TABLE)
        and builder.find(agree_step(model, chip, weights, Output(step, TABLE))) is not None
    )


def explain(at: Workspace, model: Model, chip: str, search: Search) -> str:
    """Every layer, its loss alone in INT8, and why it is in or out; says so where the search has not been run."""
    entry = at.builder(model).find(cut_step(model, chip, at.chosen(model), search))
    if entry is None:
        return f"qtable:{chip}: not searched yet: ./doit qtable:{chip}\n"
    choice = read_json(entry, "choice.json")
    if not choice["rows"]:
        return (
            f"qtable:{chip}: taken from the committed table; to see why, remove it and run ./doit qtable:{chip}\n"
        )
    width = max(len(row["layer"]) for row in choice["rows"])
    lines = [
        f"qtable:{chip}: {len(choice['layers'])} layers {choice['mode']}; the choosing ended as {choice['why']}"
    ]
    lines.append(f"{'layer':{width}}  {'loss':>9}  why")
    lines += [f"{row['layer']:{width}}  {row['loss']:9.5f}  {row['why']}" for row in choice["rows"]]
    return "\n".join(lines) + "\n"
