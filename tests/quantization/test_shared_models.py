"""Real networks of other families, through the real toolchain: each is lowered to INT8, mapped and ranked."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray

from bmzoo.commands import choose, cut, rank
from bmzoo.config.inputs import Input
from bmzoo.execute.toolchain import Installation, LocalToolchain
from bmzoo.plan.step import Command
from bmzoo.quantization.emulator import EmulatorJob
from bmzoo.quantization.fakequant import emulation
from bmzoo.quantization.folding import network_inputs
from bmzoo.quantization.session import session
from bmzoo.runtime.engines.mlir import MlirSession
from bmzoo.runtime.preprocess import InputSpec, prepare, read_image
from bmzoo.system.hashing import Digests

pytestmark = pytest.mark.toolchain
NONE = {"kind": "none", "strides": [8], "min_sizes": [[16]], "variance": [0.1, 0.2]}


@dataclass(frozen=True)
class Shared:
    """How a model is fed: the smallest size that it takes, `(pixel - mean) * scale`, and which pictures."""

    height: int
    width: int
    mean: float = 0.0
    scale: float = 1.0
    folder: str = "coco/calibration"
    pixels: str = "rgb"
    nhwc: bool = False


# TPU-MLIR does not convert silero_vad_16k_op15, which branches on its sampling rate.
MODELS = {
    "deeplabv3": Shared(257, 257, 127.5, 1 / 127.5, nhwc=True),
    "orinet": Shared(96, 96, 120, 1 / 58, "text"),
    "ppocr_v3_det": Shared(160, 160, 120, 1 / 58, "text"),
    "ppocr_v4_rec": Shared(48, 160, 127.5, 1 / 127.5, "text"),
    "superres_ort": Shared(224, 224, 0, 1 / 255, pixels="gray"),
    "ultraface_rfb_320": Shared(240, 320, 127, 1 / 128, "calibration/wider_test"),
    "yolov5n": Shared(640, 640, 0, 1 / 255),
    "yolox_nano": Shared(416, 416, pixels="bgr"),
    "yunet_n_320": Shared(320, 320, folder="calibration/wider_test", pixels="bgr"),
    "yunet_n_dynamic": Shared(160, 160, folder="calibration/wider_test", pixels="bgr"),
}


def pictures(data: Path, how: Shared, count: int) -> list[NDArray[np.float32]]:
    """Inputs of one picture each, [1,C,H,W] or [1,H,W,C]."""
    channels = 1 if how.pixels == "gray" else 3
    spec = InputSpec(how.height, how.width, how.pixels, (how.mean,) * channels, (how.scale,) * channels, "stretch")
    paths = sorted((data / how.folder).glob("*.jpg"))[:count]
    found = [prepare(read_image(path), spec)[0][None] for path in paths]
    return [each.transpose(0, 2, 3, 1) if how.nhwc else each for each in found]


@pytest.fixture(scope="module", params=sorted(MODELS))
def lowered(
    request: pytest.FixtureRequest, data: Path, tpuc_root: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A folder as the step `rank` finds it: the model, its top and lowered MLIR for bm1684x, two pictures."""
    name, how = request.param, MODELS[request.param]
    folder = tmp_path_factory.mktemp(name)
    toolchain = LocalToolchain(Installation(tpuc_root, "under test", external=False), Digests(folder / "memory"))
    shutil.copy(data / "models" / f"{name}.onnx", folder / "model.onnx")
    fed, (source, *_) = pictures(data, how, 2), network_inputs(onnx.load(str(folder / "model.onnx")))
    for index, each in enumerate(fed):
        np.savez(folder / f"{index}.npz", **{source: each})
    np.savez(folder / "inputs.npz", **{source: np.concatenate(fed)})
    (folder / "samples.txt").write_text("0.npz\n1.npz\n")

    def tool(program: str, *args: str) -> None:
        toolchain.run(Command(program, args), folder, folder / "log.txt", timeout=300)

    shape = json.dumps([list(fed[0].shape)], separators=(",", ":"))
    form = (*(("--channel_format", "nhwc") if how.nhwc else ()), "--pixel_format", how.pixels)
    model = ("--model_name", name, "--model_def", "model.onnx", "--input_shapes", shape, *form)
    tool("model_transform.py", *model, "--mlir", "model.mlir")
    samples = ("--data_list", "samples.txt", "--input_num", "2", "--tune_num", "0", "-o", "table")
    tool("run_calibration.py", "model.mlir", *samples)
    deploy = ("--mlir", "model.mlir", "--chip", "bm1684x", "--quantize", "INT8", "--calibration_table", "table")
    tool("model_deploy.py", *deploy, "--skip_validation", "--not_gen_bmodel", "--debug", "--model", "model.bmodel")
    tool("lowered")
    section = Input.model_validate({"height": how.height, "width": how.width, "pixel_format": how.pixels})
    request_text = {"decoder": NONE, "input": section.model_dump(), "slots": 1}
    (folder / "request.json").write_text(json.dumps(request_text))
    (folder / "model.json").write_text(json.dumps({"input": source}))
    np.savez(folder / "inputs.npz", **{source: fed[0]})
    return folder


