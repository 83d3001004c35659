"""A config in which something is still to be said is refused, with file and line of each."""

from pathlib import Path

import pytest

from bmzoo.config.model import load
from bmzoo.errors import ConfigError

CONFIG = """\
weights:
  - {{name: given, file: m.onnx, sha256: {digest}}}
input:
  height: 32
  width: 32
  mean: {mean}
  scale: {scale}
decoder: {{kind: none}}
verify: {{images: {{folder: {folder}}}}}
targets:
  - {{chip: bm1684x, precision: fp16}}
"""


def written(path: Path, mean: str = "[0, 0, 0]", scale: str = "[1, 1, 1]", folder: str = "pictures") -> Path:
    path.write_text(CONFIG.format(digest="a" * 64, mean=mean, scale=scale, folder=folder))
    return path


def test_every_place_is_named(tmp_path: Path) -> None:
    path = written(tmp_path / "net.yaml", "TODO what is taken off", "TODO", "'TODO: a folder'")
    with pytest.raises(ConfigError) as caught:
        load(path, "configs/net.yaml")
    assert caught.value.message.splitlines() == [
        "configs/net.yaml:6:3: input.mean: still to be said: what is taken off",
        "configs/net.yaml:7:3: input.scale: still to be said: a value",
        "configs/net.yaml:9:19: verify.images.folder: still to be said: a folder",
    ]
    assert "TODO" in caught.value.hint


def test_a_word_that_only_begins_so_is_a_value(tmp_path: Path) -> None:
    images = load(written(tmp_path / "net.yaml", folder="TODOs"), "net.yaml").config.verify.images
    assert images is not None and images.folder == "TODOs"
