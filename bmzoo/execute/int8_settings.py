"""INT8 settings that were decided, as they lie in the checkout: from then on they are part of the model."""

import json
from collections.abc import Callable, Mapping

from bmzoo.config.model import Model
from bmzoo.config.weights import Weights
from bmzoo.execute.decisions import content_of
from bmzoo.execute.layout import Layout
from bmzoo.plan.ladder import Int8Settings, applied, climbs


def with_settings(
    models: Mapping[str, Model], layout: Layout, weights: Callable[[Model], Weights]
) -> Mapping[str, Model]:
    """The models, of which those that climb have what was decided, current or not. `weights`: those in use."""
    return {name: _with(model, layout, weights) if climbs(model) else model for name, model in models.items()}


def _with(model: Model, layout: Layout, weights: Callable[[Model], Weights]) -> Model:
    if not any(layout.int8_settings(model.name, one.name).is_file() for one in model.config.weights):
        return model
    path = layout.int8_settings(model.name, weights(model).name)
    text = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
    settings = read_settings(content_of(text))
    return model if settings is None else applied(model, settings)


def read_settings(content: str) -> Int8Settings | None:
    """Of a decision's content; None for what is none of ours."""
    try:
        return Int8Settings.from_json(json.loads(content)["taken"])
    except (ValueError, KeyError, TypeError):
        return None
