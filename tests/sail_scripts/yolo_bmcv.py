"""Boxes in pictures or a video, letterboxed by the device; boxes from numpy or from sail. Prints JSON."""

# ruff: noqa: B905  # boards have Python 3.8

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

import numpy as np
from sophon import sail


class YOLO:
    def __init__(self, bmodel: str, dev_id: int) -> None:
        self.net = sail.Engine(bmodel, dev_id, sail.IOMode.SYSO)
        self.handle = self.net.get_handle()
        self.bmcv = sail.Bmcv(self.handle)
        self.graph_name = self.net.get_graph_names()[0]
        self.input_name = self.net.get_input_names(self.graph_name)[0]
        self.input_dtype = self.net.get_input_dtype(self.graph_name, self.input_name)
        self.img_dtype = self.bmcv.get_bm_image_data_format(self.input_dtype)
        self.input_scale = self.net.get_input_scale(self.graph_name, self.input_name)
        self.input_shape = self.net.get_input_shape(self.graph_name, self.input_name)
        self.output_tensors = {}
        self.output_scales = {}
        self.output_shapes = []
        for name in self.net.get_output_names(self.graph_name):
            shape = self.net.get_output_shape(self.graph_name, name)
            dtype = self.net.get_output_dtype(self.graph_name, name)
            self.output_scales[name] = self.net.get_output_scale(self.graph_name, name)
            self.output_tensors[name] = sail.Tensor(self.handle, shape, dtype, True, True)
            self.output_shapes.append(shape)
        self.batch_size, _, self.net_h, self.net_w = self.input_shape
        self.ab = [x * self.input_scale / 255.0 for x in [1, 0, 1, 0, 1, 0]]
        self.use_vpp = False

    def letterbox(self, image: sail.BMImage) -> tuple[sail.BMImage, tuple[float, int, int]]:
        r_w = self.net_w / image.width()
        r_h = self.net_h / image.height()
        ratio = min(r_w, r_h)
        tw, th = round(ratio * image.width()), round(ratio * image.height())
        tx1, ty1 = int((self.net_w - tw) / 2), int((self.net_h - th) / 2)
        padding = sail.PaddingAtrr()
        padding.set_stx(tx1)
        padding.set_sty(ty1)
        padding.set_w(tw)
        padding.set_h(th)
        padding.set_r(114)
        padding.set_g(114)
        padding.set_b(114)
        resize = self.bmcv.vpp_crop_and_resize_padding if self.use_vpp else self.bmcv.crop_and_resize_padding
        whole = (0, 0, image.width(), image.height())
        method = sail.bmcv_resize_algorithm.BMCV_INTER_LINEAR
        return resize(image, *whole, self.net_w, self.net_h, padding, method), (ratio, tx1, ty1)

    def preprocess(self, image: sail.BMImage) -> tuple[sail.BMImage, tuple[float, int, int]]:
        rgb_planar = sail.BMImage(
            self.handle,
            image.height(),
            image.width(),
            sail.Format.FORMAT_RGB_PLANAR,
            sail.DATA_TYPE_EXT_1N_BYTE,
        )
        self.bmcv.convert_format(image, rgb_planar)
        resized, where = self.letterbox(rgb_planar)
        scaled = sail.BMImage(self.handle, self.net_h, self.net_w, sail.Format.FORMAT_RGB_PLANAR, self.img_dtype)
        pairs = ((self.ab[0], self.ab[1]), (self.ab[2], self.ab[3]), (self.ab[4], self.ab[5]))
        self.bmcv.convert_to(resized, scaled, pairs)
        return scaled, where

    def predict(self, images: list[Any]) -> list[Any]:
        tensor = sail.Tensor(self.handle, self.input_shape, self.input_dtype, False, False)
        prepared = [self.preprocess(image) for image in images]
        if self.batch_size == 1:
            self.bmcv.bm_image_to_tensor(prepared[0][0], tensor)
        else:
            batch = eval(f"sail.BMImageArray{self.batch_size}D")()
            for i, (image, _) in enumerate(prepared):
                batch[i] = image.data()
            self.bmcv.bm_image_to_tensor(batch, tensor)
        shapes = {self.input_name: self.input_shape}
        self.net.process(self.graph_name, {self.input_name: tensor}, shapes, self.output_tensors)
        return [where for _, where in prepared]

    def boxes_numpy(self, wheres: list[Any], images: list[Any]) -> list[Any]:
        (rows,) = [t.asnumpy() * self.output_scales[name] for name, t in self.output_tensors.items()]
        results = []
        for found, (ratio, tx1, ty1), image in zip(rows, wheres, images):
            scores = found[:, 4] * found[:, 5:].max(axis=1)
            best = found[int(scores.argmax())]
            corners = np.concatenate([best[:2] - best[2:4] / 2, best[:2] + best[2:4] / 2])
            corners = (corners - np.array([tx1, ty1, tx1, ty1])) / ratio
            limits = np.array([image.width() - 1, image.height() - 1] * 2)
            corners = np.clip(corners, 0, limits).astype(int).tolist()
            results.append([[*corners, int(best[5:].argmax()), float(scores.max())]])
        return results

    def boxes_sail(self, images: list[Any], threshold: float) -> list[Any]:
        post = sail.algo_yolov5_post_cpu_opt(self.output_shapes, self.net_w, self.net_h)
        widths, heights = [i.width() for i in images], [i.height() for i in images]
        limits = [threshold] * len(images), [0.6] * len(images)
        boxes: list[Any] = post.process(self.output_tensors, widths, heights, *limits, True, False)
        return boxes


def main(opt: argparse.Namespace) -> None:
    yolo = YOLO(opt.bmodel, 0)
    decoder = sail.Decoder(opt.input, True, 0)
    if not decoder.is_opened():
        raise RuntimeError("can not open decoder")
    results, images = [], []
    while True:
        frame = sail.BMImage()
        end = decoder.read(yolo.handle, frame)
        if not end:
            images.append(frame)
        if images and (end or len(images) == yolo.batch_size):
            wheres = yolo.predict(images)
            found = yolo.boxes_sail(images, 0.01) if opt.use_cpu_opt else yolo.boxes_numpy(wheres, images)
            results += found
            for image, boxes in zip(images, found):
                for left, top, right, bottom, *_ in boxes:
                    yolo.bmcv.rectangle(image, left, top, right - left + 1, bottom - top + 1, (0, 255, 0), 2)
                yolo.bmcv.imwrite(f"{opt.output}_{len(results)}.jpg", image)
            images = []
        if end or opt.input.endswith((".jpg", ".png")):
            break
    sys.stdout.write(json.dumps(results) + "\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--bmodel")
    parser.add_argument("--input")
    parser.add_argument("--output")
    parser.add_argument("--use_cpu_opt", action="store_true")
    main(parser.parse_args())
