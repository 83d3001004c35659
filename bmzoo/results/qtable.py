"""The mixed-precision table of a model and a chip: searched, confirmed by real lowerings, published, explained."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bmzoo.config import search_methods
from bmzoo.config.model import Model
from bmzoo.config.schema import Search
from bmzoo.errors import ConfigError, VerifyFailed
from bmzoo.plan.float_layers import agree_step, choose_step, cut_step, ranking_step
from bmzoo.plan.step import Output, Step
from bmzoo.quantization import vendor_select
from bmzoo.quantization.select import cut_path, cut_ranking, excluded, explain_layers
from bmzoo.quantization.tables import bare_choice
from bmzoo.results import calibration
from bmzoo.store.local import Entry
from bmzoo.system import files, parallel
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
    at.announce(model)
    weights = at.chosen(model)
    path = at.layout.qtable(model.name, weights.name, chip)
    if (
        publish_it
        and path.exists()
        and not calibration.is_our_table(path.read_text(encoding="utf-8", errors="replace"))
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
        files.write(calibration.table_text(entry, TABLE), path)
    return found


def confirm(at: Workspace, model: Model, chip: str, step: Step) -> Confirmed:
    """Real lowerings with a search's table and without, on the selection pictures."""
    weights, builder = at.chosen(model), at.builder(model)
    steps = [agree_step(model, chip, weights, table) for table in (None, Output(step, TABLE))]
    parallel.each(builder.run, steps, len(steps))
    plain, mixed = (read_json(builder.run(one), "agreement.json") for one in steps)
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
        and path.read_text(encoding="utf-8", errors="replace") == calibration.table_text(entry, TABLE)
        and builder.find(agree_step(model, chip, weights, Output(step, TABLE))) is not None
    )


def explain(at: Workspace, model: Model, chip: str, search: Search, entries: Mapping[Step, Entry]) -> list[str]:
    """Every layer, its loss alone in INT8, and why it is in or out, as lines. `entries`: results that are there.

    A table taken from the checkout says only which layers it has; the rest comes from the steps before it where
    they have been run here.
    """
    weights = at.chosen(model)
    step = cut_step(model, chip, weights, search)
    if step not in entries:
        return ["not searched yet, so no layer is chosen"]
    path = at.layout.qtable(model.name, weights.name, chip)
    choice = _choice(entries[step], path)
    lines = [f"{len(choice['layers'])} layers {choice['mode']}".rstrip()]
    if not choice["rows"]:
        shown = at.layout.shown(path)
        found = _read(entries, ranking_step(model, chip, weights, search), "ranking.json")
        lines[0] += f", taken from {shown}, which was made elsewhere"
        if found is None:
            lines.append(f"./doit rank:{chip} finds the losses of all layers; then this says why each is in or out")
            choice["rows"] = [_row(layer, None, f"in: number {n} of the table") for n, layer in _numbered(choice)]
        else:
            steps = _read(entries, choose_step(model, chip, weights, search), "path.json")
            choice |= _recovered(choice, found, steps, search)
    if "why" in choice:
        lines[0] += f"; the choosing ended as {choice['why']}"
    return [*lines, *_table(choice["rows"])]


def _choice(entry: Entry, committed: Path) -> dict[str, Any]:
    """`choice.json` of the result, or as much of it as the committed table tells."""
    if (entry.folder / "choice.json").is_file():
        return dict(read_json(entry, "choice.json"))
    return bare_choice(committed.read_text(encoding="utf-8"))


def _recovered(
    choice: Mapping[str, Any], ranking: Mapping[str, Any], path: Mapping[str, Any] | None, search: Search
) -> dict[str, Any]:
    """`rows`, and `why` where it is known, by a ranking (and a path) of the model that the table is for."""
    settings = search.model_dump()
    cut = None
    if search.method in search_methods.METHODS:
        cut = vendor_select.cut(ranking, settings)
        rows = vendor_select.rows(ranking, cut)
    elif search.keep or path is not None:
        without = excluded([row["layer"] for row in ranking["layers"]], search.exclude)
        cut = cut_ranking(ranking, search.keep, without) if search.keep else cut_path(path or {}, settings)
        told = explain_layers(ranking, path or {"choices": [], "alone": {}}, cut, without)
        rows = [_row(layer, loss, why) for layer, loss, why in told]
    if cut is not None and list(cut.layers) == choice["layers"]:
        return {"rows": rows, "why": cut.why}
    numbers = {layer: f"in: number {number} of the table" for number, layer in _numbered(choice)}
    rows = [_row(r["layer"], r["loss"], numbers.get(r["layer"], "out: not chosen")) for r in ranking["layers"]]
    return {"rows": rows}


def _numbered(choice: Mapping[str, Any]) -> list[tuple[int, str]]:
    return list(enumerate(choice["layers"], 1))


def _row(layer: str, loss: float | None, why: str) -> dict[str, Any]:
    return {"layer": layer, "loss": loss, "why": why}


def _table(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    width = max([len("layer"), *(len(row["layer"]) for row in rows)])
    lines = [f"{'layer':{width}}  {'loss':>9}  why"] if rows else []
    for row in rows:
        loss = "?" if row["loss"] is None else f"{row['loss']:.5f}"
        lines.append(f"{row['layer']:{width}}  {loss:>9}  {row['why']}")
    return lines


def _read(entries: Mapping[Step, Entry], step: Step, name: str) -> Any:  # noqa: ANN401  # documents of our own steps
    return read_json(entries[step], name) if step in entries else None
