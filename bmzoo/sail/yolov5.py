"""algo_yolov5_post_cpu_opt: boxes from the raw or decoded outputs of a YOLOv5."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, List, Mapping, Sequence, Tuple, Union

import numpy as np

from bmzoo.runtime.nms import nms
from bmzoo.sail.binding import bound
from bmzoo.sail.errors import NotSupport, SailTensorError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bmzoo.sail.named_tensor import TensorPTRWithName
    from bmzoo.sail.tensor import Tensor

Box = Tuple[int, int, int, int, int, float]  # left, top, right, bottom in pixels, class, score in 0..1
# Width and height of the anchors in pixels, a row for each of P3, P4 and P5, as the model was published.
ANCHORS = [
    [10, 13, 16, 30, 33, 23],
    [30, 61, 62, 45, 59, 119],
    [116, 90, 156, 198, 373, 326],
]
CLASS_OFFSET = 7680  # pixels between classes, so that NMS keeps them apart


class Yolov5:
    """Boxes from outputs: three [N,3,H,W,5+classes] of logits, or one [N,boxes,5+classes], decoded."""

    def __init__(self, size: Tuple[int, int]) -> None:
        self.size = size  # width and height of the network's input
        self._anchors = np.array(ANCHORS, np.float32).reshape(3, 3, 2)

    def set_anchors(self, anchors: Sequence[Sequence[Sequence[int]]]) -> None:
        """For each of 3 levels 3 pairs of width and height in pixels. Raises SailTensorError."""
        if np.size(anchors) != self._anchors.size:
            raise SailTensorError(f"reset_anchors: must be 3 levels of 3 pairs: {list(anchors)}")
        self._anchors = np.array(anchors, np.float32).reshape(3, 3, 2)

    def rows(self, tensors: Sequence[Tensor]) -> NDArray[np.float32]:
        """[N, boxes, 5+classes]: centre x, centre y, width, height in network pixels, objectness, classes."""
        if any(not tensor.is_sys_data_valid() for tensor in tensors):
            raise SailTensorError("algo_yolov5_post_cpu_opt: the tensors need system memory")
        arrays = [np.asarray(tensor.asnumpy(), np.float32) for tensor in tensors]
        if len(arrays) == 1:
            return arrays[0]
        arrays.sort(key=lambda array: -array.shape[2])  # P3 has the most cells
        levels = [_decode(arrays[i], self._anchors[i], self.size) for i in range(3)]
        return np.concatenate(levels, axis=1)

    def find(
        self, rows: NDArray[np.float32], thresholds: Tuple[float, float], many: bool, picture: Placed
    ) -> List[Box]:
        """Boxes of a picture in its own pixels, worst score first; `thresholds` are of scores and of NMS.

        With `many` a box may have several classes.
        """
        boxes, scores, classes = _candidates(rows, thresholds[0], many)
        apart = np.asarray(boxes + (classes * CLASS_OFFSET)[:, None], np.float32)
        kept = nms(apart, scores, thresholds[1], plus_one=False)[::-1]
        corners = picture.own(boxes[kept]).astype(int).tolist()
        return [(*box, int(classes[k]), float(scores[k])) for box, k in zip(corners, kept)]  # noqa: B905


@dataclass(frozen=True)
class Placed:
    """A picture's width and height, how many network pixels one of its own is, and where it begins there."""

    size: Tuple[int, int]
    ratio: Tuple[float, float]
    offset: Tuple[int, int] = (0, 0)

    def own(self, corners: NDArray[Any]) -> NDArray[Any]:
        """Corners in network pixels -> in the picture's, clamped to it."""
        moved = (corners - np.array(self.offset * 2)) / np.array(self.ratio * 2)
        clamped: NDArray[Any] = np.clip(moved, 0, np.array([self.size[0] - 1, self.size[1] - 1] * 2))
        return clamped


_PROCESS = (
    "ost_w: [int], ost_h: [int], dete_threshold: [float], nms_threshold: [float], "
    "input_keep_aspect_ratio: bool, input_use_multiclass_nms: bool, /"
)


