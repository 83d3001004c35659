"""Pictures with what ONNX found beside what the artifact found, differences marked. Pure."""

from collections.abc import Sequence
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
    legend = tag(
        "p", *(tag("span", words, class_=f"key {kind}") for kind, words in BOX_KINDS.items()), class_="legend"
    )
    gone = any(not picture.file for picture in album.pictures)
    lost = tag("p", "The pictures themselves are not in the store any more; the boxes are.") if gone else None
    pairs = tag("div", *(_pair(picture, album.size) for picture in album.pictures), class_="pairs")
    return tag("section", title, tag("p", said, more), lost, legend, pairs)


def _pair(picture: ComparedPicture, size: tuple[int, int]) -> Markup:
    parts = [f"picture {picture.number + 1}: {len(picture.pairs)} alike"]
    parts += [f"{len(picture.missed)} missed"] * bool(picture.missed)
    parts += [f"{len(picture.extra)} extra"] * bool(picture.extra)
    onnx, artifact = _kinds(picture)
    left = _figure("ONNX", picture, onnx, size)
    right = _figure("the artifact", picture, artifact, size)
    return tag("div", tag("h3", ", ".join(parts)), tag("div", left, right, class_="pair"))


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
    whole = {"width": width, "height": height}
    href = f"../pictures/{picture.file}"
    image = tag("image", href=href, **whole) if picture.file else tag("rect", class_="gone", **whole)
    counts = [f"{kinds.count(kind)} {kind}" for kind in ("missed", "extra", "faint") if kind in kinds]
    about = ", ".join([f"{whose}: {len(kinds)} found", *counts])
    svg = tag("svg", image, viewBox=f"0 0 {width} {height}", role="img", aria_label=about, data_boxes=True)
    return tag("figure", svg, tag("figcaption", about))


def drawn_boxes(album: PictureEvidence) -> dict[str, Any]:
    """For the script: of every figure in order its boxes, [x1, y1, x2, y2, score, index of its kind]."""
    kinds = list(BOX_KINDS)
    found = [
        [[*box, kinds.index(kind)] for box, kind in zip(boxes, own, strict=True)]
        for picture in album.pictures
        for boxes, own in zip((picture.onnx, picture.artifact), _kinds(picture), strict=True)
    ]
    return {"kinds": list(BOX_KINDS.items()), "figures": found}
