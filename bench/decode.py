"""Decode and suppression of RetinaFace at 640x640 on crowded pictures: ours, the plain way, and onnxruntime.

    python bench/decode.py [--json bench/decode.json] [--data ../shared/data] [--pictures 12] [--rounds 15]

The plain way decodes all anchors and suppresses with one pass of numpy per box kept, as the published samples
do; written from their description. Everything is timed in turn within each round, on one thread.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from bmzoo.groundtruth import load_json  # noqa: E402
from bmzoo.model.checkpoint import load_state_dict  # noqa: E402
from bmzoo.model.retinaface import build  # noqa: E402
from bmzoo.runtime.decode import decode  # noqa: E402
from bmzoo.runtime.heads import DecoderSpec  # noqa: E402
from bmzoo.runtime.preprocess import InputSpec, prepare_batch  # noqa: E402
from bmzoo.runtime.priors import prior_boxes  # noqa: E402
from bmzoo.runtime.session import OnnxSession  # noqa: E402
from bmzoo.stages import machine  # noqa: E402

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


def plain_decode(heads: Heads, priors: NDArray[np.float32], scale: float) -> tuple[Any, Any, Any]:
    """Boxes, scores and landmarks of one picture: every anchor decoded, then filtered, then suppressed."""
    loc, conf, landms = (heads[name][0] for name in ("loc", "conf", "landms"))
    centre = priors[:, :2] + loc[:, :2] * np.float32(0.1) * priors[:, 2:]
    half = priors[:, 2:] * np.exp(loc[:, 2:] * np.float32(0.2)) / 2
    size = np.float32([SIDE, SIDE])
    boxes = np.concatenate([(centre - half) * size, (centre + half) * size], axis=1) / scale
    points = priors[:, None, :2] + landms.reshape(-1, 5, 2) * np.float32(0.1) * priors[:, None, 2:]
    points = points * size / scale
    at = np.flatnonzero(conf[:, 1] >= CONFIDENCE)
    at = at[np.argsort(-conf[at, 1], kind="stable")]
    boxes, scores = boxes[at].astype(np.float32), conf[at, 1]
    keep = plain_nms(boxes, scores)
    return boxes[keep], scores[keep], points[at][keep].astype(np.float32)


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


def measure(ways: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Median milliseconds of each way, timed in turn."""
    times: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(rounds + 1):
        for name, way in ways.items():
            start = time.perf_counter()
            way()
            if number:  # the first round warms up
                times[name].append((time.perf_counter() - start) * 1000)
    return {name: float(np.median(values)) for name, values in times.items()}


def crowds(data: Path, session: OnnxSession, count: int) -> list[dict[str, Any]]:
    """The pictures with most candidates, and what the network says of them."""
    found = []
    for picture in load_json(data / "wider_val" / "gt.json"):
        batch, geometries = prepare_batch([picture.read()], SPEC, 1)
        heads = session.run({"input": batch})
        candidates = int((heads["conf"][0, :, 1] >= CONFIDENCE).sum())
        found.append(
            {"name": picture.name, "candidates": candidates, "feed": batch, "at": geometries, "heads": heads}
        )
    return sorted(found, key=lambda one: -one["candidates"])[:count]


def row(one: dict[str, Any], session: OnnxSession, rounds: int) -> dict[str, Any]:
    heads, at, feed, scale = one["heads"], one["at"], one["feed"], one["at"][0].scale_x
    priors = prior_boxes(SIDE, SIDE)
    faces = decode(heads, DECODER, (SIDE, SIDE), CONFIDENCE, NMS, at)[0]
    boxes, scores, points = plain_decode(heads, priors, scale)
    same = np.array_equal(faces.scores, scores) and np.array_equal(faces.boxes, boxes)
    ways = {
        "ours": lambda: decode(heads, DECODER, (SIDE, SIDE), CONFIDENCE, NMS, at),
        "plain": lambda: plain_decode(heads, priors, scale),
        "plain_with_priors": lambda: plain_decode(heads, plain_priors(), scale),
        "onnxruntime": lambda: session.run({"input": feed}),
    }
    times = measure(ways, rounds)
    return {
        "picture": one["name"],
        "candidates": one["candidates"],
        "kept": len(faces),
        **{f"{name}_ms": round(value, 3) for name, value in times.items()},
        "faster_than_plain": round(times["plain"] / times["ours"], 2),
        "faster_than_plain_with_priors": round(times["plain_with_priors"] / times["ours"], 2),
        "share_of_onnxruntime": round(times["ours"] / times["onnxruntime"], 4),
        "same_boxes_in_same_order": bool(same),
        "landmarks_differ_by": float(np.abs(faces.landmarks - points).max(initial=0)) if same else None,
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--pictures", type=int, default=12)
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    facts = machine()
    state = load_state_dict(options.data / "weights" / "retinaface_mobilenet0.25_Final.pth")
    session = OnnxSession(build(state, SIDE, SIDE).SerializeToString(), threads=1)
    rows = [row(one, session, options.rounds) for one in crowds(options.data, session, options.pictures)]
    headings = ("cand.", "kept", "ours", "plain", "+priors", "ort 1t", "times", "share")
    print(f"{'picture':<48}", *(f"{heading:>8}" for heading in headings), sep="")
    for r in rows:
        times = (f"{r[key]:>8.2f}" for key in ("ours_ms", "plain_ms", "plain_with_priors_ms", "onnxruntime_ms"))
        shares = (f"{r['faster_than_plain']:>8.1f}", f"{r['share_of_onnxruntime']:>8.1%}")
        print(f"{r['picture'][:47]:<48}{r['candidates']:>8}{r['kept']:>8}", *times, *shares, sep="")
    keys = ("faster_than_plain", "faster_than_plain_with_priors", "share_of_onnxruntime")
    summary = {key: round(float(np.median([r[key] for r in rows])), 4) for key in keys}
    summary["same_boxes_in_same_order"] = all(r["same_boxes_in_same_order"] for r in rows)
    print("medians:", ", ".join(f"{key} {value}" for key, value in summary.items()))
    if options.json:
        result = {"machine": facts, "rounds": options.rounds, "medians": summary, "pictures": rows}
        options.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