class algo_yolov5_post_cpu_opt:
    """For outputs of these shapes: three [N,3,H,W,5+classes] of logits, or one [N,boxes,5+classes], decoded."""

    @bound("shapes: [[int]], network_w: int = 640, network_h: int = 640")
    def __init__(self, shapes: Sequence[Sequence[int]], network_w: int = 640, network_h: int = 640) -> None:
        if len(shapes) not in (1, 3):
            raise NotSupport(f"algo_yolov5_post_cpu_opt: only 1 or 3 outputs: {len(shapes)}")
        self._boxes = Yolov5((network_w, network_h))

    @bound("anchors_new: [[[int]]], /")
    def reset_anchors(self, anchors_new: Sequence[Sequence[Sequence[int]]]) -> int:
        """Other anchors: for each of 3 levels 3 pairs of width and height in pixels. 0."""
        self._boxes.set_anchors(anchors_new)
        return 0

    @bound(f"input_data: [TensorPTRWithName], {_PROCESS}", f"input_data: {{str: Tensor}}, {_PROCESS}")
    def process(  # noqa: PLR0913, PLR0917  # sail's signature
        self,
        input_data: Union[Mapping[str, Tensor], Sequence[TensorPTRWithName]],
        ost_w: Sequence[int],
        ost_h: Sequence[int],
        dete_threshold: Sequence[float],
        nms_threshold: Sequence[float],
        input_keep_aspect_ratio: bool,
        input_use_multiclass_nms: bool,
    ) -> List[List[Box]]:
        """Boxes in pixels of the original images (sizes ost_w x ost_h), for each image, worst score first.

        Reads the tensors' system memory. With multiclass NMS a box may have several classes.
        """
        rows = self._boxes.rows(_tensors(input_data))
        return [
            self._boxes.find(
                rows[i],
                (dete_threshold[i], nms_threshold[i]),
                input_use_multiclass_nms,
                self._placed((ost_w[i], ost_h[i]), input_keep_aspect_ratio),
            )
            for i in range(len(ost_w))
        ]

    def _placed(self, size: Tuple[int, int], keep_aspect: bool) -> Placed:
        width, height = self._boxes.size
        ratio = (width / size[0], height / size[1])
        if not keep_aspect:
            return Placed(size, ratio)
        least = min(ratio)
        offset = ((width - int(size[0] * least)) // 2, (height - int(size[1] * least)) // 2)
        return Placed(size, (least, least), offset)


def _tensors(given: Union[Mapping[str, Tensor], Sequence[TensorPTRWithName]]) -> List[Tensor]:
    return list(given.values()) if isinstance(given, dict) else [tensor.get_data() for tensor in given]  # type: ignore[union-attr]


def _decode(level: NDArray[np.float32], anchors: NDArray[Any], size: Tuple[int, int]) -> NDArray[np.float32]:
    """Logits [N,3,H,W,5+classes] -> [N,3*H*W,5+classes]."""
    batch, _, rows, columns, values = level.shape
    stride = np.array([size[0] / columns, size[1] / rows], np.float32)
    with np.errstate(over="ignore"):
        out = 1 / (1 + np.exp(-level))
    cells = np.stack(np.meshgrid(np.arange(columns), np.arange(rows)), axis=-1).astype(np.float32)
    out[..., :2] = (out[..., :2] * 2 - 0.5 + cells) * stride
    out[..., 2:4] = (out[..., 2:4] * 2) ** 2 * anchors[:, None, None]
    return np.asarray(out.reshape(batch, -1, values), np.float32)


def _candidates(
    rows: NDArray[np.float32], threshold: float, many: bool
) -> Tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Corners, scores and classes above the threshold; one class a box unless `many`."""
    scores = rows[:, 4:5] * rows[:, 5:]
    if many:
        at, classes = np.nonzero(scores > threshold)
    else:
        classes = scores.argmax(axis=1)
        at = np.flatnonzero(scores[np.arange(len(rows)), classes] > threshold)
        classes = classes[at]
    centres, halves = rows[at, :2], rows[at, 2:4] / 2
    corners = np.concatenate([centres - halves, centres + halves], axis=1)
    return corners, scores[at, classes], classes
