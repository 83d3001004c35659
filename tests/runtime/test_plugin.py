"""A decoder of the user's own: what it gives, and every way in which it can go wrong."""

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bmzoo.errors import ConfigError
from bmzoo.runtime.decoders import plugin
from bmzoo.runtime.decoders.decode import DecoderSpec, decode, decode_boxes
from bmzoo.runtime.decoders.given import BUILDERS
from bmzoo.runtime.predictions.registry import PREDICTIONS

HEADS = {"y": np.arange(12, dtype=np.float32).reshape(2, 6)}
GIVEN = {
    "detections": "{'boxes': [[1, 2, 3, 4], [0, 0, 9, 9]], 'scores': [0.5, 0.9], 'labels': [1, 0]}",
    "classes": "{'scores': [0.25, 0.75]}",
    "mask": "{'labels': [[0, 1], [2, 1]]}",
    "regions": "{'quads': [[[0, 0], [9, 0], [9, 9], [0, 9]]], 'scores': [0.5]}",
    "text": "{'labels': [1, 0], 'scores': [0.5, 0.9]}",
    "points": "{'points': [[1, 2], [3, 4]]}",
}


def spec(tmp_path: Path, text: str, **more: Any) -> DecoderSpec:
    path = tmp_path / "mine.py"
    path.write_text(text)
    return DecoderSpec("plugin", plugin=str(path), **more)


def giving(kind: str, text: str) -> str:
    return f"GIVES = '{kind}'\n\ndef decode(outputs, size, confidence):\n    return {text}\n"


@pytest.mark.parametrize("kind", GIVEN)
def test_every_kind_can_be_given(kind: str, tmp_path: Path) -> None:
    assert set(GIVEN) == set(BUILDERS) == set(PREDICTIONS) - {"tensors"}
    found = decode(HEADS, spec(tmp_path, giving(kind, f"[{GIVEN[kind]}] * 2")), (8, 8), 0.5, 0.4)
    assert [type(one).__name__ for one in found] == [PREDICTIONS[kind].name] * 2
    assert found[0].lines() == found[1].lines()


def test_it_is_given_outputs_size_and_confidence(tmp_path: Path) -> None:
    text = giving(
        "points", "[{'points': [[outputs['y'][i].sum(), size[0]], [size[1], confidence]]} for i in (0, 1)]"
    )
    one, two = decode(HEADS, spec(tmp_path, text), (8, 16), 0.25, 0.4)
    assert one.lines() == ["2", "15.00 8.00", "16.00 0.25"] and two.lines()[1] == "51.00 8.00"


def test_detections_are_sorted_and_named(tmp_path: Path) -> None:
    given = spec(tmp_path, giving("detections", f"[{GIVEN['detections']}] * 2"), classes=("cat", "dog"))
    found = decode_boxes(HEADS, given, (8, 8), 0.5, 0.4)[0]
    assert found.lines() == ["2", "0 0 9 9 0.9 cat", "1 2 2 2 0.5 dog"]
    nothing = spec(tmp_path, giving("detections", "[{'boxes': [], 'scores': []}] * 2").replace("\n\n", "\n# \n"))
    plugin._loaded.cache_clear()
    assert len(decode_boxes(HEADS, nothing, (8, 8), 0.5, 0.4)[1]) == 0


WRONG = {
    "raises": (giving("points", "[1 / 0]"), r"mine.py:4: ZeroDivisionError: division by zero"),
    "raises when it is read": ("import nothing_of_that_name\n", r"mine.py:1: ModuleNotFoundError: No module named"),
    "is no Python": ("def decode(:\n", r"mine.py:1: SyntaxError: "),
    "ends the process": (giving("points", "exit(3)"), r"mine.py: ended the process: 3"),
    "does not say what it gives": (
        "def decode(a, b, c):\n    return []\n",
        r"GIVES must be one of detections, .*: None",
    ),
    "has no decode": ("GIVES = 'points'\n", r"has no function `decode\(outputs, size, confidence\)`"),
    "gives nothing": (giving("points", "None"), r"a list with a dict for each of 2 pictures: NoneType"),
    "gives one of two": (giving("points", "[{}]"), r"a list with a dict for each of 2 pictures: 1 of them"),
    "gives no dicts": (giving("points", "[1, 2]"), r"must give a dict for each picture: int"),
    "leaves out a key": (giving("points", "[{}] * 2"), r"decode gives no `points`: nothing"),
    "gives a wrong shape": (giving("points", "[{'points': [1, 2]}] * 2"), r"`points` must be \[k, 2\]: \[2\]"),
    "gives lengths that differ": (
        giving("detections", "[{'boxes': [[0, 0, 1, 1]], 'scores': [0.5, 0.5]}] * 2"),
        r"`boxes` must be \[2, 4\]: \[1, 4\]",
    ),
    "gives words": (giving("classes", "[{'scores': ['a']}] * 2"), r"`scores` is not an array of numbers"),
    "gives NaN": (
        giving("classes", "[{'scores': [float('nan')]}] * 2"),
        r"`scores` has values that are not finite",
    ),
    "misspells": (giving("points", "[{'points': [[0, 0]], 'point': 1}] * 2"), r"unknown key: `point`"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_goes_wrong_in_it_is_one_line(case: str, tmp_path: Path) -> None:
    text, message = WRONG[case]
    with pytest.raises(ConfigError, match=message) as caught:
        decode(HEADS, spec(tmp_path, text), (8, 8), 0.5, 0.4)
    assert "\n" not in caught.value.message and str(tmp_path / "mine.py") in caught.value.message


def test_one_that_hangs_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plugin, "SECONDS", 0.2)
    text = "GIVES = 'points'\ndef decode(a, b, c):\n    while True:\n        try:\n            sum(range(99))\n"
    text += "        except Exception:\n            pass\n"
    start = time.monotonic()
    with pytest.raises(ConfigError, match=r"mine.py: did not end within 0.2 seconds"):
        decode(HEADS, spec(tmp_path, text), (8, 8), 0.5, 0.4)
    assert time.monotonic() - start < 5


def test_it_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="plugin is missing"):
        decode(HEADS, DecoderSpec("plugin"), (8, 8), 0.5, 0.4)
    with pytest.raises(ConfigError, match="no such Python file"):
        decode(HEADS, DecoderSpec("plugin", plugin=str(tmp_path / "none.py")), (8, 8), 0.5, 0.4)
