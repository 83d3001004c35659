"""What better thresholds would be worth: candidates on many models, judged by real lowerings on other pictures.

    python bench/thresholds.py [--json bench/thresholds.json] [--data ../shared/data] [--models yunet_n_320,...]
                               [--layers 12]

Every candidate starts from one look at 16 pictures of `calibration`, channels as they are, no layer in float. Where
something is chosen by what it does to the outputs, the first half of a further set of pictures chooses; every
candidate is judged on the second half, by TPU-MLIR's lowering for bm1684x in its interpreter. What the file holds
already is not measured again.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import onnx

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from emulated import Emulated  # noqa: E402
from smoothing import smoothed  # noqa: E402

from bmzoo.commands.requests import picture_size  # noqa: E402
from bmzoo.commands.table import rounded  # noqa: E402
from bmzoo.config.images import Images  # noqa: E402
from bmzoo.config.model import Model  # noqa: E402
from bmzoo.config.options import Options  # noqa: E402
from bmzoo.config.quantization import Calibration, Quantization  # noqa: E402
from bmzoo.config.weights import Weights  # noqa: E402
from bmzoo.errors import BmzooError  # noqa: E402
from bmzoo.measure.npz import arrays  # noqa: E402
from bmzoo.measure.stages import machine  # noqa: E402
from bmzoo.plan.decoding import decoder_files, decoder_request  # noqa: E402
from bmzoo.plan.fed import fed, input_request  # noqa: E402
from bmzoo.plan.float_layers import agree_step  # noqa: E402
from bmzoo.plan.lowering import plain_lowering  # noqa: E402
from bmzoo.plan.shared import document, import_step, transform_step  # noqa: E402
from bmzoo.plan.step import Command, File, Output, Pictures, Step  # noqa: E402
from bmzoo.quantization.emulator import EmulatorJob  # noqa: E402
from bmzoo.quantization.histograms import Histogram  # noqa: E402
from bmzoo.quantization.observing import Observation, observers  # noqa: E402
from bmzoo.quantization.refine import by_tensor, most_sensitive, moves, scales  # noqa: E402
from bmzoo.quantization.table_tensors import tap  # noqa: E402
from bmzoo.quantization.thresholds import clipping  # noqa: E402
from bmzoo.system.hashing import sha256  # noqa: E402
from bmzoo.system.partial import Pieces  # noqa: E402
from bmzoo.tasks.progress import Progress  # noqa: E402
from bmzoo.workspace import Workspace  # noqa: E402

MODELS = (
    *("yunet_n_320", "ultraface_rfb_320", "retinaface_mobilenet0.25", "yolox_nano", "yolov5n", "ppocr_v3_det"),
    *("ppocr_v4_rec", "superres_ort"),
)
METHODS = ("kl", "mse", "max", "percentile9999", "aciq_laplace", "aciq_gauss")
CHIP = "bm1684x"
Table = Mapping[str, tuple[float, float, float]]
# Of these the first half chooses and the second judges.
PICTURES = {
    "yunet_n_320": ("selection/wider_test", 32),
    "ultraface_rfb_320": ("selection/wider_test", 32),
    "retinaface_mobilenet0.25": ("selection/wider_test", 32),
    "yolox_nano": ("coco/selection", 32),
    "yolov5n": ("coco/selection", 32),
    "superres_ort": ("coco/selection", 16),
    "ppocr_v3_det": ("text", 10),
    "ppocr_v4_rec": ("lines/48x320-2000-32/images", 32),
    "deeplabv3": ("coco/selection", 16),
    "orinet": ("coco/selection", 32),
}
CALIBRATED_ON = 16
# Networks with attention, the rows whose thresholds they are smoothed for, and the exponents of activations.
SMOOTHED, SMOOTHED_FROM, SHARES = ("ppocr_v4_rec",), ("kl, tuned", "percentile9999"), (0.5, 0.75)


@dataclass(frozen=True)
class Case:
    """A model at work: where it runs, what chooses, what judges, and what was seen of its tensors."""

    at: Workspace
    model: Model
    folder: Path
    choosing: Images
    judging: Images
    weights: Weights  # of the model itself, or of another that computes the same
    tables: Mapping[str, Table]  # by method


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--models", type=lambda text: tuple(text.split(",")), default=MODELS)
    parser.add_argument("--layers", type=int, default=12)
    options = parser.parse_args()
    found: dict[str, Any] = {"machine": machine(), "layers": options.layers, "models": {}}
    if options.json and options.json.is_file():
        found["models"] = json.loads(options.json.read_text(encoding="utf-8"))["models"]

    def keep() -> None:
        if options.json:  # after each: it takes long
            options.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")

    with tempfile.TemporaryDirectory(prefix="thresholds-") as name:
        at = _checkout(Path(name), options.data)
        for model in options.models:
            case = _case(at, at.models[model], Path(name) / "work" / model)
            _compared(case, options.layers, found["models"].setdefault(model, {}), keep)
    return 0


def _checkout(root: Path, data: Path) -> Workspace:
    """A workspace with nothing made and nothing decided."""
    shutil.copytree(ROOT / "configs", root / "configs")
    (root / "models").mkdir()
    at = Workspace(root, {**os.environ, "BMZOO_DATA": str(data)}, Progress(), Options())
    at.layout.make_build()
    return at


def _case(at: Workspace, model: Model, folder: Path) -> Case:
    where, number = PICTURES[model.name]
    names = [path.name for path in at.sources(model).pictures(Pictures(where, number)).files]
    choosing, judging = (
        Images(folder=where, count=len(part), first=tuple(part))
        for part in (names[: number // 2], names[number // 2 :])
    )
    folder.mkdir(parents=True)
    case = Case(at, model, folder, choosing, judging, at.weights.chosen(model), {})
    return replace(case, tables=_tables(case))


def _with(case: Case, table: Path, images: Images, flags: tuple[str, ...] = ()) -> Model:
    """The model with plain INT8, thresholds of a file, looked at on some pictures."""
    model = case.model
    targets = tuple(one.model_copy(update={"deploy": (*one.deploy, *flags)}) for one in model.config.targets)
    update = {
        "calibration": Calibration(table=str(table)),
        "quantization": Quantization(images=images),
        "targets": targets,
    }
    return replace(model, config=model.config.model_copy(update=update))


def _tables(case: Case) -> dict[str, Table]:
    """Rows by every method, of one look at the calibration pictures."""
    at, model, folder = case.at, case.model, case.folder / "calibration"
    weights, given = case.weights, model.config.calibration
    assert given is not None and given.images is not None, "only models that calibrate with pictures"
    builder = at.builder(model)
    source, transform = builder.run(import_step(model, weights)), builder.run(transform_step(model, weights, 1, ""))
    feeds = arrays(builder.run(_feeding(case, given.images, CALIBRATED_ON)).path("inputs.npz"))
    samples = _samples(folder, feeds, CALIBRATED_ON)
    tapped = tap(
        onnx.load(str(source.path("model.onnx"))), transform.path("model.mlir").read_text(encoding="utf-8")
    )
    onnx.save(tapped.model, str(folder / "tapped.onnx"))
    outputs = tuple(dict.fromkeys(tapped.sources.values()))
    job = Observation(folder / "tapped.onnx", outputs, 4096, {})
    with observers(job, samples) as processes:
        processes.watch(Pieces(folder, len(samples)))
        by_method = processes.each(partial(_rows, methods=METHODS))
    found: dict[str, Table] = {}
    for name in by_method[outputs[0]]:
        found[name] = {row: by_method[tensor][name] for row, tensor in tapped.sources.items()}
    # Tensors of the tool's own making get what the one before them has, which is what a guess stands for.
    missing = [row for row in tapped.rows if row not in tapped.sources]
    assert not missing, f"{model.name}: no values for {missing}"
    return found


def _feeding(case: Case, images: Images, count: int) -> Step:
    model = case.model
    source = import_step(model, case.weights)
    request = {**input_request(model), "minimum": 1, "slots": count}
    return Step(
        "feed",
        source.subject,
        (Command("prepare", ("request.json",)),),
        (("model.json", Output(source, "model.json")), *fed(model, images, count)),
        ("inputs.npz",),
        (document("request.json", request),),
    )


def _samples(folder: Path, feeds: Mapping[str, Any], count: int) -> list[Path]:
    (folder / "samples").mkdir(parents=True)
    paths = [folder / "samples" / f"{index:05d}.npz" for index in range(count)]
    for index, path in enumerate(paths):
        rows = {name: len(values) // count for name, values in feeds.items()}
        np.savez(
            path, **{name: value[index * rows[name] : (index + 1) * rows[name]] for name, value in feeds.items()}
        )
    return paths


def _rows(seen: Histogram, methods: tuple[str, ...]) -> dict[str, tuple[float, float, float]]:
    """By method, with and without tuning."""
    found = {f"{method}": clipping(seen, method) for method in methods}
    found["kl, tuned"] = clipping(seen, "kl", tune=True)
    return {name: (row.threshold, row.low, row.high) for name, row in found.items()}


def _written(case: Case, name: str, table: Table) -> Path:
    path = case.folder / f"{name.replace(' ', '_').replace(',', '')}.table"
    lines = [f"{row} {threshold!r} {low!r} {high!r}" for row, (threshold, low, high) in table.items()]
    path.write_text(rounded("\n".join(lines)), encoding="utf-8")
    return path


def _compared(case: Case, layers: int, found: dict[str, Any], keep: Callable[[], None]) -> None:
    """Every candidate's figures on the judging pictures."""
    for name, judge in _candidates(case, layers):
        if name not in found:
            start = time.monotonic()
            figures = judge()
            found[name] = {**figures, "seconds": round(time.monotonic() - start, 1)}
            print(json.dumps({case.model.name: {name: found[name]}}), flush=True)
            keep()


