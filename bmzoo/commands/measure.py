"""`measure`: compares a bmodel's outputs with the ONNX model's on the same inputs. Metrics only, no verdict."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from bmzoo.errors import VerifyFailed
from bmzoo.measure.degenerate import Heads, check_alive, check_reference
from bmzoo.measure.given_names import given_names
from bmzoo.measure.matching import match_detections
from bmzoo.measure.npz import arrays
from bmzoo.measure.specs import decoder_spec
from bmzoo.measure.tensors import cosine, max_error, sqnr_db
from bmzoo.runtime.decoders.decode import Detections, decode
from bmzoo.runtime.engines.session import OnnxSession

WORST_SQNR = -999.0


def run(folder: Path, args: tuple[str, ...]) -> None:
    """Write `figures.json`. Raises VerifyFailed when the outputs are not comparable."""
    request = json.loads((folder / args[0]).read_text(encoding="utf-8"))
    feeds = arrays(folder / "inputs.npz")
    reference = reference_heads(folder, feeds)
    test = aligned(reference, arrays(folder / "outputs.npz"))
    figures = {
        "images": len(next(iter(feeds.values()))),
        "tensors": tensor_figures(reference, test),
        "detections": detection_figures(reference, test, request),
    }
    (folder / "figures.json").write_text(json.dumps(figures, indent=1, sort_keys=True), encoding="utf-8")


def reference_heads(folder: Path, feeds: Heads) -> Heads:
    """What the ONNX model gives, by its own names. Raises VerifyFailed where nothing can be compared with that."""
    given = given_names(folder)
    heads = OnnxSession(folder / "model.onnx").run(feeds)
    found = {given.get(name, name): value for name, value in heads.items()}
    check_reference(found, next(iter(feeds.values())))
    return found


def aligned(reference: Heads, test: Heads, whose: str = "the artifact") -> Heads:
    """The artifact's outputs under their ONNX names. Matched by position, as TPU-MLIR adds suffixes to names.

    Raises VerifyFailed for what is not comparable, and for outputs that would agree with anything.
    """
    if len(reference) != len(test):
        raise VerifyFailed(f"number of outputs: {len(test)} in {whose}, {len(reference)} in the ONNX model")
    renamed = dict(zip(reference, test.values(), strict=True))
    for name, value in renamed.items():
        if value.shape != reference[name].shape:
            raise VerifyFailed(
                f"output {name}: shape {list(value.shape)} in {whose}, {list(reference[name].shape)} in ONNX",
                "a batch baked into the model compiles to outputs of the wrong length",
            )
    check_alive(reference, renamed, whose)
    return renamed


def tensor_figures(reference: Heads, test: Heads) -> dict[str, dict[str, float | None]]:
    """Per head: cosine similarity, SQNR in dB (null when equal), largest absolute error; worst over the batch."""
    figures: dict[str, dict[str, float | None]] = {}
    for name, value in reference.items():
        pairs = list(zip(value, test[name], strict=True))
        figures[name] = {
            "cosine": _rounded(min(cosine(a, b) for a, b in pairs)),
            # Clamped: -inf (noise on a reference of zeros) would become null in JSON, which means equal.
            "sqnr_db": _rounded(max(min(sqnr_db(a, b) for a, b in pairs), WORST_SQNR)),
            "max_error": _rounded(max(max_error(a, b) for a, b in pairs)),
        }
    return figures


def detection_figures(reference: Heads, test: Heads, request: Mapping[str, Any]) -> dict[str, Any] | None:
    """Detections matched after decoding and NMS, over the whole batch; None for models without a decoder."""
    settings = request["decoder"]
    if settings["kind"] == "none":
        return None
    spec = decoder_spec(settings)
    low = request["confidence"] - request["margin"]
    size = (request["input"]["height"], request["input"]["width"])
    wanted, found = (decode(heads, spec, size, low, settings["nms"]) for heads in (reference, test))
    slots = [
        match_detections(a, b, request["confidence"], request["margin"], request["iou"])
        for a, b in zip(wanted, found, strict=True)
    ]
    expected = [_certain(faces, request) for faces in wanted]
    return {
        "expected": sum(expected),
        "expected_per_image": expected,
        "missed": sum(len(m.missing) for m in slots),
        "extra": sum(len(m.extra) for m in slots),
        "mean_iou": _rounded(float(np.mean([m.mean_iou for m in slots]))),
    }


def _certain(faces: Detections, request: Mapping[str, Any]) -> int:
    return int((faces.scores >= request["confidence"] + request["margin"]).sum())


def _rounded(value: float) -> float | None:
    """Rounded for JSON; None for infinity, the SQNR of equal tensors, and NaN."""
    return round(value, 6) if math.isfinite(value) else None
