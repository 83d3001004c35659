"""Classes of pictures, without OpenCV: decoded, resized and scaled by the device. Prints JSON."""

# ruff: noqa: B905  # boards have Python 3.8

from __future__ import annotations

import json
import sys
from typing import Any

import numpy as np
from sophon import sail


class Classifier:
    def __init__(self, bmodel: str, dev_id: int) -> None:
        self.net = sail.Engine(bmodel, dev_id, sail.IOMode.SYSO)
        self.handle = self.net.get_handle()
        self.bmcv = sail.Bmcv(self.handle)
        self.graph_name = self.net.get_graph_names()[0]
        self.input_name = self.net.get_input_names(self.graph_name)[0]
        self.output_name = self.net.get_output_names(self.graph_name)[0]
        self.input_dtype = self.net.get_input_dtype(self.graph_name, self.input_name)
        self.img_dtype = self.bmcv.get_bm_image_data_format(self.input_dtype)
        self.input_scale = self.net.get_input_scale(self.graph_name, self.input_name)
        self.input_shape = self.net.get_input_shape(self.graph_name, self.input_name)
        self.output_shape = self.net.get_output_shape(self.graph_name, self.output_name)
        self.output_dtype = self.net.get_output_dtype(self.graph_name, self.output_name)
        self.input_tensor = sail.Tensor(self.handle, self.input_shape, self.input_dtype, False, False)
        self.output_tensor = sail.Tensor(self.handle, self.output_shape, self.output_dtype, True, True)
        self.batch_size, _, self.net_h, self.net_w = self.input_shape
        mean, std = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
        scale = self.input_scale
        self.a = [1 / (255.0 * deviation) * scale for deviation in std]
        self.b = [-m / deviation * scale for m, deviation in zip(mean, std)]

    def preprocess(self, path: str) -> sail.BMImage:
        decoder = sail.Decoder(path, True, 0)
        image = decoder.read(self.handle)
        if image.format() == sail.Format.FORMAT_YUV420P:
            image = self.bmcv.yuv2bgr(image)
        resized = self.bmcv.resize(image, self.net_w, self.net_h, sail.bmcv_resize_algorithm.BMCV_INTER_LINEAR)
        rgb = sail.BMImage(
            self.handle,
            resized.height(),
            resized.width(),
            sail.Format.FORMAT_RGB_PLANAR,
            sail.DATA_TYPE_EXT_1N_BYTE,
        )
        self.bmcv.convert_format(resized, rgb)
        scaled = sail.BMImage(self.handle, self.net_h, self.net_w, sail.Format.FORMAT_RGB_PLANAR, self.img_dtype)
        pairs = tuple((self.a[i], self.b[i]) for i in range(3))
        self.bmcv.convert_to(rgb, scaled, pairs)
        return scaled

    def __call__(self, paths: list[Any]) -> list[Any]:
        images = [self.preprocess(path) for path in paths]
        if self.batch_size == 1:
            self.bmcv.bm_image_to_tensor(images[0], self.input_tensor)
        else:
            batch = eval(f"sail.BMImageArray{self.batch_size}D")()
            for i, image in enumerate(images):
                batch.copy_from(i, image)
            self.bmcv.bm_image_to_tensor(batch, self.input_tensor)
        self.net.process(
            self.graph_name, {self.input_name: self.input_tensor}, {self.output_name: self.output_tensor}
        )
        powers = np.exp(self.output_tensor.asnumpy(self.output_shape)[: len(paths)])
        shares: list[list[float]] = (powers / powers.sum(axis=1, keepdims=True)).tolist()
        return shares


if __name__ == "__main__":
    sys.stdout.write(json.dumps(Classifier(sys.argv[1], 0)(sys.argv[2:])) + "\n")
