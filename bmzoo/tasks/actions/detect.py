"""What `detect` does: the runtime's command line, where targets have names."""

from pathlib import Path

from bmzoo.errors import BmzooError, ConfigError
from bmzoo.runtime.__main__ import main
from bmzoo.runtime.engines.registry import ENGINES
from bmzoo.workspace import Workspace

USAGE_ERROR = 2  # argparse's exit status


def run_detect(at: Workspace, start: Path, words: list[str]) -> None:
    """Run the runtime's command line; a target's name is replaced by its artifact."""
    if words and not words[0].startswith("-"):
        words = [_model(at, start, words[0]), *words[1:]]
    try:
        status = main(["detect", *words], start if start != Path.cwd() else None)
    except SystemExit as end:
        if end.code not in (0, USAGE_ERROR):
            raise
        status = int(end.code or 0)  # argparse has printed the error
    if status:
        raise BmzooError("detect failed", "see the error above")


def _model(at: Workspace, start: Path, word: str) -> str:
    """The artifact of a target, or the word itself for a model file. Raises ConfigError."""
    suffixes = {suffix for engine in ENGINES.values() for suffix in engine.suffixes}
    if (start / word).is_file() or "/" in word or Path(word).suffix in suffixes:
        return word
    path = at.layout.artifact(at.target(word))
    if not path.is_file():
        raise ConfigError(f"{word}: not built yet", f"./doit build:{word}")
    return str(path)
