"""Verdicts: an artifact's figures against its thresholds. Pure."""

from collections.abc import Iterator, Mapping
from typing import Any

from bmzoo.config.accuracy import Thresholds
from bmzoo.config.model import DEFAULT_THRESHOLDS, FLOATS_INSIDE
from bmzoo.measure.nouns import NOUNS, what_of

# What an MLIR calls a precision.
QUANTIZE_NAMES = {"f32": "fp32", "f16": "fp16", "bf16": "bf16"}


def nothing_hint(figures: Mapping[str, Any]) -> str:
    """What to do where nothing was compared."""
    what = what_of(figures["detections"])
    return (
        f"put pictures with {what} first, with verify.images.first; where the model finds nothing in any of them, "
        "`input` and `decoder` may not be what it was trained with; faces: 0 below verify.thresholds asks for none"
    )


def misses(figures: Mapping[str, Any], limits: Thresholds) -> list[str]:
    """One line for each threshold that is not met; empty when the artifact passes."""
    return [*tensor_misses(figures["tensors"], limits), *_detection_misses(figures, limits)]


def proof_misses(figures: Mapping[str, Any], limits: Thresholds) -> list[str]:
    """Like `misses`, for the figures of `verify`, which also compares simulator with MLIR and sibling targets.

    All on the simulator, its MLIR is no witness: figures["alone"] says why.
    """
    engines = [] if "alone" in figures else engine_misses(figures["engines"], limits)
    found = [*misses(figures, limits), *engines]
    for name, sibling in figures["consistency"].items():
        gap = sibling["relative"]
        if limits.consistency is not None and not gap <= limits.consistency:
            found.append(f"differs from {name} by {gap:.2g} of the range, allowed: {limits.consistency:g}")
    return found


def between_engines(engines: Mapping[str, Any]) -> Thresholds:
    """Default limits between simulator and MLIR by what an integer artifact computes in float."""
    kinds = [QUANTIZE_NAMES[kind] for kind in engines.get("floats", ())]
    if engines.get("requantized"):
        return FLOATS_INSIDE
    return Thresholds(engines=max((DEFAULT_THRESHOLDS[kind].engines or 0.0 for kind in kinds), default=None))


def engine_misses(engines: Mapping[str, Any], limits: Thresholds) -> list[str]:
    """Why the lowered MLIR cannot stand in for the artifact on the simulator; empty when it can.

    Verification runs it on most pictures: for a RetinaFace of 640x640 it takes 0.1 to 0.8 s a picture, the
    simulator 2 s (INT8) to 74 s (F16).
    """
    if engines.get("dead"):
        return [engines["dead"]]
    found = []
    gap, noise = engines["relative"], engines["sqnr_db"]
    if limits.engines is not None and not gap <= limits.engines:
        found.append(f"simulator and MLIR differ by {gap:.2g} of the range, allowed: {limits.engines:g}")
    if limits.engines_sqnr is not None and noise is not None and not noise >= limits.engines_sqnr:
        found.append(f"simulator and MLIR differ by an SQNR of {noise:.1f} dB, allowed: {limits.engines_sqnr:g} dB")
    return found


def mlir_misleads(figures: Mapping[str, Any], limits: Thresholds) -> list[str]:
    """What shows that TPU-MLIR's interpreter runs a network wrongly that the artifact computes rightly.

    On the same pictures it is not the simulator's equal, and misses the thresholds against ONNX that the artifact
    on the simulator reaches, or gives NaN or the same for all. Empty in any other case: where both agree with ONNX,
    though not with each other, or where neither does, a fault of the artifact is not ruled out.
    """
    different = engine_misses(figures["engines"], limits)
    if figures["engines"].get("dead"):
        return [] if misses(figures, limits) else different
    apart = figures.get("apart")
    if not apart or not different or misses(apart["simulator"], limits):
        return []
    return misses(apart["mlir"], limits)


def tensor_misses(tensors: Mapping[str, Mapping[str, float | None]], limits: Thresholds) -> Iterator[str]:
    """What is wrong with tensors, whatever is found in them."""
    for name, values in tensors.items():
        cosine, sqnr = values["cosine"], values["sqnr_db"]
        if limits.cosine is not None and (cosine is None or cosine < limits.cosine):
            yield f"{name}: cosine {cosine} is below {limits.cosine}"
        if limits.sqnr is not None and sqnr is not None and sqnr < limits.sqnr:
            yield f"{name}: SQNR {sqnr:.1f} dB is below {limits.sqnr:g} dB"


def shortfall(figures: Mapping[str, Any], limits: Thresholds) -> float:
    """How far the figures are from the thresholds: 0 for those that pass; shares of what is missing, added up."""
    gaps = []
    for values in figures["tensors"].values():
        if limits.cosine is not None:
            gaps.append(limits.cosine - (values["cosine"] or 0.0))
        if limits.sqnr is not None and values["sqnr_db"] is not None:
            gaps.append((limits.sqnr - values["sqnr_db"]) / 100)
    found = figures["detections"]
    if found is not None:
        for key, limit in (("missed", limits.missed), ("extra", limits.extra)):
            if limit is not None:
                gaps.append(found[key] / max(found["expected"], 1) - limit)
    return sum(max(gap, 0.0) for gap in gaps)


def nothing_compared(figures: Mapping[str, Any], limits: Thresholds) -> str:
    """Why detections say nothing of the artifact: the ONNX model finds too few itself; empty when they do."""
    found = figures["detections"]
    if found is None or found["expected"] >= (limits.faces or 0):
        return ""
    what = what_of(found)
    if found["expected"]:
        return f"too little was compared: the ONNX model finds {found['expected']} {what}, needed: {limits.faces}"
    number = figures["images"]
    where = "the picture" if number == 1 else f"the {number} pictures"
    return f"nothing was compared: the ONNX model {NOUNS[what].none} in {where}"


def _detection_misses(figures: Mapping[str, Any], limits: Thresholds) -> Iterator[str]:
    detections = figures["detections"]
    if detections is None:
        return
    if said := nothing_compared(figures, limits):
        yield said
    expected = detections["expected"]
    both = expected - detections["missed"]
    what = what_of(detections)
    noun = NOUNS[what]
    for key, limit, told in (("missed", limits.missed, noun.missed), ("extra", limits.extra, noun.extra)):
        share = detections[key] / max(expected, 1)
        if limit is not None and share > limit:
            yield f"{detections[key]} of {expected} {told}, allowed: {limit:.0%}"
        elif key == "missed" and both < (limits.faces or 0) <= expected:
            yield f"{both} of {expected} {what} of the ONNX model found, needed: {limits.faces}"


def summary(figures: Mapping[str, Any]) -> str:
    """The figures in one line, for the terminal."""
    tensors = figures["tensors"].values()
    worst = min((v["cosine"] for v in tensors if v["cosine"] is not None), default=None)
    noise = min((v["sqnr_db"] for v in tensors if v["sqnr_db"] is not None), default=None)
    parts = [
        f"cosine {worst:.5f}" if worst is not None else "",
        f"SQNR {noise:.1f} dB" if noise is not None else "exact",
    ]
    found = figures["detections"]
    if found is not None:
        what = what_of(found)
        both = f"{found['expected'] - found['missed']}/{found['expected']} {what}"
        parts.append(f"{both if found['expected'] else f'no {NOUNS[what].one} to find'}, {found['extra']} extra")
    return ", ".join(part for part in parts if part)
