"""The mixed-precision table of a model and a chip: searched, confirmed by real lowerings, published, explained."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from bmzoo.chips import CHIPS
from bmzoo.config import search_methods
from bmzoo.config.model import Model
from bmzoo.config.quantization import Search
from bmzoo.config.weights import Weights
from bmzoo.errors import VerifyFailed
from bmzoo.execute.builder import Builder
from bmzoo.execute.decisions import Standing, text_of
from bmzoo.measure.fitted import COMPILER
from bmzoo.measure.nouns import what_of
from bmzoo.plan import goal_search
from bmzoo.plan.float_layers import agree_step, cut_step, ranking_step
from bmzoo.plan.own_search import choose_step
from bmzoo.plan.step import Output, Step
from bmzoo.quantization.tables import bare_choice
from bmzoo.results import decisions
from bmzoo.sources import overlap
from bmzoo.store.local import Entry
from bmzoo.system import files, parallel
from bmzoo.system.text import aligned
from bmzoo.workspace import Workspace

TABLE = "mixed.qtable"
# A table whose layers were chosen together with thresholds, which are not committed.
ALONE = "float layers, to look at: builds search them again where they are not in the store, for their thresholds"
# Compilations and comparisons for a goal: each has a second thread where there are cores for it.
TRIALS_AT_ONCE = 2
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
            expected, what = self.mixed["detections"]["expected"], what_of(self.mixed["detections"])
            parts += [
                f"agreement {self.plain['agreement']:.4f} to {self.mixed['agreement']:.4f}",
                f"missed {missed[0]} to {missed[1]} of {expected} {what}",
            ]
        first = f"{', '.join(parts)} on {self.mixed['pictures']} pictures"
        return "\n  ".join([first, *self.choice.get("said", ())])


def search_layers(at: Workspace, model: Model, chip: str, search: Search, publish_it: bool = True) -> Confirmed:
    """Search, confirm and publish `qtables/<model>.<weights>.<chip>.qtable`.

    Raises ConfigError where a file written by hand is in the way, VerifyFailed when a real lowering contradicts
    the pick.
    """
    at.weights.announce(model)
    weights = at.weights.chosen(model)
    step = cut_step(model, chip, weights, search)
    if publish_it and step.decision is not None:
        decisions.refuse_by_hand(at, model, step)
    overlap.check_overlap(at.weights.using(model), at.sources(model), at.digests.of)
    builder = at.builder(model)
    if search.goal is not None and not builder.locked and builder.find(step) is None:
        _warn_of_another_compiler(at, chip)
        for side_by_side in goal_search.trials(model, chip, weights, search):
            parallel.each(builder.run, side_by_side, TRIALS_AT_ONCE)
    entry = builder.run(step)
    found = confirm(at, model, chip, step)
    measure = "cosine" if found.mixed["agreement"] is None else "agreement"
    before, after = (figures[measure] for figures in (found.plain, found.mixed))
    if after < before - WORSE:
        raise VerifyFailed(
            f"qtable:{chip}: real lowerings contradict the pick: agreement {before:.4f} falls to {after:.4f}",
            "more pictures below quantization.images make the choice surer; ./doit tune shows other settings",
        )
    if publish_it and step.decision is not None:
        at.builder(model).commit(step, entry)
    elif publish_it:
        text = text_of({"decision": ALONE}, entry.path(TABLE).read_text(encoding="utf-8"))
        files.write(text, at.layout.qtable(model.name, weights.name, chip))
    return found


def _warn_of_another_compiler(at: Workspace, chip: str) -> None:
    """A goal in ms stands on constants, which are good for profiles of the compiler that they were fitted on."""
    used = at.toolchain.release
    if CHIPS[chip].timed and used != COMPILER:
        at.report.warn(
            f"qtable:{chip}: ms are by constants fitted on profiles of {COMPILER}, and {used} makes these"
        )


def confirm(at: Workspace, model: Model, chip: str, step: Step) -> Confirmed:
    """Real lowerings with a search's table and without, on the selection pictures."""
    weights, builder = at.weights.chosen(model), at.builder(model)
    steps = [agree_step(model, chip, weights, table) for table in (None, Output(step, TABLE))]
    parallel.each(builder.run, steps, len(steps))
    plain, mixed = (builder.run(one).read_json("agreement.json") for one in steps)
    return Confirmed(choice_of(builder, step, builder.run(step)), plain, mixed)


