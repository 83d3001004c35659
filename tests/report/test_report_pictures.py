"""Pictures out of the store: what a network saw, and what was found in it."""

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from conftest import draw

from bmzoo.commands.prepare import input_spec
from bmzoo.config.inputs import Input
from bmzoo.measure.model_facts import resolved_input
from bmzoo.report.pictures import MOST_PICTURES, NOT_DRAWN, NOT_KEPT, album, as_pixels
from bmzoo.runtime.preprocess import prepare, read_image
from bmzoo.store.local import Store

SECTION = Input(height=40, width=60, pixel_format="rgb", mean=(104.0, 117.0, 123.0), scale=(0.5, 1.0, 2.0))
SETTINGS = resolved_input(SECTION.model_dump(), {})


@pytest.mark.parametrize("pixel_format", ["bgr", "rgb", "gray", "rgba", "bgra"])
def test_what_a_network_sees_is_made_a_picture_again(tmp_path: Path, pixel_format: str) -> None:
    draw(tmp_path / "a.png", "x")
    settings = resolved_input({**SETTINGS, "height": 30, "width": 40, "pixel_format": pixel_format}, {})
    image = read_image(tmp_path / "a.png")
    tensor, _ = prepare(image, input_spec(settings))
    again = as_pixels(tensor, settings)
    grey = np.repeat(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)[:, :, None], 3, axis=2)
    np.testing.assert_array_equal(again, grey if pixel_format == "gray" else image)


def published(store: Store, name: str, content: bytes, **facts: Any) -> str:
    """An entry of one file; its fingerprint."""
    key = format(len(name) * 7919 + len(content), "064x")
    with store.scratch() as folder:
        (folder / name).write_bytes(content)
        store.publish(key, folder, (name,), facts)
    return key


def verified(
    store: Store, tmp_path: Path, found: list[dict[str, Any]] | None, digests: list[str]
) -> dict[str, str]:
    """What `verify` publishes about pictures: two results in the store."""
    batch = np.random.default_rng(0).uniform(-50, 50, (len(digests), 3, 40, 60)).astype(np.float32)
    np.savez(tmp_path / "inputs.npz", input=batch)
    material = {"inputs": {f"pictures/{i:05}.png": digest for i, digest in enumerate(digests)}}
    seen = published(store, "inputs.npz", (tmp_path / "inputs.npz").read_bytes(), material=material)
    return {
        "fingerprint": published(store, "found.json", json.dumps({"pictures": found}).encode()),
        "pictures": seen,
    }


def picture(missed: int = 0) -> dict[str, Any]:
    boxes = [[1.0, 2.0, 3.0, 4.0, 0.9]] * max(1, missed)
    return {"onnx": boxes, "artifact": boxes[:1], "pairs": [], "missed": list(range(missed)), "extra": []}


def test_what_differs_comes_first_and_each_picture_is_written_once(tmp_path: Path) -> None:
    store = Store(tmp_path / "build")
    found = [picture(), picture(2), *[picture()] * MOST_PICTURES]
    told = verified(store, tmp_path, found, [f"{i}" for i in range(len(found))])
    made = album(store, told, SETTINGS, tmp_path / "pictures")
    assert [p.number for p in made.pictures] == [1, 0, *range(2, MOST_PICTURES)]
    assert (made.count, made.size, made.pictures[0].differs) == (MOST_PICTURES + 2, (60, 40), 2)
    files = {p.name: p.stat().st_mtime_ns for p in (tmp_path / "pictures").iterdir()}
    assert set(files) == {p.file for p in made.pictures} and len(files) == MOST_PICTURES
    assert read_image(tmp_path / "pictures" / made.pictures[0].file).shape == (40, 60, 3)
    assert album(store, told, SETTINGS, tmp_path / "pictures") == made
    assert {p.name: p.stat().st_mtime_ns for p in (tmp_path / "pictures").iterdir()} == files


def test_the_same_picture_seen_in_another_way_is_another_file(tmp_path: Path) -> None:
    store = Store(tmp_path / "build")
    told = verified(store, tmp_path, [picture()], ["a"])
    one, other = (album(store, told, {**SETTINGS, "pad_value": pad}, tmp_path / "p").pictures[0] for pad in (0, 1))
    assert one.file != other.file


def test_what_is_gone_is_said(tmp_path: Path) -> None:
    store = Store(tmp_path / "build")
    assert album(store, {}, SETTINGS, tmp_path).why == "it is not verified"
    assert album(store, {"passed": True}, SETTINGS, tmp_path).why == NOT_KEPT
    assert album(store, {"fingerprint": "f" * 64}, SETTINGS, tmp_path).why == NOT_KEPT
    told = verified(store, tmp_path, [picture()], ["a"])
    without = album(store, {**told, "pictures": "e" * 64}, SETTINGS, tmp_path / "p")
    assert [p.file for p in without.pictures] == [""] and not (tmp_path / "p").exists()


def test_a_model_without_boxes_has_none(tmp_path: Path) -> None:
    store = Store(tmp_path / "build")
    assert album(store, verified(store, tmp_path, None, ["a"]), SETTINGS, tmp_path).why == NOT_DRAWN


def test_masks_and_texts_come_with_what_differs(tmp_path: Path) -> None:
    store = Store(tmp_path / "build")
    alike, other = (
        {"overlays": ["a", "b"], "said": ["x", "y"], "differs": n, "difference": "much" * bool(n)} for n in (0, 5)
    )
    made = album(store, verified(store, tmp_path, [alike, other], ["a", "b"]), SETTINGS, tmp_path / "p")
    assert [(p.number, p.differs, p.odd[1]) for p in made.pictures] == [(1, 5, "much"), (0, 0, "")]
    assert made.pictures[0].overlays == ("a", "b") and made.pictures[0].said == ("x", "y")
    assert len(list((tmp_path / "p").iterdir())) == 2


def test_pictures_that_cannot_be_told_apart_by_their_files_still_have_names(tmp_path: Path) -> None:
    """Of a folder with an unreadable one, more were looked at than are in the batch."""
    store = Store(tmp_path / "build")
    told = verified(store, tmp_path, [picture(), picture(1)], ["a", "b"])
    seen = store.lookup(told["pictures"])
    assert seen is not None
    extra = {**seen.facts["material"]["inputs"], "pictures/9.png": "c"}
    more = published(store, "inputs.npz", (tmp_path / "inputs.npz").read_bytes() + b" ", material={"inputs": extra})
    made = album(store, {**told, "pictures": more}, SETTINGS, tmp_path / "p")
    assert len({p.file for p in made.pictures}) == 2
