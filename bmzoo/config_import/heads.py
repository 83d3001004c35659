"""Which decoder goes with a network's outputs, concluded from their shapes.

A row of `_ROWS` for each kind of head; the first that fits is taken. Shapes are those of the projects that the
kinds are named after.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from bmzoo.config_import.facts import OnnxFacts, PicturePort, known

_STRIDES = (8, 16, 32)
_DEEPER = (8, 16, 32, 64)
_FEWEST_CHARACTERS = 36  # ten digits and the letters, and the blank
_COARSEST = 8  # pixels of the picture for one of a map, in each direction
_LANDMARKS = (136, 196, 212, 936, 956)  # twice the points of the usual sets of landmarks
_POSE = 4 + 1 + 17 * 3  # a box, a score, and COCO's 17 points with a score each
Shape = Sequence[int | str]


@dataclass(frozen=True)
class HeadGuess:
    """What the outputs are taken for, in the words of `decoder.kind`, and why. `classes`: how many, if it has any.

    `doubt`: what else it could be; empty where the shapes leave none.
    """

    kind: str
    why: str
    classes: int = 0
    doubt: str = ""


@dataclass(frozen=True)
class _Outputs:
    """Shapes of the outputs without the batch, and what they are of."""

    facts: OnnxFacts
    picture: PicturePort
    shapes: tuple[Shape, ...]

    @property
    def lasts(self) -> list[int | str]:
        """The last dimension of each, smallest first."""
        return sorted((shape[-1] for shape in self.shapes if shape), key=lambda side: (isinstance(side, str), side))

    @property
    def only(self) -> Shape:
        """The shape of the one output; empty where there are several."""
        return self.shapes[0] if len(self.shapes) == 1 else ()

    def cells(self, strides: Iterable[int]) -> int:
        """Cells of all levels together; 0 where the size of the input is free."""
        height, width = self.picture.height, self.picture.width
        if height is None or width is None:
            return 0
        return sum(-(-height // stride) * -(-width // stride) for stride in strides)


def head_of(facts: OnnxFacts) -> HeadGuess:
    """What the outputs are taken for; `none` where no row fits."""
    picture = facts.picture
    if picture is None:
        return HeadGuess("none", "no input takes a picture")
    shapes = tuple(tuple(port.shape or ())[1:] for port in facts.outputs)
    outputs = _Outputs(facts, picture, shapes)
    found = (row(outputs) for row in _ROWS)
    return next(
        (head for head in found if head is not None),
        HeadGuess("none", f"outputs of no known kind: {listed(facts)}"),
    )


def listed(facts: OnnxFacts) -> str:
    """The outputs with their shapes, for people."""
    some = [f"{port.name} [{', '.join(map(str, port.shape or ('?',)))}]" for port in facts.outputs]
    return ", ".join(some[:3]) + (f" and {len(some) - 3} more" if len(some) > 3 else "")


def _yunet(outputs: _Outputs) -> HeadGuess | None:
    if outputs.lasts == [1] * 6 + [4] * 3 + [10] * 3:
        return HeadGuess("yunet", "twelve outputs: class, object, box and points of three strides")
    return None


def _scrfd(outputs: _Outputs) -> HeadGuess | None:
    if outputs.lasts in ([1] * 3 + [4] * 3 + [10] * 3, [1] * 3 + [4] * 3):
        return HeadGuess("scrfd", f"{len(outputs.shapes)} outputs: scores, boxes and maybe points of three strides")
    return None


def _retinaface(outputs: _Outputs) -> HeadGuess | None:
    if outputs.lasts != [2, 4, 10] or any(len(shape) != 2 for shape in outputs.shapes):
        return None
    anchors, usual = known(outputs.shapes[0][0]), 2 * outputs.cells(_STRIDES)
    doubt = f"{anchors} anchors, and the usual ones are {usual}" if anchors and usual and anchors != usual else ""
    return HeadGuess(
        "retinaface", "three outputs: boxes of 4, scores of 2, points of 10 for each anchor", doubt=doubt
    )


def _retinaface_maps(outputs: _Outputs) -> HeadGuess | None:
    channels = sorted(shape[0] for shape in outputs.shapes if len(shape) == 3 and isinstance(shape[0], int))
    if channels == [4] * 3 + [8] * 3 + [20] * 3:
        return HeadGuess("retinaface_maps", "nine maps: scores, boxes and points of two anchors at three strides")
    return None


def _ultraface(outputs: _Outputs) -> HeadGuess | None:
    if outputs.lasts == [2, 4] and all(len(shape) == 2 for shape in outputs.shapes):
        return HeadGuess("ultraface", "two outputs: scores of 2 and boxes of 4 for each anchor")
    return None


def _yolov10(outputs: _Outputs) -> HeadGuess | None:
    rows, columns = (*outputs.only, 0, 0)[:2]
    if len(outputs.only) == 2 and columns == 6 and isinstance(rows, int) and 100 <= rows <= 1000:
        return HeadGuess("yolov10", f"one output of {rows} rows of 6: a box, a score, a class")
    return None


def _yolov5_raw(outputs: _Outputs) -> HeadGuess | None:
    if len(outputs.shapes) not in (3, 4) or any(len(shape) != 4 for shape in outputs.shapes):
        return None
    wide = {shape[-1] for shape in outputs.shapes}
    if len(wide) == 1 and isinstance(columns := wide.pop(), int) and columns > 5:
        return HeadGuess("yolov5", f"maps of 3 anchors and {columns} values at each stride", columns - 5)
    return None


def _rows_of_boxes(outputs: _Outputs) -> HeadGuess | None:
    """YOLOv5 and YOLOX: [anchors, 5 + classes], and only how many anchors there are tells one from the other."""
    rows, columns = (*outputs.only, 0, 0)[:2]
    if len(outputs.only) != 2 or not isinstance(columns, int) or not 6 <= columns <= 2000:
        return None
    cells = {strides: outputs.cells(strides) for strides in (_STRIDES, _DEEPER)}
    shape = f"one output [{rows}, {columns}]"
    for count in filter(None, cells.values()):
        if rows == 3 * count:
            return HeadGuess(
                "yolov5", f"{shape}: 3 anchors for each of {count} cells, 5 + {columns - 5} classes", columns - 5
            )
        if rows == count:
            return HeadGuess(
                "yolox", f"{shape}: one for each of {count} cells, 5 + {columns - 5} classes", columns - 5
            )
    if isinstance(rows, str) and columns == 85:
        return HeadGuess("yolov5", f"{shape}: 5 + 80 classes", 80, "YOLOX has the same shape where sizes are free")
    return None


def _columns_of_boxes(outputs: _Outputs) -> HeadGuess | None:
    """YOLOv8 and v11: [4 + classes, cells]; with the points of poses behind."""
    rows, columns = (*outputs.only, 0, 0)[:2]
    if len(outputs.only) != 2 or not isinstance(rows, int) or rows < 5:
        return None
    cells = outputs.cells(_STRIDES)
    if not (columns == cells and cells) and not (isinstance(columns, str) and rows in (_POSE, 84)):
        return None
    shape = f"one output [{rows}, {columns}]"
    if rows == _POSE:
        return HeadGuess("yolov8_pose", f"{shape}: a box, a score and 17 points for each cell")
    return HeadGuess("yolov8", f"{shape}: 4 + {rows - 4} classes for each cell", rows - 4)


def _ctc_text(outputs: _Outputs) -> HeadGuess | None:
    columns = (*outputs.only, 0, 0)[1]
    if len(outputs.only) != 2 or not isinstance(columns, int) or columns < _FEWEST_CHARACTERS:
        return None
    if "character" in outputs.facts.metadata:
        return HeadGuess("ctc_text", f"one output of {columns} characters for each step, which the file lists")
    height, width = outputs.picture.height, outputs.picture.width
    low = height is not None and (width is None or height * 2 <= width)
    if low and isinstance(outputs.only[0], str | int):
        return HeadGuess("ctc_text", f"one output of {columns} characters for each step of a low, wide picture")
    return None


def _map(outputs: _Outputs) -> HeadGuess | None:
    """A map as large as the picture, or a part of it: of classes, of text, or a picture again."""
    if len(outputs.only) != 3:
        return None
    picture = outputs.picture
    channels, *sides = outputs.only if picture.layout == "nchw" else (outputs.only[2], *outputs.only[:2])
    if not isinstance(channels, int) or channels < 1 or list(sides) == [1, 1]:
        return None
    height, width = map(known, sides)
    if height and width and picture.height and picture.width and (height > picture.height or width > picture.width):
        return HeadGuess("none", f"a picture comes out, of {height}x{width}")
    pairs = zip((height, width), (picture.height, picture.width), strict=True)
    if any(side is not None and (of is None or side * _COARSEST < of) for side, of in pairs):
        return None  # features, and no map of the picture
    return _map_of(outputs, channels)


def _map_of(outputs: _Outputs, channels: int) -> HeadGuess | None:
    last = outputs.facts.last.get(outputs.facts.outputs[0].name)
    if channels == 1 and outputs.picture.channels == 3 and last == "Sigmoid":
        return HeadGuess(
            "db_text", "one map of probabilities as large as the picture", doubt="any mask of one class"
        )
    if channels > 4:
        return HeadGuess("segmentation", f"one map of {channels} classes", channels)
    if channels == 2:
        return HeadGuess("segmentation", "one map of 2 classes", 2, "a map of something else than classes")
    return None


def _row_of_numbers(outputs: _Outputs) -> HeadGuess | None:
    """[C]: scores of classes, or coordinates of points."""
    shape = [side for side in outputs.only if side != 1]
    if len(shape) != 1 or not isinstance(shape[0], int) or shape[0] < 2:
        return None
    count, name = shape[0], outputs.facts.outputs[0].name.lower()
    if count in _LANDMARKS or ("landmark" in name and count % 2 == 0):
        return HeadGuess(
            "landmarks", f"one output of {count} numbers: {count // 2} points", doubt="scores of classes"
        )
    sure = "Softmax" in outputs.facts.last.values() or count in (1000, 1001) or "logit" in name or "prob" in name
    return HeadGuess(
        "classification", f"one output of {count} scores", count, "" if sure else "an embedding, or points"
    )


_ROWS: tuple[Callable[[_Outputs], HeadGuess | None], ...] = (
    *(_yunet, _scrfd, _retinaface, _retinaface_maps, _ultraface, _yolov10, _yolov5_raw),
    *(_rows_of_boxes, _columns_of_boxes, _ctc_text, _map, _row_of_numbers),
)
