"""`measure`: compares a bmodel's outputs with the ONNX model's on the same inputs. Metrics only, no verdict."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bmzoo.commands.requests import picture_size, read_request
from bmzoo.errors import VerifyFailed
from bmzoo.measure.comparisons.comparison import MatchRule
from bmzoo.measure.comparisons.registry import comparison_of
from bmzoo.measure.degenerate import Heads, check_alive, check_reference
from bmzoo.measure.given_names import given_names
from bmzoo.measure.npz import arrays
from bmzoo.measure.specs import decoder_spec
from bmzoo.measure.tensors import cosine, max_error, sqnr_db
from bmzoo.runtime.decoders.decode import decode
from bmzoo.runtime.engines.session import OnnxSession
from bmzoo.runtime.predictions.prediction import Prediction

WORST_SQNR = -999.0


def run(folder: Path, args: tuple[str, ...]) -> None:
    """Write `figures.json`. Raises VerifyFailed when the outputs are not comparable."""
    request = read_request(folder, args[0])
    feeds = arrays(folder / "inputs.npz")
    reference = reference_heads(folder, feeds)
    test = aligned(reference, arrays(folder / "outputs.npz"))
    figures = {
        "images": len(next(iter(reference.values()))),
        "tensors": tensor_figures(reference, test),
        "detections": detection_figures(folder, reference, test, request),
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
    pairs = zip(reference.items(), test.values(), strict=True)
    renamed = {name: _unpadded(value, wanted) for (name, wanted), value in pairs}
    for name, value in renamed.items():
        if value.shape != reference[name].shape:
            raise VerifyFailed(
                f"output {name}: shape {list(value.shape)} in {whose}, {list(reference[name].shape)} in ONNX",
                "a batch baked into the model compiles to outputs of the wrong length",
            )
    check_alive(reference, renamed, whose)
    return renamed


def _unpadded(value: NDArray[np.float32], wanted: NDArray[np.float32]) -> NDArray[np.float32]:
    """An output in the shape of ONNX where it differs from that by ones at the end only, as in a cvimodel."""
    padded = value.ndim > wanted.ndim and value.shape == wanted.shape + (1,) * (value.ndim - wanted.ndim)
    cut = value.ndim < wanted.ndim and wanted.shape == value.shape + (1,) * (wanted.ndim - value.ndim)
    return value.reshape(wanted.shape) if padded or cut else value


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


def detection_figures(
    folder: Path, reference: Heads, test: Heads, request: Mapping[str, Any]
) -> dict[str, Any] | None:
    """What both mean, compared over the whole batch; None for models without a decoder."""
    rule = MatchRule(request["confidence"], request["margin"], request["iou"])
    wanted, found = (decoded(folder, heads, request, rule.confidence - rule.margin) for heads in (reference, test))
    row = comparison_of(wanted)
    return None if row is None else row.figures(wanted, found, rule)


def decoded(folder: Path, heads: Heads, request: Mapping[str, Any], confidence: float) -> list[Prediction]:
    """What the outputs mean, picture by picture, by the request's decoder. Raises SessionError, ConfigError."""
    settings = request["decoder"]
    size = picture_size(request)
    return decode(heads, decoder_spec(settings, folder), size, confidence, settings.get("nms", 1.0))


def _rounded(value: float) -> float | None:
    """Rounded for JSON; None for infinity, the SQNR of equal tensors, and NaN."""
    return round(value, 6) if math.isfinite(value) else None
