"""The embedded weights: a trained state dict to ONNX, and what the model finds in scenes that it never saw.

Usage: .venv/bin/python tools/embedded_model.py export WEIGHTS.pth [--half P]
       .venv/bin/python tools/embedded_model.py evaluate [--scenes N]

`export` writes models/onnx/retinaface_mobilenet0.25.embedded.onnx by the project's own graph builder and reader of
checkpoints; equal weights give equal bytes. `evaluate` writes the figures beside it, as JSON. No PyTorch.
"""

import argparse
import hashlib
import json
import sys
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from bmzoo.errors import BmzooError, SourceError  # noqa: E402
from bmzoo.measure.average_precision import Predictions, Truth, curves  # noqa: E402
from bmzoo.onnx_import import contract, retinaface  # noqa: E402
from bmzoo.onnx_import.batches import settle  # noqa: E402
from bmzoo.onnx_import.checkpoint import load_state_dict  # noqa: E402
from bmzoo.runtime.decoders.decode import decode_boxes  # noqa: E402
from bmzoo.runtime.engines.session import OnnxSession  # noqa: E402
from bmzoo.runtime.predictions.detections import Detections  # noqa: E402
from bmzoo.runtime.preprocess import prepare_batch  # noqa: E402
from bmzoo.runtime.settings import Settings  # noqa: E402
from bmzoo.scenes import FIRST_TRAINING_SEED, Scene, draw  # noqa: E402

MODEL = ROOT / "models" / "onnx" / "retinaface_mobilenet0.25.embedded.onnx"
SIZE = 640
MEAN = (104, 117, 123)
MOST_BYTES = 2_000_000
# Seeds of the empty scenes; the others start at 0. All of them stay below FIRST_TRAINING_SEED.
FIRST_EMPTY = 500_000
SURE = 0.5
DOUBTFUL = 0.02  # average precision needs the doubtful faces, too
TALL = 16.0  # pixels; the smallest anchor
HEIGHTS = (0, 12, 16, 24, 48, 96, SIZE)  # pixels: landmarks are judged between each two as well
# A channel that moves by less than this share of the layer's largest value says nothing.
DEAD = 1e-4


def export(weights: Path, target: Path, half: float) -> str:
    """Write the model; its sha256. Raises SourceError when it would break what embedded models promise.

    `half` is the trained network's confidence, 0 to 1, that is to be 0.5 in the model. Training sees as many
    backgrounds as it chooses to, so what its confidence is worth has to be measured, on scenes of other seeds than
    those of `evaluate`. The order of detections stays as it is.
    """
    if not 0 < half < 1:
        raise SourceError(f"half: must lie between 0 and 1: {half:g}")
    state = load_state_dict(weights)
    for level in range(3):
        state[f"ClassHead.{level}.conv1x1.bias"][1::2] -= np.log(
            half / (1 - half)
        )  # of each anchor: background, face
    model = retinaface.build(state, SIZE, SIZE)
    data = model.SerializeToString(deterministic=True)
    wrong = contract.violations(model)
    if len(data) >= MOST_BYTES:
        wrong.append(f"{len(data)} bytes, {MOST_BYTES} or more")
    if wrong:
        raise SourceError(f"{weights}: no model to embed: {'; '.join(wrong)}")
    spec = {"pixel_format": "bgr", "height": SIZE, "width": SIZE, "mean": MEAN, "scale": (1, 1, 1)}
    if settle(model, spec, [1, 4], str(weights)).model is not model:
        raise SourceError(f"{weights}: the batch of the model is not free")
    scratch = target.with_suffix(".part")
    scratch.write_bytes(data)
    scratch.replace(target)
    return hashlib.sha256(data).hexdigest()


