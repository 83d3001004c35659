"""Verdicts: an artifact's figures against its thresholds. Pure."""

from collections.abc import Iterator, Mapping
from typing import Any

from bmzoo.config.schema import Thresholds


def misses(figures: Mapping[str, Any], limits: Thresholds) -> list[str]:
    """One line for each threshold that is not met; empty when the artifact passes."""
    return [*_tensor_misses(figures["tensors"], limits), *_detection_misses(figures["detections"], limits)]


def proof_misses(figures: Mapping[str, Any], limits: Thresholds) -> list[str]:
    """Like `misses`, for the figures of `verify`, which also compares simulator with MLIR and sibling targets."""
    found = [*misses(figures, limits), *engine_misses(figures["engines"], limits)]
    for name, sibling in figures["consistency"].items():
        gap = sibling["relative"]
        if limits.consistency is not None and not gap <= limits.consistency:
            found.append(f"differs from {name} by {gap:.2g} of the range, allowed: {limits.consistency:g}")
    return found


def engine_misses(engines: Mapping[str, Any], limits: Thresholds) -> list[str]:
    """Why the lowered MLIR cannot stand in for the artifact on the simulator; empty when it can.

    Verification runs it on most pictures: for a RetinaFace of 640x640 it takes 0.1 to 0.8 s a picture, the
    simulator 2 s (INT8) to 74 s (F16).
    """
    found = []
    gap, noise = engines["relative"], engines["sqnr_db"]
    if limits.engines is not None and not gap <= limits.engines:
        found.append(f"simulator and MLIR differ by {gap:.2g} of the range, allowed: {limits.engines:g}")
    if limits.engines_sqnr is not None and noise is not None and not noise >= limits.engines_sqnr:
        found.append(f"simulator and MLIR differ by an SQNR of {noise:.1f} dB, allowed: {limits.engines_sqnr:g} dB")
    return found


def _tensor_misses(tensors: Mapping[str, Mapping[str, float | None]], limits: Thresholds) -> Iterator[str]:
    for name, values in tensors.items():
        cosine, sqnr = values["cosine"], values["sqnr_db"]
        if limits.cosine is not None and (cosine is None or cosine < limits.cosine):
            yield f"{name}: cosine {cosine} is below {limits.cosine}"
        if limits.sqnr is not None and sqnr is not None and sqnr < limits.sqnr:
            yield f"{name}: SQNR {sqnr:.1f} dB is below {limits.sqnr:g} dB"


def _detection_misses(detections: Mapping[str, Any] | None, limits: Thresholds) -> Iterator[str]:
    if detections is None:
        return
    expected = detections["expected"]
    for key, limit, what in (
        ("missed", limits.missed, "faces of the ONNX model not found"),
        ("extra", limits.extra, "faces that the ONNX model does not have"),
    ):
        share = detections[key] / max(expected, 1)
        if limit is not None and share > limit:
            yield f"{detections[key]} of {expected} {what}, allowed: {limit:.0%}"


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
        parts.append(f"{found['expected'] - found['missed']}/{found['expected']} faces, {found['extra']} extra")
    return ", ".join(part for part in parts if part)
