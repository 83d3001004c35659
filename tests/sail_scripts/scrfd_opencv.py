"""Nine outputs that are told apart by nothing but their order in the network. Prints JSON."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from sophon import sail

if TYPE_CHECKING:
    from numpy.typing import NDArray

STRIDES = (8, 16, 32)


class SCRFD:
    def __init__(self, bmodel: str) -> None:
        self.net = sail.Engine(bmodel, 0, sail.IOMode.SYSIO)
        self.graph_name = self.net.get_graph_names()[0]
        self.input_name = self.net.get_input_names(self.graph_name)[0]
        self.output_names = self.net.get_output_names(self.graph_name)
        if len(self.output_names) != 9:
            raise ValueError("only support 9 outputs")
        self.input_shape = self.net.get_input_shape(self.graph_name, self.input_name)
        _, _, self.net_h, self.net_w = self.input_shape

    def predict(self, image: NDArray[Any]) -> list[Any]:
        resized = cv2.resize(image, (self.net_w, self.net_h)).astype(np.float32)
        blob = ((resized[..., ::-1] - 127.5) / 128).transpose(2, 0, 1)[None]
        outputs = self.net.process(self.graph_name, {self.input_name: blob})
        return [outputs[name] for name in self.output_names]

    def __call__(self, image: NDArray[Any]) -> list[Any]:
        outputs = self.predict(image)
        best = []
        for i, stride in enumerate(STRIDES):
            scores, boxes, points = outputs[i][0, :, 0], outputs[i + 3][0] * stride, outputs[i + 6][0] * stride
            columns = self.net_w // stride
            at = int(scores.argmax())
            cell = at // 2
            x, y = cell % columns * stride, cell // columns * stride
            left, top, right, bottom = boxes[at]
            box = [x - left, y - top, x + right, y + bottom]
            best.append([float(scores[at]), [float(side) for side in box], len(points[at])])
        return best


if __name__ == "__main__":
    sys.stdout.write(json.dumps(SCRFD(sys.argv[1])(cv2.imread(sys.argv[2]))) + "\n")
