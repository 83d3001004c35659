"""Pictures with what ONNX found beside what the artifact found, differences marked. Pure."""

from collections.abc import Iterator, Sequence
from typing import Any

from bmzoo.report.markup import Markup, tag
from bmzoo.report.pictures import ComparedPicture, PictureEvidence

# Class of a box -> what it means. In this order they are drawn, the last on top.
BOX_KINDS = {
    "faint": "too faint to count",
    "both": "found by both",
    "missed": "missed by the artifact",
    "extra": "extra in the artifact",
}


def picture_section(album: PictureEvidence) -> Markup:
    """The pictures of a verification, or why there are none."""
    title = tag("h2", "Pictures")
    if not album.pictures:
        return tag("section", title, tag("p", f"None: {album.why or 'no picture was compared'}."))
    left = album.count - len(album.pictures)
    more = f" {left} more of {album.count} are not shown." if left else ""
    differ = sum(bool(picture.differs) for picture in album.pictures)
    said = f"{differ} of them differ, and come first." if differ else "Both find the same in all of them."
    gone = any(not picture.file for picture in album.pictures)
    lost = tag("p", "The pictures themselves are not in the store any more; what was found is.") if gone else None
    pairs = tag("div", *(_pair(picture, album.size) for picture in album.pictures), class_="pairs")
    return tag("section", title, tag("p", said, more), lost, _legend(album.pictures[0]), pairs)


def _legend(picture: ComparedPicture) -> Markup | None:
    kinds = BOX_KINDS if picture.has_places else {"odd": "surely another class"} if picture.overlays else {}
    keys = (tag("span", words, class_=f"key {kind}") for kind, words in kinds.items())
    return tag("p", *keys, class_="legend") if kinds else None


def _pair(picture: ComparedPicture, size: tuple[int, int]) -> Markup:
    if picture.has_places:
        parts = [f"picture {picture.number + 1}: {len(picture.pairs)} alike"]
        parts += [f"{len(picture.missed)} missed"] * bool(picture.missed)
        parts += [f"{len(picture.extra)} extra"] * bool(picture.extra)
    else:
        parts = [f"picture {picture.number + 1}: {picture.odd[1] or 'alike'}"]
    shown = _found(picture, size) if picture.has_places else _told(picture, size)
    return tag("div", tag("h3", ", ".join(parts)), tag("div", *shown, class_="pair"))


_SIDES = ("ONNX", "the artifact")


def _told(picture: ComparedPicture, size: tuple[int, int]) -> Iterator[Markup]:
    """Both sides of a mask, or of words about the picture."""
    whole = {"width": size[0], "height": size[1]}
    overlays = picture.overlays or (None, None)
    for whose, overlay, words in zip(_SIDES, overlays, picture.said, strict=True):
        about = f"{whose}: {words or 'nothing'}"
        href = f"data:image/png;base64,{overlay}"
        mask = tag("image", href=href, **whole, preserveAspectRatio="none", class_="mask") if overlay else None
        svg = tag(
            "svg", _image(picture, size), mask, viewBox=f"0 0 {size[0]} {size[1]}", role="img", aria_label=about
        )
        yield tag("figure", svg, tag("figcaption", about))


def _found(picture: ComparedPicture, size: tuple[int, int]) -> Iterator[Markup]:
    return (_figure(whose, picture, kinds, size) for whose, kinds in zip(_SIDES, _kinds(picture), strict=True))


def _image(picture: ComparedPicture, size: tuple[int, int]) -> Markup:
    whole = {"width": size[0], "height": size[1]}
    if not picture.file:
        return tag("rect", class_="gone", **whole)
    return tag("image", href=f"../pictures/{picture.file}", **whole)


def _kinds(picture: ComparedPicture) -> tuple[list[str], list[str]]:
    """The class of each box of ONNX and of the artifact."""
    sides = [(len(picture.onnx), picture.missed, "missed"), (len(picture.artifact), picture.extra, "extra")]
    paired = [{pair[side] for pair in picture.pairs} for side in (0, 1)]
    onnx, artifact = (
        [odd_kind if i in odd else "both" if i in found else "faint" for i in range(count)]
        for (count, odd, odd_kind), found in zip(sides, paired, strict=True)
    )
    return onnx, artifact


def _figure(whose: str, picture: ComparedPicture, kinds: Sequence[str], size: tuple[int, int]) -> Markup:
    """Its boxes are drawn by the page's script, as there may be hundreds; see `drawn_boxes`."""
    width, height = size
    image = _image(picture, size)
    counts = [f"{kinds.count(kind)} {kind}" for kind in ("missed", "extra", "faint") if kind in kinds]
    about = ", ".join([f"{whose}: {len(kinds)} found", *counts])
    svg = tag("svg", image, viewBox=f"0 0 {width} {height}", role="img", aria_label=about, data_boxes=True)
    return tag("figure", svg, tag("figcaption", about))


def drawn_boxes(album: PictureEvidence) -> dict[str, Any]:
    """For the script: of every figure in order its boxes and regions, [*corners, score, index of its kind]."""
    kinds = list(BOX_KINDS)
    found = [
        [[*box, kinds.index(kind)] for box, kind in zip(boxes, own, strict=True)]
        for picture in album.pictures
        if picture.has_places
        for boxes, own in zip((picture.onnx, picture.artifact), _kinds(picture), strict=True)
    ]
    return {"kinds": list(BOX_KINDS.items()), "figures": found}