def evaluate(model: Path, count: int) -> dict[str, object]:
    """The figures of the model card, over `count` scenes of all kinds and as many without faces."""
    if not 0 < count <= FIRST_EMPTY or FIRST_EMPTY + count > FIRST_TRAINING_SEED:
        raise SourceError(f"scenes: must be 1 to {min(FIRST_EMPTY, FIRST_TRAINING_SEED - FIRST_EMPTY)}: {count}")
    session = OnnxSession(model)
    scenes, found = [], []
    for scene in _scenes(0, count, None):
        found.append(_detect(session, scene))
        scenes.append((scene.boxes, scene.landmarks))
    heights = np.concatenate([boxes[:, 3] - boxes[:, 1] for boxes, _ in scenes])
    empty = [_detect(session, scene) for scene in _scenes(FIRST_EMPTY, count, "empty")]
    false = sum(int((faces.scores >= SURE).sum()) for faces in empty)
    dead, channels = _dead_channels(model, [draw(seed, SIZE, SIZE) for seed in range(min(count, 24))])
    return {
        "model": model.name,
        "sha256": hashlib.sha256(model.read_bytes()).hexdigest(),
        "size": SIZE,
        "scenes": count,
        "seeds": [0, FIRST_EMPTY],
        "faces": len(heights),
        "faces_16_pixels_and_higher": int((heights >= TALL).sum()),
        **_precision(found, [boxes for boxes, _ in scenes]),
        **_surely_found(found, scenes),
        "false_faces_per_100_empty_scenes": round(100 * false / count, 2),
        "dead_channels": dead,
        "channels": channels,
        "dead_share": round(dead / channels, 4),
    }


def _scenes(first: int, count: int, kind: str | None) -> Iterator[Scene]:
    return (draw(first + i, SIZE, SIZE, kind) for i in range(count))


def _detect(session: OnnxSession, scene: Scene) -> Detections:
    settings = Settings()
    batch, geometries = prepare_batch([scene.image], settings.input, 1)
    return decode_boxes(
        session.run({"input": batch}), settings.decoder, (SIZE, SIZE), DOUBTFUL, settings.nms, geometries
    )[0]


def _precision(found: Sequence[Detections], truths: Sequence[NDArray[np.float32]]) -> dict[str, float]:
    """Average precision by WIDER FACE's protocol, of all faces and of those 16 pixels and higher."""
    predictions = [Predictions(_xywh(faces.boxes), faces.scores) for faces in found]
    subsets = [
        Truth(
            _xywh(boxes), {"all": np.arange(len(boxes)), "tall": np.flatnonzero(boxes[:, 3] - boxes[:, 1] >= TALL)}
        )
        for boxes in truths
    ]
    by_subset = curves(predictions, subsets)
    names = {"ap_all": "all", "ap_16_pixels_and_higher": "tall"}
    return {name: round(by_subset[subset].ap, 4) for name, subset in names.items()}


def _surely_found(
    found: Sequence[Detections], scenes: Sequence[tuple[NDArray[np.float32], NDArray[np.float32]]]
) -> dict[str, object]:
    """At confidence 0.5: recall, precision, and the landmarks' mean distance in shares of the face's size.

    The size is the root of the true box's area. Each true face takes the box that overlaps it most, from an IoU of
    0.5 on.
    """
    errors: list[NDArray[np.float64]] = []
    heights: list[NDArray[np.float32]] = []
    predicted = faces = 0
    for detections, (boxes, landmarks) in zip(found, scenes, strict=True):
        sure = detections.take(np.flatnonzero(detections.scores >= SURE))
        predicted, faces = predicted + len(sure), faces + len(boxes)
        if not len(sure) or not len(boxes):
            continue
        overlap = _iou(boxes, sure.boxes)
        hits = np.flatnonzero(overlap.max(1) >= 0.5)
        distance = np.linalg.norm(sure.landmarks[overlap[hits].argmax(1)] - landmarks[hits], axis=2)
        sides = boxes[hits, 2:] - boxes[hits, :2]
        heights.append(sides[:, 1])
        errors.append((distance / np.sqrt(sides.prod(1))[:, None]).astype(np.float64))
    every = np.concatenate([*errors, np.empty((0, 5))])
    tallness = np.concatenate([*heights, np.empty(0)])
    groups = [every[(tallness >= low) & (tallness < high)] for low, high in pairwise(HEIGHTS)]
    return {
        "recall": round(len(every) / max(1, faces), 4),
        "precision": round(len(every) / max(1, predicted), 4),
        "landmark_error": _mean(every),
        "landmark_error_16_pixels_and_higher": _mean(every[tallness >= TALL]),
        "landmark_error_by_height": [
            {"from": low, "to": high, "faces": len(group), "error": _mean(group)}
            for (low, high), group in zip(pairwise(HEIGHTS), groups, strict=True)
        ],
    }