def _candidates(case: Case, layers: int) -> Iterator[tuple[str, Callable[[], dict[str, Any]]]]:
    def lowered(name: str, table: Table, flags: tuple[str, ...] = ()) -> dict[str, Any]:
        return _judged(case, _with(case, _written(case, name, table), case.judging, flags))

    def moved(start: str) -> dict[str, Any]:
        table, said = _refined(case, case.tables[start], layers)
        return {**lowered(f"{start} refined", table), **said}

    def smooth(start: str, share: float) -> dict[str, Any]:
        other = _smoothed(case, share)
        return _judged(other, _with(other, _written(other, start, other.tables[start]), other.judging))

    for name, table in case.tables.items():
        yield name, partial(lowered, name, table)
    tuned = case.tables["kl, tuned"]
    yield "kl, tuned, asymmetric", partial(lowered, "asymmetric", tuned, ("--asymmetric",))
    yield "kl, tuned, refined", partial(moved, "kl, tuned")
    yield "kl, tuned, biases corrected", lambda: _judged(*_corrected(case))
    for start, share in product(SMOOTHED_FROM, SHARES) if case.model.name in SMOOTHED else ():
        yield f"{start}, smoothed {share}", partial(smooth, start, share)


def _judged(case: Case, model: Model) -> dict[str, Any]:
    """The real lowering beside the model itself, also where it is made of another that computes the same."""
    step, given = agree_step(model, CHIP, case.weights, None), case.at.weights.chosen(case.model)
    itself = {"model.onnx": Output(import_step(case.model, given), "model.onnx")}
    step = replace(step, inputs=tuple({**dict(step.inputs), **itself}.items()))
    try:
        figures = case.at.builder(case.model).run(step).read_json("agreement.json")
    except BmzooError as error:
        return {"error": str(error).splitlines()[0]}
    told = figures.get("detections") or {}
    return {
        **{key: figures[key] for key in ("loss", "cosine", "kept")},
        **{key: told[key] for key in ("expected", "missed", "extra") if key in told},
        "sqnr_db": {head: round(row["sqnr_db"], 2) for head, row in figures["tensors"].items()},
    }


