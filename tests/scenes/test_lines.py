"""Drawn lines of text: what stands in them is what their truth says."""

import json
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from bmzoo.config.scene_sets import LINE_DRAWING
from bmzoo.errors import ConfigError
from bmzoo.scenes import draw_line

ROOT = Path(__file__).parents[2]
SEEDS = range(40)


def test_same_arguments_same_bytes_in_another_process() -> None:
    code = "import bmzoo.scenes as s, hashlib; x = s.draw_line(3, 48, 320); print(x.text);"
    code += "print(hashlib.sha256(x.image.tobytes()).hexdigest())"
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    again = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert run.stdout == again.stdout and run.stdout.splitlines()[0] == draw_line(3, 48, 320).text
    assert not np.array_equal(draw_line(3, 48, 320).image.shape, draw_line(4, 48, 320).image.shape)


@pytest.mark.parametrize(("height", "width"), [(48, 320), (32, 100), (16, 16)])
def test_a_line_fills_no_more_than_the_network_takes(height: int, width: int) -> None:
    for seed in SEEDS:
        line = draw_line(seed, height, width)
        tall, wide = line.image.shape[:2]
        assert line.image.dtype == np.uint8 and line.image.shape[2] == 3
        assert round(0.6 * height) <= tall <= 2 * height
        assert wide * height <= width * tall, "at the network's height it is no longer than its width"


def test_what_it_says_is_plain() -> None:
    texts = [draw_line(seed, 48, 320).text for seed in SEEDS]
    for text in texts:
        assert text.isascii() and text.isprintable() and text == " ".join(text.split())
    assert len(set(texts)) == len(texts)
    said = "".join(texts)
    assert any(map(str.isdigit, said)) and any(map(str.isupper, said)) and any(map(str.islower, said))
    assert " " in said


def test_text_stands_out_from_the_ground() -> None:
    """The darkest or lightest tenth of the middle differs from what is most of it."""
    told = []
    for seed in SEEDS:
        grey = cv2.cvtColor(draw_line(seed, 48, 320).image, cv2.COLOR_BGR2GRAY)
        middle = grey[len(grey) // 3 : -len(grey) // 3].astype(float)
        told.append(np.percentile(middle, 95) - np.percentile(middle, 5))
    assert np.median(told) > 60


@pytest.mark.parametrize(("height", "width"), [(15, 320), (48, 47)])
def test_what_is_too_small_is_refused(height: int, width: int) -> None:
    with pytest.raises(ConfigError, match=f"at least 16 pixels high, and as wide: {height}x{width}"):
        draw_line(0, height, width)


def test_seeds_come_to_the_lines_that_decisions_were_derived_from() -> None:
    """Where drawing was changed: raise LINE_DRAWING, write the file anew, derive what is stale."""
    kept = json.loads((ROOT / "tests" / "data" / "line_drawing.json").read_text())
    assert kept["drawing"] == LINE_DRAWING
    for seed, told in kept["seeds"].items():
        line = draw_line(int(seed), 48, 320)
        small = cv2.resize(line.image, (8, 2), interpolation=cv2.INTER_AREA)
        assert line.text == told["text"]
        # Not to the last bit: processors round differently.
        assert np.abs(small.astype(int) - np.array(told["small"])).max() <= 2
