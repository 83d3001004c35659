"""Flags of TPU-MLIR's programs, and why some of them have no place in a config."""

import re
from collections.abc import Mapping, Sequence

_FLAG = re.compile(r"--?[A-Za-z]")
# What the programs do alike whatever these say, and what bmzoo does in their place.
_CHECKS = "bmzoo checks every artifact on pictures of its own"
_NAMES = "bmzoo names its files by itself"
_LIMITS = "verify.thresholds says how near is near enough"
WITHOUT_PLACE: Mapping[str, str] = {
    **dict.fromkeys(("test_input", "test_reference", "test_result", "compare_all", "gen_test_input"), _CHECKS),
    **dict.fromkeys(("skip_validation", "cache_skip", "not_inference"), _CHECKS),
    **dict.fromkeys(("tolerance", "correctness", "excepts", "min_layer_cos"), _LIMITS),
    **dict.fromkeys(("model", "mlir", "model_name", "o", "test_result"), _NAMES),
    **dict.fromkeys(("debug", "log_level", "debug_log"), "what is needed to see what went wrong is kept anyway"),
    "fuse_preprocess": "pictures are prepared before the network",
    "customization_format": "pictures are prepared before the network",
    "aligned_input": "pictures are prepared before the network",
    "dynamic": "an artifact is compiled for one size",
    "resize_dims": "pictures are resized straight to the input",
    "model_type": "the suffix of the file says it",
    "input_types": "the file says them",
}
# Never worth a word: they are names of files in between.
IN_BETWEEN = ("mlir", "model", "model_name", "model_def", "o", "calibration_table", "test_result")
_SHORT_FORMS = {"input_shape": "input_shapes", "processor": "chip", "output_name": "output_names"}


def parsed(words: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    """The words of a call as those that stand alone, and flags with their values; a flag without one has ""."""
    alone: list[str] = []
    flags: dict[str, str] = {}
    name = ""
    for word in words:
        if _FLAG.match(word):
            name, equals, value = word.lstrip("-").partition("=")
            name = _SHORT_FORMS.get(name, name)
            flags[name] = value
            name = "" if equals else name
        elif name:
            flags[name] = f"{flags[name]} {word}".strip()
        else:
            alone.append(word)
    return alone, flags


def numbers(text: str) -> list[float]:
    """`123.7,116.3,103.5` as numbers. Raises ValueError."""
    return [float(part) for part in text.strip("[]").split(",") if part.strip()]


def shapes(text: str) -> list[list[int]]:
    """`[[1,3,640,640],[1,2]]` as shapes; one alone needs no second brackets. Raises ValueError."""
    rows = re.findall(r"\[([^\[\]]*)\]", text)
    if not rows and text.strip():
        rows = [text]
    return [[int(side) for side in row.split(",") if side.strip()] for row in rows]
