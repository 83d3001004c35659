"""Decode and suppression of RetinaFace at 640x640 on crowded pictures: ours, the plain way, and the libraries'.

    python bench/decode.py [--json bench/decode.json] [--data ../shared/data] [--pictures 12] [--rounds 15]

The plain way decodes all anchors and suppresses with one pass of numpy per box kept, as the published samples
do; written from their description. Everything is timed in turn within each round, on one thread: each way with the
outputs of a run of the network just before, and "again" once more at once, as for the next picture of a batch.
Suppression alone is compared with OpenCV's `cv2.dnn.NMSBoxes`, too.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from bmzoo.measure.groundtruth import load  # noqa: E402
from bmzoo.measure.stages import machine  # noqa: E402
from bmzoo.onnx_import.checkpoint import load_state_dict  # noqa: E402
from bmzoo.onnx_import.retinaface import build  # noqa: E402
from bmzoo.runtime.decoders import retinaface  # noqa: E402
from bmzoo.runtime.decoders.decode import decode_boxes  # noqa: E402
from bmzoo.runtime.decoders.priors import prior_boxes  # noqa: E402
from bmzoo.runtime.decoders.spec import DecoderSpec  # noqa: E402
from bmzoo.runtime.engines.session import OnnxSession  # noqa: E402
from bmzoo.runtime.nms import nms  # noqa: E402
from bmzoo.runtime.preprocess import InputSpec, prepare_batch  # noqa: E402
from bmzoo.runtime.resizing import Geometry  # noqa: E402
from bmzoo.system.text import aligned  # noqa: E402

SIDE, CONFIDENCE, NMS = 640, 0.02, 0.4
SPEC = InputSpec(SIDE, SIDE, "bgr", (104.0, 117.0, 123.0), (1.0,) * 3, "letterbox")
DECODER = DecoderSpec("retinaface")
Heads = Mapping[str, NDArray[np.float32]]


def plain_priors() -> NDArray[np.float32]:
    """The same anchors as `prior_boxes`, one by one in Python."""
    anchors = []
    for stride, sizes in zip(DECODER.strides, DECODER.min_sizes, strict=True):
        cells = math.ceil(SIDE / stride)
        for row in range(cells):
            for column in range(cells):
                for size in sizes:
                    centre = ((column + 0.5) * stride / SIDE, (row + 0.5) * stride / SIDE)
                    anchors.append([*centre, size / SIDE, size / SIDE])
    return np.array(anchors, np.float32)


def plain_decode(heads: Heads, priors: NDArray[np.float32], scale: Any) -> tuple[Any, Any, Any]:
    """Boxes, scores and landmarks of one picture: every anchor decoded, then filtered, then suppressed."""
    boxes, scores, points = plain_candidates(heads, priors, scale)
    keep = plain_nms(boxes, scores)
    return boxes[keep], scores[keep], points[keep].astype(np.float32)


def plain_candidates(heads: Heads, priors: NDArray[np.float32], scale: Any) -> tuple[Any, Any, Any]:
    """What there is before suppression, best score first."""
    loc, conf, landms = (heads[name][0] for name in ("loc", "conf", "landms"))
    centre = priors[:, :2] + loc[:, :2] * np.float32(0.1) * priors[:, 2:]
    half = priors[:, 2:] * np.exp(loc[:, 2:] * np.float32(0.2)) / 2
    size = np.array([SIDE, SIDE], np.float32)
    boxes = np.concatenate([(centre - half) * size, (centre + half) * size], axis=1) / scale
    points = priors[:, None, :2] + landms.reshape(-1, 5, 2) * np.float32(0.1) * priors[:, None, 2:]
    points = points * size / scale
    at = np.flatnonzero(conf[:, 1] >= CONFIDENCE)
    at = at[np.argsort(-conf[at, 1], kind="stable")]
    return boxes[at].astype(np.float32), conf[at, 1], points[at]


def plain_nms(boxes: NDArray[np.float32], scores: NDArray[np.float32]) -> list[int]:
    """Greedy, one pass of numpy per box kept."""
    x1, y1, x2, y2 = boxes.T
    areas = (x2 - x1 + 1) * (y2 - y1 + 1)
    order, keep = np.argsort(-scores, kind="stable"), []
    while order.size:
        best, order = order[0], order[1:]
        keep.append(int(best))
        width = np.maximum(0, np.minimum(x2[best], x2[order]) - np.maximum(x1[best], x1[order]) + 1)
        height = np.maximum(0, np.minimum(y2[best], y2[order]) - np.maximum(y1[best], y1[order]) + 1)
        common = width * height
        order = order[common / (areas[best] + areas[order] - common) <= NMS]
    return keep


def opencv_nms(boxes: NDArray[np.float32], scores: NDArray[np.float32]) -> NDArray[np.int64]:
    """OpenCV's: corners and sides, a pixel longer each, in float64."""
    rects = np.empty((len(boxes), 4))
    rects[:, :2] = boxes[:, :2]
    rects[:, 2:] = boxes[:, 2:] - boxes[:, :2] + 1
    kept = cv2.dnn.NMSBoxes(rects, scores, 0.0, NMS)  # type: ignore[arg-type]  # it takes arrays, and faster
    return np.asarray(kept, np.int64).reshape(-1)


