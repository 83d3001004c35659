"""`combine`: the batches of a target in one bmodel, published where each part gives what its own artifact gives."""

from typing import Any

import numpy as np

from bmzoo.config.model import Model
from bmzoo.errors import VerifyFailed
from bmzoo.execute import published
from bmzoo.measure.npz import arrays
from bmzoo.plan.build import recipe
from bmzoo.plan.combine import combination
from bmzoo.system import files
from bmzoo.target import Target
from bmzoo.workspace import Workspace


def combine_targets(at: Workspace, model: Model, targets: tuple[Target, ...]) -> str:
    """Combine artifacts that are built, and publish. Returns sizes in a line. Raises VerifyFailed."""
    weights, builder = at.weights.chosen(model), at.builder(model)
    steps = combination(model, targets, weights)
    entry = builder.run(steps.combine)
    for target, ran in steps.parts:
        alone = builder.run(recipe(model, target, weights).simulate)
        one, other = (arrays(found.path("outputs.npz")) for found in (alone, builder.run(ran)))
        if list(one) != list(other) or any(not np.array_equal(one[name], other[name]) for name in one):
            raise VerifyFailed(
                f"{target}: gives other outputs once it is combined",
                "a fault of model_tool or of the simulator: use the artifacts by themselves",
            )
    place = at.layout.combined(targets)
    files.copy(entry.path("model.bmodel"), place)
    told = _provenance(at, targets, entry.files["model.bmodel"], entry.read_json("facts.json"))
    files.write(files.json_text(told), place.with_suffix(".json"))
    size, apart = place.stat().st_size, sum(at.layout.artifact(target).stat().st_size for target in targets)
    return f"{size / 1e6:.2f} MB, by themselves {apart / 1e6:.2f} MB; each batch gives what it gives by itself"


def _provenance(at: Workspace, targets: tuple[Target, ...], sha256: str, facts: dict[str, Any]) -> dict[str, Any]:
    """What the runtime reads of the smallest batch, which is the same for all, and what the parts are."""
    told = [at.documents.by(at.layout.provenance(target)) for target in targets]
    shared = {key: told[0][key] for key in ("weights", "toolchain", "input", "decoder") if key in told[0]}
    parts = {str(target): {"sha256": one["sha256"]} for target, one in zip(targets, told, strict=True)}
    return {"schema": published.DOCUMENT_SCHEMA, "combined": parts, "sha256": sha256, **shared, "facts": facts}
