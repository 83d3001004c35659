"""algo_yolov5_post_cpu_opt: boxes from the raw or decoded outputs of a YOLOv5."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, List, Mapping, Sequence, Tuple

import numpy as np

from bmzoo.runtime.nms import nms
from bmzoo.sail.errors import NotSupport, SailTensorError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bmzoo.sail.tensor import Tensor

Box = Tuple[int, int, int, int, int, float]  # left, top, right, bottom in pixels, class, score in 0..1
# Width and height of the anchors in pixels, a row for each of P3, P4 and P5, as the model was published.
ANCHORS = [
    [10, 13, 16, 30, 33, 23],
    [30, 61, 62, 45, 59, 119],
    [116, 90, 156, 198, 373, 326],
]
CLASS_OFFSET = 7680  # pixels between classes, so that NMS keeps them apart


class algo_yolov5_post_cpu_opt:
    """For outputs of these shapes: three [N,3,H,W,5+classes] of logits, or one [N,boxes,5+classes], decoded."""

    def __init__(self, shapes: Sequence[Sequence[int]], network_w: int = 640, network_h: int = 640) -> None:
        if len(shapes) not in (1, 3):
            raise NotSupport(f"algo_yolov5_post_cpu_opt: only 1 or 3 outputs: {len(shapes)}")
        self._size = (network_w, network_h)
        self._anchors = np.array(ANCHORS, np.float32).reshape(3, 3, 2)

    def reset_anchors(self, anchors_new: Sequence[Sequence[int]]) -> int:
        """Other anchors, 3 rows of 6 numbers in pixels. 0."""
        self._anchors = np.array(anchors_new, np.float32).reshape(3, 3, 2)
        return 0

    def process(  # noqa: PLR0913, PLR0917  # sail's signature
        self,
        input_data: Mapping[str, Tensor],
        ost_w: Sequence[int],
        ost_h: Sequence[int],
        dete_threshold: Sequence[float],
        nms_threshold: Sequence[float],
        input_keep_aspect_ratio: bool = False,
        input_use_multiclass_nms: bool = False,
    ) -> List[List[Box]]:
        """Boxes in pixels of the original images (sizes ost_w x ost_h), for each image, worst score first.

        Reads the tensors' system memory. With multiclass NMS a box may have several classes.
        """
        if not isinstance(input_data, dict):
            raise NotSupport("algo_yolov5_post_cpu_opt.process: takes {name: Tensor} in bmzoo.sail")
        rows = self._rows(list(input_data.values()))
        found = []
        for i in range(len(ost_w)):
            boxes, scores, classes = _candidates(rows[i], dete_threshold[i], input_use_multiclass_nms)
            apart = np.asarray(boxes + (classes * CLASS_OFFSET)[:, None], np.float32)
            kept = nms(apart, scores, nms_threshold[i], plus_one=False)[::-1]
            moved = self._to_original(boxes[kept], ost_w[i], ost_h[i], input_keep_aspect_ratio)
            corners = moved.astype(int).tolist()
            found.append([(*box, int(classes[k]), float(scores[k])) for box, k in zip(corners, kept)])  # noqa: B905
        return found

    def _rows(self, tensors: List[Tensor]) -> NDArray[np.float32]:
        """[N, boxes, 5+classes]: centre x, centre y, width, height in network pixels, objectness, classes."""
        if any(not tensor.is_sys_data_valid() for tensor in tensors):
            raise SailTensorError("algo_yolov5_post_cpu_opt: the tensors need system memory")
        arrays = [np.asarray(tensor.asnumpy(), np.float32) for tensor in tensors]
        if len(arrays) == 1:
            return arrays[0]
        arrays.sort(key=lambda array: -array.shape[2])  # P3 has the most cells
        levels = [_decode(arrays[i], self._anchors[i], self._size) for i in range(3)]
        return np.concatenate(levels, axis=1)

    def _to_original(self, corners: NDArray[Any], width: int, height: int, keep_aspect: bool) -> NDArray[Any]:
        """Corners in network pixels -> in pixels of the original, clamped to it."""
        ratio = (self._size[0] / width, self._size[1] / height)
        offset = (0, 0)
        if keep_aspect:
            ratio = (min(ratio), min(ratio))
            offset = ((self._size[0] - int(width * ratio[0])) // 2, (self._size[1] - int(height * ratio[1])) // 2)
        moved = (corners - np.array(offset * 2)) / np.array(ratio * 2)
        clamped: NDArray[Any] = np.clip(moved, 0, np.array([width - 1, height - 1] * 2))
        return clamped


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