def crowds(data: Path, session: OnnxSession, count: int, others: int) -> list[dict[str, Any]]:
    """The pictures with most candidates, then some of the others, evenly from many candidates to few."""
    found: list[dict[str, Any]] = []
    for picture in load(data / "wider_val" / "gt.json"):
        batch, geometries = prepare_batch([picture.read()], SPEC, 1)
        candidates = int((session.run({"input": batch})["conf"][0, :, 1] >= CONFIDENCE).sum())
        found.append({"name": picture.name, "candidates": candidates, "feed": batch, "at": geometries})
    found.sort(key=lambda one: -one["candidates"])
    rest = found[count:]
    chosen = [rest[i] for i in np.linspace(0, len(rest) - 1, min(others, len(rest))).astype(int)]
    return [one | {"crowd": True} for one in found[:count]] + [one | {"crowd": False} for one in chosen]


def in_use(
    ways: Mapping[str, Callable[[Heads], object]], run: Callable[[], Heads], rounds: int
) -> dict[str, float]:
    """Median milliseconds: of each way with the outputs of a run just before, as in use; then once more."""
    times: dict[str, list[float]] = {}

    def timed(name: str, work: Callable[[], Any]) -> Any:
        start = time.perf_counter()
        result = work()
        times.setdefault(name, []).append((time.perf_counter() - start) * 1000)
        return result

    for _ in range(rounds + 1):  # the first round warms up
        for name, way in ways.items():
            heads = timed("onnxruntime", run)
            timed(name, partial(way, heads))
            timed(f"{name}_again", partial(way, heads))
    return {name: float(np.median(values[len(values) // (rounds + 1) :])) for name, values in times.items()}


def candidates(heads: Heads, at: Sequence[Geometry]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Boxes and scores before suppression, in pixels of the picture."""
    (found,) = retinaface.candidates(heads, DECODER, (SIDE, SIDE), CONFIDENCE)
    return at[0].to_original(found.boxes), found.scores


def stages(heads: Heads, at: Sequence[Geometry], priors: NDArray[np.float32], rounds: int) -> dict[str, float]:
    """Median milliseconds of decoding and of suppression alone, each over and over."""
    boxes, scores = candidates(heads, at)
    works: dict[str, Callable[[], object]] = {
        "ours_decode": lambda: retinaface.candidates(heads, DECODER, (SIDE, SIDE), CONFIDENCE),
        "ours_nms": lambda: nms(boxes, scores, NMS),
        "plain_decode": lambda: plain_candidates(heads, priors, at[0].scale_x),
        "plain_nms": lambda: plain_nms(boxes, scores),
        "opencv_nms": lambda: opencv_nms(boxes, scores),
    }
    times = {name: float("nan") for name in works}
    for name, work in works.items():
        taken = []
        for _ in range(rounds + 1):
            start = time.perf_counter()
            work()
            taken.append((time.perf_counter() - start) * 1000)
        times[name] = float(np.median(taken[1:]))
    return times


def row(one: dict[str, Any], session: OnnxSession, rounds: int) -> dict[str, Any]:
    at, feed, scale = one["at"], one["feed"], one["at"][0].scale_x
    priors = prior_boxes(SIDE, SIDE)
    heads = session.run({"input": feed})
    faces = decode_boxes(heads, DECODER, (SIDE, SIDE), CONFIDENCE, NMS, at)[0]
    # Ours divides by the scale in float64; so does the plain way if the scale is an array of that.
    boxes, scores, points = plain_decode(heads, priors, np.array([scale]))
    same = np.array_equal(faces.scores, scores) and np.array_equal(faces.boxes, boxes)
    ways: dict[str, Callable[[Heads], object]] = {
        "ours": lambda heads: decode_boxes(heads, DECODER, (SIDE, SIDE), CONFIDENCE, NMS, at),
        "plain": lambda heads: plain_decode(heads, priors, scale),
        "plain_with_priors": lambda heads: plain_decode(heads, plain_priors(), scale),
    }
    times = in_use(ways, lambda: session.run({"input": feed}), rounds)
    each = stages(heads, at, priors, rounds)
    return {
        "picture": one["name"],
        "crowd": one["crowd"],
        "candidates": one["candidates"],
        "kept": len(faces),
        **{f"{name}_ms": round(value, 3) for name, value in times.items()},
        "stages_ms": {name: round(value, 3) for name, value in each.items()},
        "faster_than_plain": round(times["plain"] / times["ours"], 2),
        "faster_than_plain_again": round(times["plain_again"] / times["ours_again"], 2),
        "faster_than_plain_with_priors": round(times["plain_with_priors"] / times["ours"], 2),
        "nms_faster_than_opencv": round(each["opencv_nms"] / each["ours_nms"], 2),
        "share_of_onnxruntime": round(times["ours"] / times["onnxruntime"], 4),
        "same_boxes_in_same_order": bool(same),
        "opencv_keeps_the_same": opencv_nms(*candidates(heads, at)).tolist()
        == nms(*candidates(heads, at), NMS).tolist(),
        "landmarks_differ_by": float(np.abs(faces.landmarks - points).max(initial=0)) if same else None,
    }


def columns(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[str]]:
    """What is printed of the rows."""
    shown = {
        "cand.": ("candidates", "d"),
        "kept": ("kept", "d"),
        "ours": ("ours_ms", ".2f"),
        "plain": ("plain_ms", ".2f"),
        "times": ("faster_than_plain", ".1f"),
        "again": ("faster_than_plain_again", ".1f"),
        "+priors": ("plain_with_priors_ms", ".2f"),
        "nms to cv2": ("nms_faster_than_opencv", ".1f"),
        "ort 1t": ("onnxruntime_ms", ".2f"),
        "share": ("share_of_onnxruntime", ".1%"),
    }
    figures = {title: [format(row[key], spec) for row in rows] for title, (key, spec) in shown.items()}
    return {"picture": [row["picture"][:39] for row in rows], **figures}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--pictures", type=int, default=12)
    parser.add_argument("--others", type=int, default=12, help="pictures of the rest, for the whole curve")
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    facts = machine()
    state = load_state_dict(options.data / "weights" / "retinaface_mobilenet0.25_Final.pth")
    session = OnnxSession(build(state, SIDE, SIDE).SerializeToString(), threads=1)
    pictures = crowds(options.data, session, options.pictures, options.others)
    rows = [row(one, session, options.rounds) for one in pictures]
    print("\n".join(aligned(columns(rows), ("picture",))))
    crowd = [r for r in rows if r["crowd"]]
    keys = (
        "faster_than_plain",
        "faster_than_plain_again",
        "faster_than_plain_with_priors",
        "nms_faster_than_opencv",
        "share_of_onnxruntime",
    )
    summary = {key: round(float(np.median([r[key] for r in crowd])), 4) for key in keys}
    summary["same_boxes_in_same_order"] = all(r["same_boxes_in_same_order"] for r in rows)
    print(f"medians of the first {len(crowd)}:", ", ".join(f"{key} {value}" for key, value in summary.items()))
    if options.json:
        result = {"machine": facts, "rounds": options.rounds, "medians": summary, "pictures": rows}
        options.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
