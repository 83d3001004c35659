"""The cut that `new` offers: lines that can be taken in, and a network that means the same then."""

import json
from pathlib import Path

import numpy as np
import onnx
import pytest

from bmzoo.config.model import load
from bmzoo.config_import.draft import Draft
from bmzoo.config_import.from_onnx import OnnxSource, from_onnx
from bmzoo.config_import.places import Places
from bmzoo.config_import.yaml_text import yaml_text
from bmzoo.measure.specs import decoder_spec
from bmzoo.onnx_import.cut import cut
from bmzoo.onnx_import.offers import Offer, offer
from bmzoo.plan.build import recipe
from bmzoo.plan.decoding import decoder_request
from bmzoo.runtime.decoders.decode import decode
from bmzoo.runtime.engines.session import OnnxSession
from bmzoo.runtime.predictions.detections import Detections
from bmzoo.runtime.predictions.prediction import only
from bmzoo.runtime.preprocess import InputSpec, prepare, read_image

CUT = ("yolov5n", "yolox_nano", "yunet_n_320", "yunet_n_dynamic", "ppocr_v4_rec")
# Shapes that are free in the file leave the import no decoder to name before it has run the network.
KINDS = {"ppocr_v4_rec": "ctc_text"}
# What they are shown.
SHOWN = {"yolov5n": "coco/selection", "yolox_nano": "coco/selection", "yunet_n_320": "selection/wider_test"}


def drafted(name: str, data: Path) -> Draft:
    source = OnnxSource(data / "models" / f"{name}.onnx", name, name=name)
    return from_onnx(source, Places(data, (data,), data, frozenset()), [], try_pictures=False)


def taken_in(text: str) -> str:
    """A config with the offered lines taken in, as their comment says."""
    lines = text.splitlines()
    offered = [line for line in lines if line.startswith(("# outputs: ", "# decoder: "))]
    lines = [line[2:] if line in offered else line for line in lines]
    if any(line.startswith("# decoder: ") for line in offered):
        first = lines.index("decoder:")
        last = next(n for n, line in enumerate(lines[first:], first) if not line)
        del lines[first:last]
    assert offered
    return "\n".join(lines)


def found_cut(name: str, data: Path) -> Offer:
    found = offer(onnx.load(str(data / "models" / f"{name}.onnx")))
    assert found is not None
    return found


@pytest.mark.parametrize("name", CUT)
def test_a_config_with_the_lines_taken_in_can_be_planned(name: str, data: Path, tmp_path: Path) -> None:
    path = tmp_path / f"{name}.yaml"
    path.write_text(taken_in(yaml_text(drafted(name, data))))
    model, found = load(path, name), found_cut(name, data)
    assert model.config.outputs == found.outputs
    assert model.config.decoder.kind == KINDS.get(name, found.decoder)
    for target in model.targets:
        steps = recipe(model, target, model.config.weights[0])
        assert list(found.outputs) == _asked_for(steps.source.documents)


def _asked_for(documents: tuple[tuple[str, str], ...]) -> object:
    return json.loads(dict(documents)["request.json"])["outputs"]


@pytest.mark.parametrize("name", SHOWN)
def test_a_network_that_is_cut_there_finds_the_same(name: str, data: Path, tmp_path: Path) -> None:
    draft = drafted(name, data)
    path = tmp_path / f"{name}.yaml"
    path.write_text(taken_in(yaml_text(draft)))
    config = load(path, name).config
    assert config.input is not None and config.input.height and config.input.width
    model = onnx.load(str(data / "models" / f"{name}.onnx"))
    size = (config.input.height, config.input.width)
    told = config.input.model_dump(include=set(InputSpec.__dataclass_fields__), exclude_none=True)
    spec = InputSpec(**{**told, "mean": config.input.means, "scale": config.input.scales})
    decoder = decoder_spec(decoder_request(load(path, name)), tmp_path)
    sessions = [OnnxSession(each.SerializeToString()) for each in (model, cut(model, config.outputs or (), name))]
    count = 0
    for picture in sorted((data / SHOWN[name]).iterdir())[:6]:
        fed = {model.graph.input[0].name: prepare(read_image(picture), spec)[0][None]}
        found = [decode(session.run(fed), decoder, size, 0.3, 0.5) for session in sessions]
        (whole,), (cut_off,) = (only(Detections, each, name) for each in found)
        count += len(whole)
        for key in ("boxes", "scores", "labels"):
            np.testing.assert_allclose(getattr(cut_off, key), getattr(whole, key), atol=0.01, rtol=1e-3)
    assert count > 0


def test_a_network_that_needs_no_cut_is_offered_none(data: Path) -> None:
    assert "\n# outputs:" not in yaml_text(drafted("ultraface_rfb_320", data))


def test_another_decoder_takes_the_place_of_the_one_that_is_written() -> None:
    draft = Draft("a", "Written by hand")
    draft.put("decoder.kind", "none")
    draft.offer(
        "decoder", "Because", {"outputs": ["12", "a/b"], "decoder": {"kind": "yolov8", "classes": ["x", "1"]}}
    )
    draft.put("targets", [{"chip": "bm1688"}])
    text = yaml_text(draft)
    assert '# outputs: ["12", a/b]\n# decoder: {kind: yolov8, classes: [x, "1"]}\ndecoder:' in text.replace(
        "'", '"'
    )
    assert taken_in(text).count("decoder:") == 1
