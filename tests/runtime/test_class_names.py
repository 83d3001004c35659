"""Names of classes and characters: from files, from settings beside a model, from the model itself."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from bmzoo.errors import ConfigError, SourceError
from bmzoo.runtime.decoders.names import read_names
from bmzoo.runtime.decoders.spec import DecoderSpec
from bmzoo.runtime.engines.session import OnnxSession
from bmzoo.runtime.settings import Settings, fitted, settings_from


def test_one_name_a_line(tmp_path: Path) -> None:
    path = tmp_path / "names.txt"
    path.write_bytes("\ufeffcat\r\nhot dog\r\n \nß\u2028\n\n".encode())
    assert read_names(path) == ("cat", "hot dog", " ", "ß\u2028")


@pytest.mark.parametrize(("content", "said"), [(b"\n\n", "names nothing"), (b"\xff\xfe", "not text in UTF-8")])
def test_a_file_that_names_nothing(content: bytes, said: str, tmp_path: Path) -> None:
    (tmp_path / "names.txt").write_bytes(content)
    with pytest.raises(SourceError, match=said):
        read_names(tmp_path / "names.txt")
    with pytest.raises(SourceError, match=r"none.txt: cannot be read: No such file"):
        read_names(tmp_path / "none.txt")


def test_files_beside_the_settings(tmp_path: Path) -> None:
    (tmp_path / "names.txt").write_text("cat\ndog\n")
    where = str(tmp_path / "model.json")
    for classes in ("names.txt", ["cat", "dog"]):
        found = settings_from({"decoder": {"kind": "yolov8", "classes": classes}}, where)
        assert found.decoder.classes == ("cat", "dog")
    plugin = settings_from({"decoder": {"kind": "plugin", "plugin": "mine.py"}}, where)
    assert plugin.decoder.plugin == str(tmp_path / "mine.py")


def test_what_a_decoder_does_not_read_is_refused_but_for_what_changes_nothing() -> None:
    told = {"kind": "ultraface", "strides": [8, 16, 32], "variance": [0.1, 0.2]}  # earlier versions write it
    assert settings_from({"decoder": told}, "x.json").decoder == DecoderSpec("ultraface")
    with pytest.raises(ConfigError, match="x.json: decoder: strides: means nothing to ultraface, which reads nms"):
        settings_from({"decoder": {**told, "strides": [8, 16, 64]}}, "x.json")
    other = settings_from({"decoder": {"kind": "yolov8", "classes": ["cat"], "nms": 0.5}}, "x.json", "landmarks")
    assert other.decoder == DecoderSpec("landmarks")


def test_a_recognizer_may_bring_its_characters() -> None:
    info = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 3, 8, 8]) for name in ("x", "y")]
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "g", info[:1], info[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 11)], ir_version=6)
    helper.set_model_props(model, {"character": "a\nb"})
    session = OnnxSession(model.SerializeToString(), threads=1)
    reads, own, other = (
        DecoderSpec("ctc_text"),
        DecoderSpec("ctc_text", characters=("z",)),
        DecoderSpec("landmarks"),
    )
    known = [fitted(Settings(decoder=spec), session)[1].decoder.characters for spec in (reads, own, other)]
    assert known == [("a", "b"), ("z",), ()]
    assert isinstance(model, onnx.ModelProto) and session.run({"x": np.zeros((1, 3, 8, 8), np.float32)})
