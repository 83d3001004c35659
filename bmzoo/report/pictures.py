"""Pictures of a verification as its networks saw them, with what each found: out of the store, onto the pages."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bmzoo.store.local import Entry, Store
from bmzoo.system import files

# More of them than these make a page slow; those that differ come first.
MOST_PICTURES = 8
QUALITY = 80
_FOUND, _INPUTS = "found.json", "inputs.npz"
NOT_KEPT = "what was found in the pictures is not in the store: it was removed by gc, or verified by an older bmzoo"
NOT_DRAWN = "what this model's decoder gives is nothing to look at in a picture"


@dataclass(frozen=True)
class ComparedPicture:
    """`number`: from 0. `file` is below the report's folder of pictures, or empty where the picture is not kept.

    Boxes and regions are rows of corners and a score, in pixels; `pairs`, `missed` and `extra` are indices of
    `onnx` and `artifact`, and what none of them has is too faint. `overlays` are masks, as PNG in base64, and
    `said` what is told in words; both of ONNX and of the artifact. `odd`: how much of these differs, also in words.
    """

    number: int
    file: str
    onnx: tuple[tuple[float, ...], ...] = ()
    artifact: tuple[tuple[float, ...], ...] = ()
    pairs: tuple[tuple[int, int], ...] = ()
    missed: frozenset[int] = frozenset()
    extra: frozenset[int] = frozenset()
    overlays: tuple[str, ...] = ()
    said: tuple[str, ...] = ()
    odd: tuple[int, str] = (0, "")

    @property
    def differs(self) -> int:
        return len(self.missed) + len(self.extra) + self.odd[0]

    @property
    def has_places(self) -> bool:
        """Whether what was found has boxes or regions."""
        return not self.said


@dataclass(frozen=True)
class PictureEvidence:
    """The pictures to show, those that differ most first, or `why` there are none; `count`: of all compared.

    `size`: width and height of the network's input in pixels.
    """

    pictures: tuple[ComparedPicture, ...] = ()
    count: int = 0
    size: tuple[int, int] = (1, 1)
    why: str = ""


def album(store: Store, verified: Mapping[str, Any], settings: Mapping[str, Any], folder: Path) -> PictureEvidence:
    """What a verification looked at. Pictures are written into `folder` unless they are there already.

    verified: the published document. settings: the `input` section that its artifact was made with.
    """
    if not verified:
        return PictureEvidence(why="it is not verified")
    compared = _entry(store, verified.get("fingerprint"), _FOUND)
    if compared is None:
        return PictureEvidence(why=NOT_KEPT)
    told = compared.read_json(_FOUND)["pictures"]
    if told is None:
        return PictureEvidence(why=NOT_DRAWN)
    seen = _entry(store, verified.get("pictures"), _INPUTS)
    names = _names(seen, len(told), settings) if seen is not None else [""] * len(told)
    pictures = [_picture(number, name, found) for number, (name, found) in enumerate(zip(names, told, strict=True))]
    first = sorted(pictures, key=lambda picture: (-picture.differs, picture.number))[:MOST_PICTURES]
    if seen is not None:
        _write(seen, first, settings, folder)
    return PictureEvidence(tuple(first), len(told), (settings["width"], settings["height"]))


def _entry(store: Store, fingerprint: object, name: str) -> Entry | None:
    found = store.lookup(fingerprint) if isinstance(fingerprint, str) else None
    return found if found is not None and name in found.files else None


def _picture(number: int, name: str, found: Mapping[str, Any]) -> ComparedPicture:
    if "said" in found:
        overlays, said = (tuple(map(str, found.get(key, ()))) for key in ("overlays", "said"))
        odd = (int(found["differs"]), str(found["difference"]))
        return ComparedPicture(number, name, overlays=overlays, said=said, odd=odd)
    onnx, artifact, pairs = (tuple(map(tuple, found[key])) for key in ("onnx", "artifact", "pairs"))
    return ComparedPicture(
        number, name, onnx, artifact, pairs, frozenset(found["missed"]), frozenset(found["extra"])
    )


def _names(seen: Entry, count: int, settings: Mapping[str, Any]) -> list[str]:
    """A file name for each picture: the same for all targets that saw the same picture in the same way."""
    inputs = seen.facts.get("material", {}).get("inputs", {})
    digests: Sequence[str] = [inputs[name] for name in sorted(inputs) if name.startswith("pictures/")]
    if len(digests) != count:  # some could not be read, and which is not told
        digests = [f"{seen.files[_INPUTS]} {number}" for number in range(count)]
    about = json.dumps(settings, sort_keys=True)
    return [f"{hashlib.sha256(f'{digest} {about}'.encode()).hexdigest()[:24]}.jpg" for digest in digests]


def _write(seen: Entry, pictures: Sequence[ComparedPicture], settings: Mapping[str, Any], folder: Path) -> None:
    missing = [picture for picture in pictures if not (folder / picture.file).is_file()]
    if not missing:
        return
    import cv2  # slow to import, and most runs find all pictures written

    from bmzoo.measure.npz import arrays

    batch = next(iter(arrays(seen.path(_INPUTS)).values()))  # before inputs that are no pictures
    for picture in missing:
        image = as_pixels(batch[picture.number], settings)
        done, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
        assert done, "a JPEG can be made of every picture"
        files.place(folder / picture.file, lambda part, data=data: part.write_bytes(data.tobytes()))  # type: ignore[misc]


def as_pixels(tensor: Any, settings: Mapping[str, Any]) -> Any:
    """A network's input float32 [C,H,W] as uint8 [H,W,3] BGR: the preprocessing of `settings` undone."""
    import numpy as np

    channels = len(tensor)
    mean, scale = (np.array(settings[key][:channels], np.float32)[:, None, None] for key in ("mean", "scale"))
    pixels = np.clip(np.rint(tensor / scale + mean), 0, 255).astype(np.uint8).transpose(1, 2, 0)
    if channels == 1:
        return np.repeat(pixels, 3, axis=2)
    colours = pixels[:, :, :3]  # without what is opaque everywhere
    return np.ascontiguousarray(colours[:, :, ::-1] if settings["pixel_format"].startswith("rgb") else colours)
