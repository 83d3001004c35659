"""The section `input` of a draft: name and size, and how the network wants its pictures."""

from collections.abc import Sequence
from pathlib import Path

from bmzoo.config_import.draft import Draft, as_written
from bmzoo.config_import.facts import CHANNELS, PicturePort
from bmzoo.config_import.picture_sets import PictureSets
from bmzoo.config_import.usual import AS_BYTES, UsualInput, usual_input
from bmzoo.errors import BmzooError
from bmzoo.measure.normalisations import Normalisation
from bmzoo.runtime.picture_words import CHANNELS_OF


def put_picture(draft: Draft, port: PicturePort, usual: UsualInput | None, kind: str) -> None:
    """Name, size and resize of the input. `kind`: what the outputs are taken for."""
    draft.took("input.name", port.name, f"{port.dtype} in the file")
    for at, (key, fixed) in enumerate((("height", port.height), ("width", port.width))):
        if fixed is not None:
            draft.took(f"input.{key}", fixed, "fixed in the file")
        elif usual is not None:
            draft.guessed(f"input.{key}", usual.sides[at], f"free in the file; what {kind} is often run at")
        else:
            draft.unknown(f"input.{key}", "free in the file: the size in pixels that it is to be compiled for")
    if port.batch is not None:
        draft.say("took", f"batch: {port.batch}, baked into the file; the import frees it for targets of others")
    _put_resize(draft, usual, kind)


def _put_resize(draft: Draft, usual: UsualInput | None, kind: str) -> None:
    if usual is None:
        draft.guessed("input.resize", "stretch", "said nowhere; letterbox keeps the shape of pictures", sure=False)
        return
    differ = "; networks of this kind differ in it" if usual.differs else ""
    draft.guessed("input.resize", usual.resize, f"as usual for {kind}{differ}", sure=not usual.differs)
    if usual.resize.startswith("letterbox") and usual.pad_value:
        draft.put("input.pad_value", usual.pad_value)


def put_normalisation(
    draft: Draft, path: Path, port: PicturePort, kind: str, sets: PictureSets | None
) -> Sequence[Path]:
    """Mean, scale and order of the channels: tried, or as usual for the kind, or unknown. `sets`: to try with.

    Gives the pictures in which something was found, those with most first.
    """
    usual = usual_input(kind, port.layout)
    if port.dtype in AS_BYTES:
        _put_bytes(draft, port, usual)
    elif port.channels != 3 or usual is None:
        _put_unknown(draft, CHANNELS[port.channels])
    elif sets is None:
        _put_usual(draft, usual, f"as usual for {kind}, not tried")
    else:
        return _try(draft, path, port, kind, sets, usual)
    return ()


def _try(
    draft: Draft, path: Path, port: PicturePort, kind: str, sets: PictureSets, usual: UsualInput
) -> Sequence[Path]:
    from bmzoo.config_import import trial  # numpy, OpenCV and an engine, which nothing else here needs

    if not trial.can_be_tried(kind):
        _put_usual(draft, usual, f"as usual for {kind}, of which no trial on pictures tells more")
        return ()
    sides = (port.height or usual.sides[0], port.width or usual.sides[1])
    try:
        found = trial.tried(path, port, kind, usual, sides, sets.some)
    except BmzooError as error:
        draft.say("unknown", f"input: could not be tried: {error.message}")
        _put_usual(draft, usual, f"as usual for {kind}, could not be tried")
        return ()
    if found is None:
        _put_usual(draft, usual, f"as usual for {kind}; no usual way finds anything in the pictures tried")
        return ()
    _put_numbers(draft, found.normalisation, found.pixel_format, found.why, found.sure)
    most = sorted(zip(found.found, sets.some, strict=False), key=lambda each: -each[0])
    return [picture for much, picture in most if much > 0]


def _put_bytes(draft: Draft, port: PicturePort, usual: UsualInput | None) -> None:
    """For a network that takes integers: what else is done to pixels is a part of it."""
    if port.channels == 3:
        order = usual.pixel_format if usual is not None else "rgb"
        draft.guessed("input.pixel_format", order, "a file does not say rgb or bgr", sure=False)
    else:
        draft.put("input.pixel_format", CHANNELS[port.channels])
    draft.guessed("input.mean", [AS_BYTES[port.dtype]] * port.channels, f"{port.dtype} in the file: whole pixels")
    draft.put("input.scale", [1] * port.channels)


def _put_usual(draft: Draft, usual: UsualInput, why: str) -> None:
    _put_numbers(draft, usual.normalisation, usual.pixel_format, why, sure=False)


def _put_numbers(draft: Draft, normalisation: Normalisation, pixel_format: str, why: str, sure: bool) -> None:
    mean, scale = normalisation.ordered(pixel_format)
    draft.guessed("input.pixel_format", pixel_format, why, sure, f"input: {pixel_format}, {normalisation.name}")
    draft.put("input.mean", as_written(mean), normalisation.name)
    draft.put("input.scale", as_written([float(f"{each:.7g}") for each in scale]))


def _put_unknown(draft: Draft, pixel_format: str) -> None:
    draft.put("input.pixel_format", pixel_format)
    none, to_one = ([number] * CHANNELS_OF[pixel_format] for number in (0, 0.0039216))
    draft.unknown("input.mean", f"what is taken off each channel, in pixel values, {none} for nothing")
    draft.unknown("input.scale", f"what each channel is multiplied with after that, {to_one} for 1/255")
