"""What `rank` and `qtable` do."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from bmzoo.config import yamlfile
from bmzoo.config.model import SEARCH_DEFAULTS, Model, search_from_options
from bmzoo.config.quantization import Budget, Search, overridden
from bmzoo.config.search_methods import why_not
from bmzoo.errors import ConfigError
from bmzoo.plan.float_layers import ranking_step
from bmzoo.plan.lowering import int8_target
from bmzoo.results import qtable as tables
from bmzoo.sources import overlap
from bmzoo.system import files
from bmzoo.system.text import aligned
from bmzoo.tasks.search import SEARCH_OPTIONS
from bmzoo.workspace import Workspace

SHOWN = 20
# How an option's text is read; as it is where none is named.
_PARSERS: Mapping[str, Callable[[str], object]] = {
    **dict.fromkeys(("max_float_layers", "keep", "expected_cos", "gain", "ap_drop"), yamlfile.number),
    "exclude": lambda text: tuple(filter(None, text.split(","))),
}


def run_rank(at: Workspace, model: Model, chip: str, name: str) -> None:
    at.weights.announce(model)
    overlap.check_overlap(at.weights.using(model), at.sources(model), at.digests.of)
    search = model.search(int8_target(model, chip))
    entry = at.builder(model).run(ranking_step(model, chip, at.weights.chosen(model), search))
    ranking = entry.read_json("ranking.json")
    rows = ranking["layers"][:SHOWN]
    lines = [f"rank:{name}: {len(ranking['layers'])} layers on {ranking['pictures']} pictures, the worst first"]
    columns = {
        "layer": [row["layer"] for row in rows],
        "loss": [f"{row['loss']:.5f}" for row in rows],
        "1 - cosine": [f"{row['cosine_loss']:.6f}" for row in rows],
    }
    lines += [f"  {line}" for line in aligned(columns, ("layer",))]
    more = len(ranking["layers"]) - len(rows)
    lines.append(f"  and {more} more, all of them in {at.layout.shown(entry.path('ranking.json'))}")
    at.report.say("\n".join(lines))


def run_qtable(at: Workspace, model: Model, chip: str, name: str, **options: str) -> None:
    given = {key: text for key, text in options.items() if text}
    configured = model.search(int8_target(model, chip))
    search = _with_options(configured, given)
    if problem := why_not(search.method, chip, model.searches):
        raise ConfigError(f"--method: {problem[0]}: {search.method}", problem[1])
    if not search.max_float_layers and not search.keep and search.goal is None:
        at.report.say(f"qtable:{name}: nothing to search: max_float_layers is 0, so INT8 is plain")
        return
    found = tables.search_layers(at, model, chip, search, publish_it=search == configured)
    if search == configured:
        where = at.layout.qtable(model.name, at.weights.chosen(model).name, chip)
        at.report.say(f"qtable:{name}: {at.layout.shown(where)}: {found}")
        return
    tried = re.sub(r"[^A-Za-z0-9.,-]+", "_", "_".join(given.values()))
    path = at.layout.build / "qtables" / f"{model.name}.{chip}.{tried[:100]}.qtable"
    layers = "".join(f"{layer} {found.choice['mode']}\n" for layer in found.choice["layers"])
    files.write(layers, path)
    keys = {"goal" if key in Budget.model_fields else key for key in given}
    chosen = search.model_dump(include=keys, exclude_none=True, mode="json")
    line = yamlfile.flow({"quantization": {"chips": {chip: chosen}}}).strip()
    at.report.say(
        f"qtable:{name}: tried, not used yet: {at.layout.shown(path)}: {found}\n"
        f"to use it: in {at.layout.shown(model.path)}, {line}"
    )


def is_current_qtable(at: Workspace, model: Model, chip: str) -> bool:
    search = model.search(int8_target(model, chip))
    return search is not None and tables.is_current(at, model, chip, search)


def _with_options(configured: Search | None, given: Mapping[str, str]) -> Search:
    """The configured search with the options of the command line. Raises ConfigError for invalid values."""
    before: dict[str, Any] = dict(SEARCH_DEFAULTS) if configured is None else configured.model_dump()
    values: dict[str, Any] = {}
    for key, text in given.items():
        try:
            values[key] = _PARSERS.get(key, str)(text)
        except ValueError:
            raise ConfigError(f"--{key}: not a number: {text}", SEARCH_OPTIONS[key]) from None
    goal = {key: values.pop(key) for key in tuple(values) if key in Budget.model_fields}
    options = search_from_options({**values, "goal": goal} if goal else values)
    return search_from_options(overridden(before, options))
