"""Builds the zoo's manifest after a run, from the published results; nothing is measured again."""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import lru_cache, partial
from typing import Any, Literal

from bmzoo.measure.latency import NoLatency
from bmzoo.measure.metrics.registry import metric_document, told_metric
from bmzoo.plan.verify import engine
from bmzoo.release.float_table import float_table
from bmzoo.release.manifest import Accuracy, Agreement, Artifact, Estimate, ZooManifest
from bmzoo.release.outcomes import Outcomes, Problem
from bmzoo.results import latency
from bmzoo.results.left_out import left_out
from bmzoo.results.truth import has_truth
from bmzoo.system.text import printable
from bmzoo.target import Target
from bmzoo.workspace import Workspace

Stage = Literal["build", "verify", "eval"]


def take(at: Workspace, outcomes: Outcomes) -> ZooManifest:
    """The manifest of all targets of all valid configs not left out, with the causes of this run's failures."""
    tools: dict[str, set[str]] = {}
    artifacts = []
    accuracy = lru_cache(maxsize=None)(partial(_accuracy, at))  # shared by all batches and core counts
    absent = left_out(at)
    for model in (one for one in at.models.values() if one not in absent):
        for target in model.targets:
            problems = dict(_problems(at, target, outcomes))
            told = {} if "build" in problems else at.documents.by(at.layout.provenance(target))
            for step in told.get("steps", {}).values():
                for tool, identity in step.get("tools", {}).items():
                    tools.setdefault(printable(tool), set()).add(printable(identity))
            artifacts.append(_artifact(at, target, told, problems, accuracy))
    return ZooManifest(
        artifacts=tuple(artifacts),
        broken={name: printable(error.message) for name, error in at.configs.broken.items()},
        tools={tool: tuple(sorted(found)) for tool, found in sorted(tools.items())},
    )


def _problems(at: Workspace, target: Target, outcomes: Outcomes) -> Iterator[tuple[Stage, Problem]]:
    stages: tuple[Stage, ...] = ("build", "verify", "eval")
    for stage in stages:
        problem = outcomes.problem(f"{stage}:{target.qualified(at.default_model)}")
        if problem is not None:
            # Without the checkout's path: the manifest must be the same on every machine.
            yield stage, replace(problem, cause=problem.cause.replace(f"{at.root}/", ""))


def _artifact(
    at: Workspace,
    target: Target,
    told: Mapping[str, Any],
    problems: Mapping[Stage, Problem],
    accuracy: Callable[[str, str, str], Accuracy | None],
) -> Artifact:
    known: dict[str, Any] = {
        "model": target.model,
        "chip": target.chip,
        "precision": target.precision,
        "batch": target.batch,
        "cores": target.cores,
        "file": target.artifact,
        **_trouble(problems),
    }
    if not told:
        missing = {"stage": "build", "cause": "there is no provenance beside it: it was not built"}
        return Artifact(**{**(missing if not problems else {}), **known, "status": "failed"})
    verified = at.documents.by(at.layout.verification(target))
    current = verified.get("sha256") == told["sha256"]
    name = engine(at.models[target.model], target)
    if not problems and target.unverified:
        known |= {"stage": "verify", "cause": f"unverified: nothing here runs it: {target.unverified}"}
    elif not problems and not current:
        known |= {"stage": "verify", "cause": "not verified since it was made"}
    return Artifact(
        **known,
        status="unverified" if target.unverified and not problems else _status(problems, current),
        sha256=told["sha256"],
        size=told["facts"]["bytes"],
        weights=told["weights"],
        compiler=printable(told["steps"]["deploy"]["tools"]["model_deploy.py"]),
        cost=_cost(told["facts"].get("cost")),
        **_estimate(target, told),
        float_layers=_float_layers(at, target, told),
        agreement=_agreement(verified if current else told["verdict"]),
        accuracy=None if "eval" in problems else accuracy(target.model, told["weights"], name),
        contract=told.get("contract"),
        fuse_preprocess=told.get("fuse_preprocess"),
    )


def _trouble(problems: Mapping[Stage, Problem]) -> dict[str, str | None]:
    """Stage, cause and evidence of the first failure; empty without failures."""
    for stage, problem in problems.items():
        what = problem.cause if problem.own else f"{problem.task}: {problem.cause}"
        evidence = printable(problem.evidence) if problem.evidence else None
        return {"stage": stage, "cause": printable(what), "evidence": evidence}
    return {}


def _status(problems: Mapping[Stage, Problem], current: bool) -> Literal["verified", "built", "failed"]:
    verify = problems.get("verify")
    if "build" in problems or "eval" in problems or (verify is not None and verify.own):
        return "failed"
    # `verify` did not run because a sibling failed, which is no failure of this target: it stays `built`.
    return "verified" if verify is None and current else "built"


def _agreement(figures: Mapping[str, Any]) -> Agreement:
    tensors = {name: values for name, values in figures["tensors"].items() if values["cosine"] is not None}

    def nearness(name: str) -> tuple[float, float, str]:
        noise = tensors[name]["sqnr_db"]
        return tensors[name]["cosine"], math.inf if noise is None else noise, name

    worst = min(tensors, key=nearness, default=None)
    noise = [values["sqnr_db"] for values in figures["tensors"].values() if values["sqnr_db"] is not None]
    found = figures["detections"] or {}
    return Agreement(
        pictures=figures["images"],
        cosine=tensors[worst]["cosine"] if worst is not None else None,
        sqnr_db=min(noise, default=None),
        worst=printable(worst) if worst is not None else None,
        expected=found.get("expected"),
        what=found.get("what"),
        missed=found.get("missed"),
        extra=found.get("extra"),
        mean_iou=found.get("mean_iou"),
        drawn=printable(figures["drawn"]) if "drawn" in figures else None,
    )


def _accuracy(at: Workspace, model: str, weights: str, name: str) -> Accuracy | None:
    """Results of `eval` for an engine; None without ground truth, as they cannot be checked to be current then."""
    if not has_truth(at, at.models[model]):
        return None
    ours, onnx = (at.documents.by(at.layout.evaluation(model, weights, each)) for each in (name, "onnx"))
    if not ours or not onnx:
        return None
    metric, figures = told_metric(ours)
    told = metric_document(metric, _finite(figures))
    return Accuracy(pictures=ours["pictures"], onnx=_finite(told_metric(onnx)[1]), **told)


def _finite(figures: Mapping[str, float]) -> dict[str, float]:
    """Finite values only: a subset without faces has no average precision."""
    return {name: float(value) for name, value in sorted(figures.items()) if math.isfinite(value)}


def _cost(value: Any) -> int | None:
    return round(value) if isinstance(value, int | float) and math.isfinite(value) else None


def _estimate(target: Target, told: Mapping[str, Any]) -> dict[str, Any]:
    """How long it takes on the chip, or why that cannot be said."""
    found = latency.of_artifact(target, told)
    if isinstance(found, NoLatency):
        return {"no_estimate": printable(found.why)}
    return {"estimate": Estimate(ms=found.ms, low=found.low, high=found.high)}


def _float_layers(at: Workspace, target: Target, told: Mapping[str, Any]) -> int | None:
    """Number of float layers in the mixed-precision table; 0 without one, None when it cannot be read."""
    found = float_table(at, target, told)
    return None if found is None else len(found)