def _emulated(case: Case, table: Table) -> Emulated:
    """The network with these thresholds, over the choosing pictures."""
    model = _with(case, _written(case, "start", table), case.choosing)
    weights, at = case.weights, case.at
    builder = at.builder(case.model)
    folder = case.folder / "emulated"
    folder.mkdir(exist_ok=True)
    count = case.choosing.count or 0
    for name, entry in (
        ("model.onnx", builder.run(import_step(model, weights))),
        ("model.json", builder.run(import_step(model, weights))),
        ("model.mlir", builder.run(transform_step(model, weights, 1, ""))),
        ("lowered.mlir", builder.run(plain_lowering(model, CHIP, weights))),
        ("inputs.npz", builder.run(_feeding(case, case.choosing, count))),
    ):
        shutil.copyfile(entry.path(name), folder / name)
    for name, content in decoder_files(model):
        assert isinstance(content, File)
        shutil.copyfile(at.sources(case.model).files(content)[0], folder / name)
    size = picture_size(input_request(model)) if model.config.input is not None else (1, 1)
    return Emulated(EmulatorJob(folder, decoder_request(model), size, count), size, count)


def _refined(case: Case, start: Table, number: int) -> tuple[Table, dict[str, Any]]:
    """Thresholds of the layers that decide, where the outputs lose least."""
    at = _emulated(case, start)
    known = {row: (threshold, max(abs(low), abs(high))) for row, (threshold, low, high) in start.items()}
    order = most_sensitive(scales(at.net, known), at.sensitivities(4), number)
    moved = moves(order, lambda factors: at.loss(at.net.scaled(factors)))
    factors = {row: factor for one, factor in moved.items() for row in one.rows}
    table = {row: (threshold * factors.get(row, 1.0), low, high) for row, (threshold, low, high) in start.items()}
    before, after = at.loss(at.net), at.loss(at.net.scaled(by_tensor(moved)))
    return table, {"emulated_loss": [round(before, 6), round(after, 6)], "moved": len(moved)}


