"""`verify`: one artifact against ONNX on more pictures, against its MLIR, and against its siblings."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from bmzoo.config.accuracy import Thresholds
from bmzoo.config.model import Model
from bmzoo.errors import BmzooError, VerifyFailed
from bmzoo.execute import published
from bmzoo.measure import verdict
from bmzoo.plan.step import Step
from bmzoo.plan.verify import Proof, alone_step, drift_step, proof
from bmzoo.store.local import Entry
from bmzoo.system import files
from bmzoo.target import Target
from bmzoo.workspace import Workspace

NO_WITNESS = "TPU-MLIR's interpreter runs this network wrongly"
NOT_ALONE = "its MLIR misleads, and not all pictures ran on the simulator yet"
EXACT = "no layer of its MLIR goes wrong: look at the conversion from ONNX, and at the compiled code"


def verify_target(at: Workspace, target: Target) -> str:
    """Write `<artifact>.verify.json`, passed or not. Returns the figures in a line; raises VerifyFailed."""
    model = at.model(target)
    at.weights.announce(model)
    steps = proof(model, target, at.weights.chosen(model))
    builder = at.builder(model)
    entry = builder.run(steps.compare)
    figures = entry.read_json("figures.json")
    if alone := _alone(at, target, figures):
        entry = builder.run(alone.step)
        figures = alone.figures(entry)
    limits = _limits(model, target, figures)
    missed = verdict.proof_misses(figures, limits)
    told = {**_document(at, target, steps, figures), "fingerprint": entry.fingerprint, "misses": missed}
    nothing = verdict.nothing_compared(figures, limits)
    if missed and [nothing] != missed:
        told["drift"] = _drift(at, target) if alone is None else {"layer": None, "why": NO_WITNESS}
    files.write(files.json_text(told), at.layout.verification(target))
    if [nothing] == missed:
        raise VerifyFailed(nothing, verdict.nothing_hint(figures), at.layout.shown(at.layout.verification(target)))
    if missed:
        raise VerifyFailed(
            f"disagrees with the ONNX model: {'; '.join(missed)}",
            _layer(told["drift"]),
            at.layout.shown(at.layout.verification(target)),
        )
    return summary(figures, model.samples_are)


def is_current(at: Workspace, target: Target) -> bool:
    """Whether the verification is of this very artifact and still passes its thresholds."""
    model = at.model(target)
    steps = proof(model, target, at.weights.chosen(model))
    builder = at.builder(model)
    deploy, entry = builder.find(steps.build.deploy), builder.find(steps.compare)
    return deploy is not None and entry is not None and not outdated(at, target, deploy, entry)


def outdated(at: Workspace, target: Target, deploy: Entry, entry: Entry) -> str:
    """Why the verification is not what this comparison of this artifact would give; empty when it is."""
    figures = entry.read_json("figures.json")
    if alone := _alone(at, target, figures):
        found = at.builder(at.model(target)).find(alone.step)
        if found is None:
            return NOT_ALONE
        entry, figures = found, alone.figures(found)
    limits = _limits(at.model(target), target, figures)
    missed = verdict.proof_misses(figures, limits)
    if missed:
        return f"its figures miss the thresholds: {'; '.join(missed)}"
    told = at.documents.by(at.layout.verification(target))
    if not told:
        return "not published yet, or deleted or damaged"
    if told.get("fingerprint") != entry.fingerprint:
        return "made from other inputs"
    if told.get("sha256") != deploy.files[target.compiled]:
        return "of an artifact of other bytes, which gave the same outputs"
    return "" if told.get("thresholds") == limits.model_dump() else "judged by other thresholds"


@dataclass(frozen=True)
class _Alone:
    """The comparison without the MLIR, and what speaks against that."""

    step: Step
    why: list[str]

    def figures(self, entry: Entry) -> dict[str, Any]:
        return {**entry.read_json("figures.json"), "alone": self.why}


def _alone(at: Workspace, target: Target, figures: Mapping[str, Any]) -> _Alone | None:
    """What decides in place of a comparison whose MLIR is no witness; None where it is one."""
    model = at.model(target)
    why = verdict.mlir_misleads(figures, _limits(model, target, figures))
    return _Alone(alone_step(model, target, at.weights.chosen(model)), why) if why else None


def _limits(model: Model, target: Target, figures: Mapping[str, Any]) -> Thresholds:
    """The target's thresholds; where the config states none between engines, by what the artifact holds."""
    return model.thresholds(target, verdict.between_engines(figures["engines"]))


def summary(figures: Mapping[str, Any], of: str = "pictures") -> str:
    """The figures in one line, for the terminal. `of`: what was compared."""
    engines = figures["engines"]
    if "alone" in figures:
        equal = "all on the simulator, as its MLIR misleads"
    else:
        equal = "equal to its MLIR" if engines["equal"] else f"{engines['sqnr_db']:.0f} dB from its MLIR"
    others = [
        f"equal to {name}" if other["equal"] else f"within {other['relative']:.1g} of {name}"
        for name, other in figures["consistency"].items()
    ]
    return f"{figures['images']} {of}: {', '.join([verdict.summary(figures), equal, *others])}"


def _document(at: Workspace, target: Target, steps: Proof, figures: Mapping[str, Any]) -> dict[str, Any]:
    model = at.model(target)
    limits = _limits(model, target, figures)
    deploy = at.builder(model).run(steps.build.deploy)
    return {
        "schema": published.DOCUMENT_SCHEMA,
        "target": asdict(target),
        "weights": steps.build.weights,
        "sha256": deploy.files[target.compiled],
        "toolchain": at.toolchain.version,
        "thresholds": limits.model_dump(),
        "passed": not verdict.proof_misses(figures, limits),
        "pictures": at.builder(model).run(steps.infer).fingerprint,  # the result that holds what was looked at
        **({"drawn": model.drawn} if model.drawn else {}),
        **{key: value for key, value in figures.items() if key != "apart"},
    }


def _drift(at: Workspace, target: Target) -> Any:  # noqa: ANN401  # a JSON document
    """The first layer that goes wrong; a failure to find it must not hide the failure that it explains."""
    model = at.model(target)
    try:
        return at.builder(model).run(drift_step(model, target, at.weights.chosen(model))).read_json("drift.json")
    except BmzooError as error:
        return {"layer": None, "why": error.message}


def _layer(drift: Mapping[str, Any]) -> str:
    if drift.get("layer") is None:
        return "" if "why" in drift else EXACT
    noise = f" (SQNR {drift['sqnr_db']:.1f} dB)" if drift["sqnr_db"] is not None else ""
    if not drift.get("below_limit", True):
        return f"no layer alone goes wrong; most noise is in {drift['layer']}{noise}"
    return f"the first layer that goes wrong is {drift['layer']}{noise}"
