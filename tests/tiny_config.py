"""The config of conftest.py's tiny model, as it is or edited, read."""

from pathlib import Path

from conftest import CONFIG

from bmzoo.config import model as config
from bmzoo.config.model import Model

DIGEST = "a" * 64
BASE = CONFIG.format(digest=DIGEST)


def load(folder: Path, text: str | bytes = BASE) -> Model:
    """Write it to the folder, and read it."""
    path = folder / "tiny.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return config.load(path, "configs/tiny.yaml")


def edited(*edits: tuple[str, str]) -> str:
    """Each edit is what stands there, and what is to stand there."""
    text = BASE
    for old, new in edits:
        assert old in text, old
        text = text.replace(old, new, 1)
    return text
