"""Faces in pictures or a video: the device decodes, resizes, scales and draws.

Written for sophon.sail, in the style of its published samples; knows nothing of bmzoo, numpy and the standard
library are all it needs.
"""

# ruff: noqa: B905  # boards have Python 3.8

from __future__ import annotations

import argparse
import logging
import os
from itertools import product
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from sophon import sail

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

logging.basicConfig(level=logging.INFO)
PICTURES = (".jpg", ".jpeg", ".bmp", ".png")


class Retinaface_sophon:
    def __init__(self, model_path: str, tpu_id: int, score_threshold: float, nms_threshold: float) -> None:
        self.engine = sail.Engine(model_path, tpu_id, sail.IOMode.SYSO)
        self.handle = self.engine.get_handle()
        self.bmcv = sail.Bmcv(self.handle)
        self.graph_name = self.engine.get_graph_names()[0]
        self.input_name = self.engine.get_input_names(self.graph_name)[0]
        self.input_shape = self.engine.get_input_shape(self.graph_name, self.input_name)
        self.input_dtype = self.engine.get_input_dtype(self.graph_name, self.input_name)
        self.input_scale = self.engine.get_input_scale(self.graph_name, self.input_name)
        self.img_dtype = self.bmcv.get_bm_image_data_format(self.input_dtype)
        self.input_tensor = sail.Tensor(self.handle, self.input_shape, self.input_dtype, False, False)
        self.input_tensors = {self.input_name: self.input_tensor}
        self.output_tensors = {}
        self.output_shapes = {}
        for name in self.engine.get_output_names(self.graph_name):
            shape = self.engine.get_output_shape(self.graph_name, name)
            dtype = self.engine.get_output_dtype(self.graph_name, name)
            self.output_tensors[name] = sail.Tensor(self.handle, shape, dtype, True, True)
            self.output_shapes[name] = shape
        self.batch_size, _, self.net_h, self.net_w = self.input_shape
        scale = self.input_scale
        self.ab = tuple((scale, -mean * scale) for mean in (104, 117, 123))
        self.score_threshold = score_threshold
        self.nms_threshold = nms_threshold
        self.priors = self.prior_box()

    def prior_box(self) -> NDArray[Any]:
        anchors = []
        for step, sizes in ((8, (16, 32)), (16, (64, 128)), (32, (256, 512))):
            for i, j in product(range(ceil(self.net_h / step)), range(ceil(self.net_w / step))):
                for size in sizes:
                    centre = ((j + 0.5) * step / self.net_w, (i + 0.5) * step / self.net_h)
                    anchors.append([*centre, size / self.net_w, size / self.net_h])
        return np.array(anchors, dtype=np.float32)

    def preprocess_bmcv(self, image: sail.BMImage) -> tuple[sail.BMImage, float]:
        if image.format() == sail.Format.FORMAT_YUV420P:
            image = self.bmcv.yuv2bgr(image)
        ratio = min(self.net_w / image.width(), self.net_h / image.height())
        padding = sail.PaddingAtrr()
        padding.set_stx(0)
        padding.set_sty(0)
        padding.set_w(int(image.width() * ratio))
        padding.set_h(int(image.height() * ratio))
        padding.set_r(0)
        padding.set_g(0)
        padding.set_b(0)
        padded = self.bmcv.vpp_crop_and_resize_padding(
            image, 0, 0, image.width(), image.height(), self.net_w, self.net_h, padding
        )
        converted = sail.BMImage(self.handle, self.net_h, self.net_w, sail.Format.FORMAT_BGR_PLANAR, self.img_dtype)
        self.bmcv.convert_to(padded, converted, self.ab)
        return converted, ratio

    def __call__(self, images: list[Any]) -> list[Any]:
        ratios = [1.0] * self.batch_size
        if self.batch_size == 1:
            batch, ratios[0] = self.preprocess_bmcv(images[0])
        else:
            batch = eval(f"sail.BMImageArray{self.batch_size}D()")
            for i, image in enumerate(images):
                converted, ratios[i] = self.preprocess_bmcv(image)
                batch[i] = converted.data()
        self.bmcv.bm_image_to_tensor(batch, self.input_tensor)
        self.engine.process(self.graph_name, self.input_tensors, self.output_tensors)
        found = {}
        for name, tensor in self.output_tensors.items():
            found[self.output_shapes[name][-1]] = tensor.asnumpy(self.output_shapes[name])
        return self.postprocess([found[2], found[4], found[10]], ratios)[: len(images)]

    def postprocess(self, outputs: list[Any], ratios: list[Any]) -> list[Any]:
        results = []
        for conf, loc, landms, ratio in zip(*outputs, ratios):
            centres = self.priors[:, :2] + loc[:, :2] * np.float32(0.1) * self.priors[:, 2:]
            sizes = self.priors[:, 2:] * np.exp(loc[:, 2:] * np.float32(0.2))
            boxes = np.concatenate((centres - sizes / 2, centres + sizes / 2), 1)
            boxes = boxes * np.array([self.net_w, self.net_h] * 2, dtype=np.float32)
            boxes = boxes.astype(np.float64) / ratio
            points = (
                self.priors[:, None, :2] + landms.reshape(-1, 5, 2) * np.float32(0.1) * self.priors[:, None, 2:]
            )
            points = points * np.array([self.net_w, self.net_h]) / ratio
            rows = np.hstack((boxes, conf[:, 1:2], points.reshape(-1, 10))).astype(np.float32)
            rows = rows[rows[:, 4] >= self.score_threshold]
            rows = rows[np.argsort(-rows[:, 4], kind="stable")]
            results.append(rows[py_cpu_nms(rows, self.nms_threshold)])
        return results