def is_current(at: Workspace, model: Model, chip: str, search: Search) -> bool:
    """Whether the committed table is what the search would give now. It was confirmed when it was committed."""
    step = cut_step(model, chip, at.weights.chosen(model), search)
    builder = at.builder(model)
    if step.decision is None:
        return builder.find(step) is not None
    return builder.committed(step).standing is Standing.CURRENT


def choice_of(builder: Builder, step: Step, entry: Entry) -> dict[str, Any]:
    """`choice.json` of a search's result, or as much of it as its table tells, where that was derived elsewhere."""
    derived = builder.derived(step) if step.decision is not None else entry
    if derived is not None and derived.files[TABLE] == entry.files[TABLE]:
        return dict(derived.read_json("choice.json"))
    return bare_choice(entry.path(TABLE).read_text(encoding="utf-8"))


def explain_choice(
    at: Workspace, model: Model, chip: str, search: Search, entries: Mapping[Step, Entry]
) -> list[str]:
    """Every layer, its loss alone in INT8, and why it is in or out, as lines. `entries`: results that are there.

    A table taken from the checkout says only which layers it has; the rest comes from the steps before it where
    they have been run here.
    """
    weights = at.weights.chosen(model)
    step = cut_step(model, chip, weights, search)
    if step not in entries:
        return ["not searched yet, so no layer is chosen"]
    path = at.layout.qtable(model.name, weights.name, chip)
    choice = choice_of(at.builder(model), step, entries[step])
    lines = [f"{len(choice['layers'])} layers {choice['mode']}".rstrip(), *_goal_lines(entries[step])]
    if not choice["rows"]:
        shown = at.layout.shown(path)
        found = _read(at.builder(model), ranking_step(model, chip, weights, search), "ranking.json")
        lines[0] += f", taken from {shown}, which was made elsewhere"
        if found is None:
            lines.append(f"./doit rank:{chip} finds the losses of all layers; then this says why each is in or out")
            choice["rows"] = [_row(layer, None, f"in: number {n} of the table") for n, layer in _numbered(choice)]
        else:
            choice |= _recovered(choice, found, _path(at.builder(model), model, chip, weights, search), search)
    if "why" in choice:
        lines[0] += f"; the choosing ended as {choice['why']}"
    return [*lines, *_table(choice["rows"])]


def _goal_lines(entry: Entry) -> list[str]:
    """What a table says of the goal that it was chosen for, wherever that was."""
    lines = entry.path(TABLE).read_text(encoding="utf-8").splitlines()
    return [line.removeprefix("# ") for line in lines if line.startswith("# goal: ")]


def _path(builder: Builder, model: Model, chip: str, weights: Weights, search: Search) -> Any:
    """The path that a search cuts its layers off from; None for a goal, which compiles what it chooses from."""
    return (
        None if search.goal is not None else _read(builder, choose_step(model, chip, weights, search), "path.json")
    )


def _recovered(
    choice: Mapping[str, Any], ranking: Mapping[str, Any], path: Mapping[str, Any] | None, search: Search
) -> dict[str, Any]:
    """`rows`, and `why` where it is known, by a ranking (and a path) of the model that the table is for."""
    selection = import_module(search_methods.method_of(search.method).selection)
    told = selection.explained(ranking, path, search.model_dump()) if search.goal is None else None
    if told is not None and list(told[0].layers) == choice["layers"]:
        return {"rows": told[1], "why": told[0].why}
    numbers = {layer: f"in: number {number} of the table" for number, layer in _numbered(choice)}
    rows = [_row(r["layer"], r["loss"], numbers.get(r["layer"], "out: not chosen")) for r in ranking["layers"]]
    return {"rows": rows}


def _numbered(choice: Mapping[str, Any]) -> list[tuple[int, str]]:
    return list(enumerate(choice["layers"], 1))


def _row(layer: str, loss: float | None, why: str) -> dict[str, Any]:
    return {"layer": layer, "loss": loss, "why": why}


def _table(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    columns = {
        "layer": [row["layer"] for row in rows],
        "loss": ["?" if row["loss"] is None else f"{row['loss']:.5f}" for row in rows],
        "why": [row["why"] for row in rows],
    }
    return aligned(columns, ("layer", "why")) if rows else []


def _read(builder: Builder, step: Step, name: str) -> Any:
    """A document of a step, if it has been run here."""
    entry = builder.find(step)
    return entry.read_json(name) if entry is not None else None
