"""What is compared, in words for people: one table for all verdicts. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Noun:
    """One of the things, how a model is said to have none, and what the missed and the extra ones are."""

    one: str
    none: str
    missed: str
    extra: str


def _found(one: str) -> Noun:
    missed, extra = f"{one}s of the ONNX model not found", f"{one}s that the ONNX model does not have"
    return Noun(one, f"finds no {one}", missed, extra)


FACES = "faces"
NOUNS: Mapping[str, Noun] = {
    FACES: _found("face"),
    "objects": _found("object"),
    "regions": _found("region"),
    "pictures": Noun(
        "picture",
        "is sure of no class",
        "pictures not classified as by the ONNX model",
        "pictures classified otherwise than by the ONNX model",
    ),
    "pixels": Noun(
        "pixel",
        "sees only background",
        "pixels not labelled as by the ONNX model",
        "pixels labelled otherwise than by the ONNX model",
    ),
    "characters": Noun(
        "character",
        "reads no character",
        "characters of the ONNX model not read",
        "characters that the ONNX model does not read",
    ),
    "points": Noun(
        "point",
        "gives no point",
        "points far from where the ONNX model has them",
        "points that the ONNX model does not have",
    ),
}


def what_of(detections: Mapping[str, Any]) -> str:
    """What the figures of a comparison count; those of faces do not say it."""
    return str(detections.get("what", FACES))
