"""One artifact from end to end: compiled, run on the chip simulator, judged, published with its provenance."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from bmzoo import publish, verdict
from bmzoo.errors import VerifyFailed
from bmzoo.recipe import Recipe
from bmzoo.store import Entry
from bmzoo.target import Target
from bmzoo.workspace import Workspace, read_json


def make(at: Workspace, target: Target) -> str:
    """Compile, run on the simulator, compare, and publish only what passes. Returns the figures in a line."""
    model = at.models[target.model]
    steps = at.recipe(target)
    builder = at.builder(model)
    deploy, measured = builder.run(steps.deploy), builder.run(steps.measure)
    figures = read_json(measured, "figures.json")
    missed = verdict.misses(figures, model.thresholds(target))
    if missed:
        raise _keep_evidence(at, target, steps, deploy, figures, missed)
    publish.copy(deploy.path("model.bmodel"), at.layout.artifact(target))
    text = publish.document(_provenance(at, target, steps, deploy, figures))
    publish.write(text, at.layout.provenance(target))
    return verdict.summary(figures)


def is_current(at: Workspace, target: Target) -> bool:
    """Whether the published artifact is what a build would publish now, byte for byte and judged."""
    model = at.models[target.model]
    steps = at.recipe(target)
    builder = at.builder(model)
    measured, deploy = builder.find(steps.measure), builder.find(steps.deploy)
    if measured is None or deploy is None:
        return False
    told = publish.provenance(at.layout.provenance(target))
    return (
        told.get("sha256") == deploy.files["model.bmodel"]
        and told.get("steps", {}).get("measure", {}).get("fingerprint") == measured.fingerprint
        and at.holds(at.layout.artifact(target), deploy.files["model.bmodel"])
        and not verdict.misses(read_json(measured, "figures.json"), model.thresholds(target))
    )


def _keep_evidence(
    at: Workspace, target: Target, steps: Recipe, deploy: Entry, figures: Mapping[str, Any], missed: list[str]
) -> VerifyFailed:
    folder = at.layout.build / "failed" / target.artifact.removesuffix(".bmodel")
    simulated = at.builder(at.models[target.model]).run(steps.simulate)
    publish.copy(deploy.path("model.bmodel"), folder / "model.bmodel")
    publish.copy(simulated.path("inputs.npz"), folder / "inputs.npz")
    publish.copy(simulated.path("outputs.npz"), folder / "outputs.npz")
    publish.write(publish.document({"misses": missed, **figures}), folder / "figures.json")
    name = target.qualified(at.default_model)
    return VerifyFailed(
        f"{name}: not published, it disagrees with the ONNX model: {'; '.join(missed)}",
        f"thresholds are below `verify` in the config\nevidence: {at.layout.shown(folder)}",
    )


def _provenance(
    at: Workspace, target: Target, steps: Recipe, deploy: Entry, figures: Mapping[str, Any]
) -> dict[str, Any]:
    model = at.models[target.model]
    builder = at.builder(model)
    made = {step.kind if step.kind != "transform" else str(step): builder.run(step) for step in steps.steps}
    return {
        "schema": publish.SCHEMA,
        "target": asdict(target),
        "weights": steps.weights,
        "sha256": deploy.files["model.bmodel"],
        "toolchain": at.toolchain.version,
        # What the runtime needs to feed it and to read its heads: `detect` takes both from here.
        "input": model.config.input.model_dump(),
        "decoder": model.config.decoder.model_dump(),
        "facts": read_json(deploy, "facts.json"),
        "verdict": {
            "passed": True,
            "thresholds": model.thresholds(target).model_dump(),
            **figures,
        },
        "steps": {
            name: {
                "fingerprint": entry.fingerprint,
                "seconds": entry.facts.get("seconds"),
                "outputs": dict(entry.files),
                **dict(builder.resolve(step).material),
            }
            for step, (name, entry) in zip(steps.steps, made.items(), strict=True)
        },
    }
