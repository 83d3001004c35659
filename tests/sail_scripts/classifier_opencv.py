"""Classes of pictures: arrays that are float64, because mean and deviation are. Prints JSON."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from sophon import sail

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Classifier:
    def __init__(self, bmodel: str, dev_id: int) -> None:
        self.net = sail.Engine(bmodel, dev_id, sail.IOMode.SYSIO)
        self.handle = sail.Handle(dev_id)
        self.bmcv = sail.Bmcv(self.handle)
        self.graph_name = self.net.get_graph_names()[0]
        self.input_name = self.net.get_input_names(self.graph_name)[0]
        self.input_dtype = self.net.get_input_dtype(self.graph_name, self.input_name)
        self.img_dtype = self.bmcv.get_bm_image_data_format(self.input_dtype)
        self.input_shape = self.net.get_input_shape(self.graph_name, self.input_name)
        self.batch_size, _, self.net_h, self.net_w = self.input_shape
        self.mean = [0.485, 0.456, 0.406]
        self.std = [0.229, 0.224, 0.225]

    def preprocess(self, path: str) -> NDArray[Any]:
        image = cv2.cvtColor(cv2.imread(path), cv2.COLOR_BGR2RGB)
        image = cv2.resize(image, (self.net_w, self.net_h)).astype("float32")
        image = (image / 255 - self.mean) / self.std
        return np.transpose(image, (2, 0, 1))

    def __call__(self, paths: list[Any]) -> list[Any]:
        images = np.stack([self.preprocess(path) for path in paths])
        missing = self.batch_size - len(paths)
        images = np.concatenate([images, np.zeros((missing, *images.shape[1:]))])
        outputs = self.net.process(self.graph_name, {self.input_name: images})
        scores = next(iter(outputs.values()))[: len(paths)]
        powers = np.exp(scores)
        shares: list[list[float]] = (powers / powers.sum(axis=1, keepdims=True)).tolist()
        return shares


if __name__ == "__main__":
    sys.stdout.write(json.dumps(Classifier(sys.argv[1], 0)(sys.argv[2:])) + "\n")