def test_every_shared_model_is_ranked(lowered: Path) -> None:
    """Nearly all layers in INT8 have a tensor of the ONNX model, and what each does alone is a number."""
    rank.run(lowered, ("request.json",))
    ranking = json.loads((lowered / "ranking.json").read_text())
    mapped, layers = ranking["mapped"]
    assert mapped >= 0.95 * layers
    assert 0.9 * layers <= len(ranking["layers"]) <= mapped
    losses = [row["loss"] for row in ranking["layers"]]
    assert all(np.isfinite(losses)) and losses[0] > 0
    assert all(np.isfinite(row["cosine_loss"]) for row in ranking["layers"])


def test_the_emulator_errs_as_the_real_lowering_does(lowered: Path, tpuc_root: Path) -> None:
    """The outputs of emulated INT8 are nearer to those of TPU-MLIR's own than the float model's are."""
    job = EmulatorJob(lowered, NONE, (1, 1), 1)
    net, feeds = job.network(), job.picture(job.feeds(), 0)
    exact = session(net.model, 1).run(list(net.heads), feeds)
    emulated = session(emulation(net), 1).run(list(net.heads), feeds)
    running = MlirSession(lowered / "lowered.mlir", tpuc_root, log=lowered / "pymlir.log")
    try:
        real = list(running.run({running.inputs[0].name: next(iter(feeds.values()))}).values())
    finally:
        running.close()
    shares = []
    for float_value, test, value in zip(exact, emulated, real, strict=True):
        wanted = value.reshape(float_value.shape)
        shares.append(np.linalg.norm(test - wanted) / max(float(np.linalg.norm(float_value - wanted)), 1e-9))
    assert np.median(shares) < 0.85


@pytest.mark.parametrize("lowered", ["orinet"], indirect=True)
def test_layers_are_chosen_up_to_the_table_for_the_compiler(lowered: Path, tmp_path: Path) -> None:
    for name in ("model.onnx", "model.json", "model.mlir", "lowered.mlir", "inputs.npz"):
        shutil.copy(lowered / name, tmp_path / name)
    request = json.loads((lowered / "request.json").read_text())
    more = {"limit": 6, "metric": "faces", "exclude": []}
    (tmp_path / "request.json").write_text(json.dumps({**request, **more}))
    rank.run(tmp_path, ("request.json",))
    choose.run(tmp_path, ("request.json",))
    path = json.loads((tmp_path / "path.json").read_text())
    assert path["choices"][-1]["loss"] < path["plain"]["loss"] / 2
    settings = {"max_float_layers": 3, "expected_cos": None, "gain": 0.0, "keep": None, "metric": "faces"}
    settings["exclude"] = None
    (tmp_path / "cut.json").write_text(json.dumps({"settings": settings, "mode": "F16"}))
    cut.run(tmp_path, ("cut.json",))
    assert " F16" in (tmp_path / "mixed.qtable").read_text()
