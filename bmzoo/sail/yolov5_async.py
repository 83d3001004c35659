"""algo_yolov5_post_cpu_opt_async: boxes of a YOLOv5, picture by picture, from the batches that were pushed."""

# ruff: noqa: PLR0913, PLR0917  # the signatures are sail's

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING, Any, Deque, List, Sequence, Tuple

from bmzoo.sail.binding import bound
from bmzoo.sail.device import LOGGER
from bmzoo.sail.errors import NotSupport
from bmzoo.sail.yolov5 import Box, Placed, Yolov5

if TYPE_CHECKING:
    from bmzoo.sail.named_tensor import TensorPTRWithName

RESULTS_FULL = 1  # code of push_data
_STILL = 1.0  # seconds of waiting after which it is said
Result = Tuple[List[Box], int, int]  # boxes, channel, index of the picture


class algo_yolov5_post_cpu_opt_async:
    """For three outputs [N,3,H,W,5+classes] of logits. The queue holds `max_queue_size` batches."""

    @bound(
        "shape: [[int]], network_w: int = 640, network_h: int = 640, max_queue_size: int = 20, "
        "use_multiclass_nms: bool = True"
    )
    def __init__(
        self,
        shape: Sequence[Sequence[int]],
        network_w: int = 640,
        network_h: int = 640,
        max_queue_size: int = 20,
        use_multiclass_nms: bool = True,
    ) -> None:
        if len(shape) != 3:
            raise NotSupport(f"algo_yolov5_post_cpu_opt_async: only 3 outputs: {len(shape)}")
        self._boxes = Yolov5((network_w, network_h))
        self._many = use_multiclass_nms
        self._room = max_queue_size * max(1, shape[0][0] if shape[0] else 1)
        self._results: Deque[Result] = deque()
        self._arrived = threading.Condition()

    @bound("anchors_new: [[[int]]], /")
    def reset_anchors(self, anchors_new: Sequence[Sequence[Sequence[int]]]) -> int:
        """Other anchors: for each of 3 levels 3 pairs of width and height in pixels. 0."""
        self._boxes.set_anchors(anchors_new)
        return 0

    @bound(
        "channel_idx: [int], image_idx: [int], input_data: [TensorPTRWithName], dete_threshold: [float], "
        "nms_threshold: [float], ost_w: [int], ost_h: [int], padding_attr: [[int]], /"
    )
    def push_data(
        self,
        channel_idx: Sequence[int],
        image_idx: Sequence[int],
        input_data: Sequence[TensorPTRWithName],
        dete_threshold: Sequence[float],
        nms_threshold: Sequence[float],
        ost_w: Sequence[int],
        ost_h: Sequence[int],
        padding_attr: Sequence[Sequence[int]],
    ) -> int:
        """The outputs for a batch of pictures of sizes ost_w x ost_h, which lie in the network's input at
        padding_attr, [left, top, width, height] each. 0; another code when the queue is full.
        """
        with self._arrived:
            if len(self._results) >= self._room:
                return RESULTS_FULL
        rows = self._boxes.rows([tensor.get_data() for tensor in input_data])
        found = []
        for i, channel in enumerate(channel_idx):
            left, top, width, height = padding_attr[i][:4]
            picture = Placed((ost_w[i], ost_h[i]), (width / ost_w[i], height / ost_h[i]), (left, top))
            thresholds = (dete_threshold[i], nms_threshold[i])
            found.append((self._boxes.find(rows[i], thresholds, self._many, picture), channel, image_idx[i]))
        with self._arrived:
            self._results.extend(found)
            self._arrived.notify_all()
        return 0

    def get_result_npy(self) -> Result:
        """The next picture's boxes (left, top, right, bottom, class, score), its channel and its index. Waits until
        there is one, as on a card for ever.
        """
        with self._arrived:
            while not self._results:
                if not self._arrived.wait(_STILL):
                    LOGGER.info("waiting for results")
            return self._results.popleft()

    def get_result(self) -> Any:
        """On a card an object that Python cannot read."""
        raise NotSupport("algo_yolov5_post_cpu_opt_async.get_result: get_result_npy is for Python")
