"""One artifact from end to end: compiled, run on the chip simulator, judged, published with its provenance."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from bmzoo.config.fused import as_fed
from bmzoo.config.model import Model
from bmzoo.errors import VerifyFailed
from bmzoo.execute import published
from bmzoo.measure import verdict
from bmzoo.measure.latency import Latency, essentials
from bmzoo.measure.model_facts import resolved_input
from bmzoo.plan.build import Recipe
from bmzoo.plan.step import Step
from bmzoo.results import latency
from bmzoo.results.advice import what_to_write
from bmzoo.results.decoding import told_decoder
from bmzoo.store.local import Entry
from bmzoo.system import files
from bmzoo.target import Target
from bmzoo.workspace import Workspace


def build_artifact(at: Workspace, target: Target) -> str:
    """Compile, run on the simulator, compare, and publish only what passes. Returns the figures in a line."""
    model = at.model(target)
    at.weights.announce(model)
    steps = at.recipe(target)
    builder = at.builder(model)
    deploy, measured = builder.run(steps.deploy), builder.run(steps.measure)
    figures = measured.read_json("figures.json")
    missed = verdict.misses(figures, model.thresholds(target))
    if missed:
        raise _keep_evidence(at, target, steps, deploy, figures, missed)
    files.copy(deploy.path(target.compiled), at.layout.artifact(target))
    files.copy(deploy.path("profile.json"), at.layout.profile(target))
    text = files.json_text(_provenance(at, target, steps, deploy, figures))
    files.write(text, at.layout.provenance(target))
    told = verdict.summary(figures)
    told = f"{told}, on {model.drawn}" if model.drawn else told
    told = f"unverified, its lowering alone: {told}" if target.unverified else told
    found = latency.of_step(target, deploy, at.toolchain.release)
    return f"{told}, {found}" if isinstance(found, Latency) else told


def is_current(at: Workspace, target: Target) -> bool:
    """Whether the published artifact is what a build would publish now, byte for byte and judged."""
    builder = at.builder(at.models[target.model])
    found = {step: builder.find(step) for step in at.recipe(target).grounds}
    results = {step: entry for step, entry in found.items() if entry is not None}
    return len(results) == len(found) and not outdated(at, target, results)


def outdated(at: Workspace, target: Target, results: Mapping[Step, Entry]) -> str:  # noqa: PLR0911
    """Why the published artifact is not what a build would publish from these results; empty when it is.

    results: of every step that the recipe is grounded on.
    """
    steps, limits = at.recipe(target), at.model(target).thresholds(target)
    missed = verdict.misses(results[steps.measure].read_json("figures.json"), limits)
    if missed:
        return f"cannot be published, its figures miss the thresholds: {'; '.join(missed)}"
    path, wanted = at.layout.artifact(target), results[steps.deploy].files[target.compiled]
    told = at.documents.by(at.layout.provenance(target))
    if not told:
        return "its .json is gone or damaged" if path.exists() else "not published yet"
    if not path.is_file():
        return "it is gone, deleted behind bmzoo's back"
    if not at.digests.holds(path, str(told.get("sha256"))):
        return f"changed behind bmzoo's back: {str(told.get('sha256'))[:8]} -> {at.digests.of(path)[:8]}"
    if told["sha256"] != wanted:
        return f"made from other inputs: {told['sha256'][:8]} -> {wanted[:8]}"
    if not at.digests.holds(at.layout.profile(target), results[steps.deploy].files["profile.json"]):
        return "its .profile.json is gone or changed"
    if told.get("verdict", {}).get("thresholds") != json.loads(limits.model_dump_json()):
        return "judged by other thresholds"
    used = {step["fingerprint"] for step in told.get("steps", {}).values()}
    if any(entry.fingerprint not in used for entry in results.values()):
        return "its .json names other inputs; the bytes are the same"
    return ""


def _keep_evidence(
    at: Workspace, target: Target, steps: Recipe, deploy: Entry, figures: Mapping[str, Any], missed: list[str]
) -> VerifyFailed:
    folder = at.layout.refused(target)
    simulated = at.builder(at.models[target.model]).run(steps.simulate)
    files.copy(deploy.path(target.compiled), folder / target.compiled)
    files.copy(simulated.path("inputs.npz"), folder / "inputs.npz")
    files.copy(simulated.path("outputs.npz"), folder / "outputs.npz")
    files.write(files.json_text({"misses": missed, **figures}), folder / "figures.json")
    name = target.qualified(at.default_model)
    nothing = verdict.nothing_compared(figures, at.model(target).thresholds(target))
    if [nothing] == missed:
        return VerifyFailed(
            f"{name}: not published, {nothing}", verdict.nothing_hint(figures), at.layout.shown(folder)
        )
    return VerifyFailed(
        f"{name}: not published, it disagrees with the ONNX model: {'; '.join(missed)}",
        what_to_write(at, target, steps),
        at.layout.shown(folder),
    )


def _fed(model: Model, target: Target, told: Mapping[str, Any]) -> dict[str, Any]:
    """What is fed to the artifact: how pictures become its input, and its inputs where that does not say all."""
    section, fused = model.config.input, model.fused(target)
    picture = {"input": as_fed(resolved_input(section.model_dump(), told), fused)} if section is not None else {}
    if fused:  # the one input, under another name: `facts` has its shape
        return {**picture, "fuse_preprocess": fused}
    ports = [{**port, "shape": [size or target.batch for size in port["shape"]]} for port in told.get("inputs", ())]
    return {**picture, **({"inputs": ports} if ports else {})}


def _provenance(
    at: Workspace, target: Target, steps: Recipe, deploy: Entry, figures: Mapping[str, Any]
) -> dict[str, Any]:
    model = at.model(target)
    builder = at.builder(model)
    made = {step: builder.run(step) for step in steps.grounds}
    return {
        "schema": published.DOCUMENT_SCHEMA,
        "target": asdict(target),
        "weights": steps.weights,
        "sha256": deploy.files[target.compiled],
        "toolchain": at.toolchain.version,
        **({} if model.config.contract == "onnx_1_6" else {"contract": model.config.contract}),
        # What the runtime needs to feed it and to read its heads: `detect` takes both from here.
        **_fed(model, target, made[steps.source].read_json("model.json")),
        "decoder": told_decoder(at, model, at.layout.artifact(target).parent),
        "facts": deploy.read_json("facts.json"),
        "profile": essentials(deploy.read_json("profile.json")),
        "verdict": {
            "passed": True,
            **({"unverified": target.unverified} if target.unverified else {}),
            **({"drawn": model.drawn} if model.drawn else {}),
            "thresholds": model.thresholds(target).model_dump(),
            **figures,
        },
        "steps": {
            step.kind if step.kind != "transform" else str(step): {
                "fingerprint": entry.fingerprint,
                "seconds": entry.facts.get("seconds"),
                "files": dict(entry.files),
                **builder.material(step),
            }
            for step, entry in made.items()
        },
    }