def py_cpu_nms(rows: NDArray[Any], threshold: float) -> list[Any]:
    x1, y1, x2, y2 = rows[:, :4].T
    areas = (x2 - x1 + 1) * (y2 - y1 + 1)
    order, keep = np.arange(len(rows)), []
    while order.size > 0:
        best = order[0]
        keep.append(best)
        w = np.maximum(0, np.minimum(x2[best], x2[order[1:]]) - np.maximum(x1[best], x1[order[1:]]) + 1)
        h = np.maximum(0, np.minimum(y2[best], y2[order[1:]]) - np.maximum(y1[best], y1[order[1:]]) + 1)
        overlap = w * h / (areas[best] + areas[order[1:]] - w * h)
        order = order[1:][overlap <= threshold]
    return keep


def finish(net: Retinaface_sophon, output_dir: Path, title: str, batch: list[Any]) -> None:
    names, images = zip(*batch)
    with (output_dir / title).open("a") as fp:
        for name, image, rows in zip(names, images, net(list(images))):
            fp.write(f"{name}\n{len(rows)}\n")
            for row in rows:
                x1, y1, x2, y2 = (int(value) for value in row[:4])
                fp.write(f"{x1} {y1} {x2 - x1} {y2 - y1} {row[4]!s} \n")
                if row[4] >= 0.5:
                    net.bmcv.rectangle(image, x1, y1, x2 - x1, y2 - y1, (0, 0, 255), 2)
            net.bmcv.imwrite(str(output_dir / f"{Path(name).stem}_bmcv_out.jpg"), image)


def main(opt: argparse.Namespace) -> None:
    net = Retinaface_sophon(opt.bmodel, opt.tpu_id, opt.score_threshold, opt.nms_threshold)
    output_dir = Path(__file__).resolve().parent / "results"
    output_dir.mkdir(exist_ok=True)
    title = f"{Path(opt.bmodel).name}_bmcv_{Path(opt.input_path).name}_python_result.txt"
    batch = []
    for name, image in frames(net.handle, opt.input_path):
        batch.append((name, image))
        if len(batch) == net.batch_size:
            finish(net, output_dir, title, batch)
            batch = []
    if batch:
        finish(net, output_dir, title, batch)


def frames(handle: sail.Handle, input_path: str) -> Iterator[tuple[str, sail.BMImage]]:
    """Name and image of every picture in a folder, of one picture, or of every frame of a video."""
    if Path(input_path).is_dir():
        files = [Path(root, name) for root, _, names in os.walk(input_path) for name in sorted(names)]
    elif input_path.endswith(PICTURES):
        files = [Path(input_path)]
    else:
        decoder = sail.Decoder(input_path, True, 0)
        if not decoder.is_opened():
            raise RuntimeError(f"can not open {input_path}")
        number = 0
        while True:
            frame = sail.BMImage()
            if decoder.read(handle, frame):
                decoder.release()
                return
            yield str(number), frame
            number += 1
    for file in files:
        decoder = sail.Decoder(str(file), False, 0)
        image = sail.BMImage()
        if decoder.read(handle, image):
            raise RuntimeError(f"can not decode {file}")
        yield file.name, image


def argsparser() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--bmodel", required=True)
    parser.add_argument("--input_path", required=True)
    parser.add_argument("--tpu_id", type=int, default=0)
    parser.add_argument("--score_threshold", type=float, default=0.02)
    parser.add_argument("--nms_threshold", type=float, default=0.4)
    return parser.parse_args()


if __name__ == "__main__":
    main(argsparser())
