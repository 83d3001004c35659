"""What a config can say to bring an artifact nearer to its model, for who is told that it is not near enough."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from bmzoo.chips import CALIBRATED
from bmzoo.config.model import Model
from bmzoo.plan.build import Recipe
from bmzoo.target import Target
from bmzoo.workspace import Workspace


def what_to_write(at: Workspace, target: Target, steps: Recipe) -> str:
    """What in the config may bring an artifact nearer to its model."""
    limits = "what must be reached stands in `verify: {thresholds: [...]}`"
    if target.precision not in CALIBRATED:
        return f"a float precision of more bits is nearer to the model; {limits}"
    offered = at.builder(at.models[target.model]).run(steps.source).read_json("model.json").get("offer")
    return "; ".join([*_cut(offered), *_settings(at.model(target), target), limits])


def _cut(offered: Mapping[str, Any] | None) -> Iterator[str]:
    """The cut that the import offered."""
    if offered is not None:
        kind = f" with `decoder: {{kind: {offered['decoder']}}}`" if offered["decoder"] else ""
        yield f"{offered['why']}: `outputs: {json.dumps(offered['outputs'])}`{kind}"


def _settings(model: Model, target: Target) -> Iterator[str]:
    """What INT8 can be given that this config does not."""
    settings = model.config.calibration
    if settings is not None and settings.images is not None:
        better = [] if settings.equalize else ["equalize: true"]
        better += ["method: mse"] if settings.method != "mse" else ["method: percentile9999"]
        yield f"try `calibration: {{{', '.join(better)}}}`"
    if target.precision == "int8" and model.search(target) is None and model.table(target) is None:
        yield "try `quantization: {images: {folder: ...}, search: {max_float_layers: 8}}`"