def _mean(values: NDArray[np.float64]) -> float | None:
    return round(float(values.mean()), 4) if values.size else None


def _dead_channels(path: Path, scenes: Sequence[Scene]) -> tuple[int, int]:
    """Channels of convolutions and activations that never change, over all cells of all scenes; and how many."""
    model = onnx.load(str(path))
    kinds = ("Conv", "LeakyRelu", "Relu")
    names = [node.output[0] for node in model.graph.node if node.op_type in kinds]
    model.graph.output.extend(onnx.helper.make_tensor_value_info(n, onnx.TensorProto.FLOAT, None) for n in names)
    session = OnnxSession(model.SerializeToString())
    low: dict[str, NDArray[np.float32]] = {}
    high: dict[str, NDArray[np.float32]] = {}
    for scene in scenes:
        heads = session.run({"input": prepare_batch([scene.image], Settings().input, 1)[0]})
        for name in names:
            least, most = heads[name].min((0, 2, 3)), heads[name].max((0, 2, 3))
            low[name] = np.minimum(low.get(name, least), least)
            high[name] = np.maximum(high.get(name, most), most)
    spans = [(high[name] - low[name], max(abs(high[name]).max(), abs(low[name]).max())) for name in names]
    return sum(int((span <= DEAD * most).sum()) for span, most in spans), sum(len(span) for span, _ in spans)


def _xywh(corners: NDArray[np.float32]) -> NDArray[np.float64]:
    rows: NDArray[np.float32] = np.concatenate([corners[:, :2], corners[:, 2:] - corners[:, :2]], axis=1)
    return rows.astype(np.float64)


def _iou(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float32]:
    low, high = np.maximum(a[:, None, :2], b[None, :, :2]), np.minimum(a[:, None, 2:], b[None, :, 2:])
    common = np.maximum(high - low, 0).prod(2)
    areas = [(box[:, 2:] - box[:, :2]).prod(1) for box in (a, b)]
    overlap: NDArray[np.float32] = common / (areas[0][:, None] + areas[1][None] - common)
    return overlap


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    commands = parser.add_subparsers(dest="command", required=True)
    one = commands.add_parser("export", help="a state dict to ONNX")
    one.add_argument("weights", type=Path)
    one.add_argument("--out", type=Path, default=MODEL)
    one.add_argument("--half", type=float, default=0.5, help="confidence of the network that is 0.5 in the model")
    two = commands.add_parser("evaluate", help="figures over unseen scenes")
    two.add_argument("--model", type=Path, default=MODEL)
    two.add_argument("--scenes", type=int, default=300)
    two.add_argument("--out", type=Path, help="by default beside the model")
    args = parser.parse_args()
    try:
        if args.command == "export":
            print(export(args.weights, args.out, args.half))
        else:
            figures = json.dumps(evaluate(args.model, args.scenes), indent=1)
            (args.out or args.model.with_suffix(".json")).write_text(figures + "\n", encoding="utf-8")
            print(figures)
    except BmzooError as error:
        print(f"error: {error.message}" + (f"\nhint: {error.hint}" if error.hint else ""), file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
