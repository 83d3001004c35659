"""Faces in a picture or a folder of pictures: OpenCV prepares, the network runs on arrays.

Written for sophon.sail, in the style of its published samples; knows nothing of bmzoo.
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

import cv2
import numpy as np
from sophon import sail

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

logging.basicConfig(level=logging.INFO)


class Retinaface_sophon:
    def __init__(self, model_path: str, tpu_id: int, score_threshold: float, nms_threshold: float) -> None:
        self.tpu_count = sail.get_available_tpu_num()
        self.engine = sail.Engine(model_path, tpu_id, sail.IOMode.SYSIO)
        self.handle = self.engine.get_handle()
        self.graph_name = self.engine.get_graph_names()[0]
        self.input_name = self.engine.get_input_names(self.graph_name)[0]
        self.input_shape = self.engine.get_input_shape(self.graph_name, self.input_name)
        self.input_dtype = self.engine.get_input_dtype(self.graph_name, self.input_name)
        self.input_scale = self.engine.get_input_scale(self.graph_name, self.input_name)
        self.output_names = self.engine.get_output_names(self.graph_name)
        for name in self.output_names:
            logging.info("output %s %s", name, self.engine.get_output_shape(self.graph_name, name))
        self.batch_size, _, self.net_h, self.net_w = self.input_shape
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

    def preprocess(self, image: NDArray[Any]) -> tuple[NDArray[np.float32], float]:
        ratio = min(self.net_h / image.shape[0], self.net_w / image.shape[1])
        resized = cv2.resize(image, None, fx=ratio, fy=ratio, interpolation=cv2.INTER_LINEAR)
        bottom, right = self.net_h - resized.shape[0], self.net_w - resized.shape[1]
        padded = cv2.copyMakeBorder(resized, 0, bottom, 0, right, cv2.BORDER_CONSTANT, value=(0, 0, 0))
        blob = padded.astype(np.float32) - np.array((104, 117, 123), dtype=np.float32)
        return blob.transpose(2, 0, 1), ratio

    def predict(self, blob: NDArray[Any]) -> list[Any]:
        outputs = self.engine.process(self.graph_name, {self.input_name: blob})
        found = {output.shape[-1]: output for output in outputs.values()}
        return [found[2], found[4], found[10]]

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

    def __call__(self, images: list[Any]) -> list[Any]:
        blobs = np.zeros(self.input_shape, dtype=np.float32)
        ratios = [1.0] * self.batch_size
        for i, image in enumerate(images):
            blobs[i], ratios[i] = self.preprocess(image)
        return self.postprocess(self.predict(blobs), ratios)[: len(images)]


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


def write_results(path: Path, names: Sequence[str], results: list[Any]) -> None:
    with path.open("a") as fp:
        for name, rows in zip(names, results):
            fp.write(f"{name}\n{len(rows)}\n")
            for row in rows:
                x1, y1, x2, y2 = (int(value) for value in row[:4])
                fp.write(f"{x1} {y1} {x2 - x1} {y2 - y1} {row[4]!s} \n")


def main(opt: argparse.Namespace) -> None:
    net = Retinaface_sophon(opt.bmodel, opt.tpu_id, opt.score_threshold, opt.nms_threshold)
    output_dir = Path(__file__).resolve().parent / "results"
    output_dir.mkdir(exist_ok=True)
    if Path(opt.input_path).is_dir():
        files = [Path(root, name) for root, _, names in os.walk(opt.input_path) for name in sorted(names)]
    else:
        files = [Path(opt.input_path)]
    title = f"{Path(opt.bmodel).name}_opencv_{Path(opt.input_path).name}_python_result.txt"
    batch = []
    for i, file in enumerate(files):
        batch.append((file.name, cv2.imread(str(file))))
        if len(batch) < net.batch_size and i + 1 < len(files):
            continue
        names, images = zip(*batch)
        results = net(list(images))
        write_results(output_dir / title, names, results)
        for name, image, rows in zip(names, images, results):
            for row in rows[rows[:, 4] >= 0.5]:
                cv2.rectangle(image, tuple(map(int, row[:2])), tuple(map(int, row[2:4])), (0, 0, 255), 2)
            cv2.imwrite(str(output_dir / f"{Path(name).stem}_opencv_out.jpg"), image)
        batch = []


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