def _corrected(case: Case) -> tuple[Case, Model]:
    """Biases without the mean error that rounding makes of each channel of a layer by itself.

    (Nagel et al., Data-Free Quantization Through Weight Equalization and Bias Correction, ICCV 2019.)
    """
    at = _emulated(case, case.tables["kl, tuned"])
    offs = at.mean_errors()
    source = case.at.builder(case.model).run(import_step(case.model, case.weights))
    network = onnx.load(str(source.path("model.onnx")))
    stored = {one.name: one for one in network.graph.initializer}
    changed = 0
    for node in network.graph.node:
        off = offs.get(node.output[0])
        biased = node.op_type in ("Conv", "Gemm", "ConvTranspose") and len(node.input) > 2
        if off is None or not biased or node.input[2] not in stored:
            continue
        bias = onnx.numpy_helper.to_array(stored[node.input[2]])
        name = f"{node.output[0]}#corrected"
        network.graph.initializer.append(onnx.numpy_helper.from_array((bias - off).astype(np.float32), name))
        node.input[2] = name
        changed += 1
    other = _with_network(case, network, "corrected")
    print(f"{case.model.name}: {changed} biases corrected of {len(offs)} layers with weights", flush=True)
    return other, _with(other, _written(case, "kl, tuned", case.tables["kl, tuned"]), case.judging)


def _smoothed(case: Case, share: float) -> Case:
    """The case with a network whose channels are alike where attention and linear layers read them."""
    source = case.at.builder(case.model).run(import_step(case.model, case.weights)).path("model.onnx")
    samples = sorted((case.folder / "calibration" / "samples").iterdir())
    network, places = smoothed(onnx.load(str(source)), share, [arrays(path) for path in samples])
    print(f"{case.model.name}: {places} activations smoothed by {share}", flush=True)
    other = _with_network(case, network, f"smoothed{share}")
    return replace(other, tables=_tables(other))


def _with_network(case: Case, network: onnx.ModelProto, name: str) -> Case:
    """The case with another network in the place of the model's, in a folder of its own."""
    folder = Path(tempfile.mkdtemp(prefix=name, dir=case.folder))
    path = folder / f"{name}.onnx"
    onnx.save(network, str(path))
    weights = case.weights.model_copy(update={"file": str(path), "sha256": sha256(path), "architecture": None})
    config = case.model.config.model_copy(update={"weights": (weights,)})
    return replace(case, model=replace(case.model, config=config), folder=folder, weights=weights)


if __name__ == "__main__":
    raise SystemExit(main())
