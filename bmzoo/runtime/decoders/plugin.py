"""A decoder of the user's own: a Python file with a function `decode` and the kind of what it gives.

    GIVES = "detections"  # a row of PREDICTIONS

    def decode(outputs, size, confidence):
        # outputs: name -> float32 array with the batch first; size: the network's (height, width)
        return [{"boxes": [[x1, y1, x2, y2]], "scores": [0.9], "labels": [0]}]  # one for each picture

It runs in the process that decodes, with a limit of time, and no more rights or fewer than bmzoo itself.
"""

from __future__ import annotations

import importlib.util
import signal
import threading
import traceback
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable, Iterator, Optional, Sequence, Tuple

from bmzoo.errors import ConfigError
from bmzoo.runtime.decoders.given import BUILDERS, PluginValues
from bmzoo.runtime.decoders.heads import DecoderRow, Heads

if TYPE_CHECKING:
    from types import FrameType, ModuleType

    from bmzoo.runtime.decoders.spec import DecoderSpec
    from bmzoo.runtime.predictions.prediction import Prediction

# For one batch. Built-in decoders take milliseconds.
SECONDS = 60.0


class TookTooLong(BaseException):
    """No Exception, so that what catches those in a plugin does not catch this."""


def predictions(
    heads: Heads, spec: DecoderSpec, input_hw: Tuple[int, int], confidence: float
) -> Sequence[Prediction]:
    """What the plugin makes of the outputs. Raises ConfigError, in a line, for whatever goes wrong in it."""
    path = Path(spec.plugin)
    if not spec.plugin:
        raise ConfigError("decoder: plugin is missing: the Python file that has the decoder")
    batch = len(next(iter(heads.values()))) if heads else 0
    with _explained(path, SECONDS):
        module = _loaded(path)
    gives, decode = _offered(path, module)
    with _explained(path, SECONDS):
        given = decode(dict(heads), input_hw, confidence)
    if not isinstance(given, (list, tuple)) or len(given) != batch:
        have = f"{len(given)} of them" if isinstance(given, (list, tuple)) else type(given).__name__
        raise ConfigError(f"{path}: decode must give a list with a dict for each of {batch} pictures: {have}")
    build = BUILDERS[gives]
    return [build(PluginValues(str(path), one), spec, input_hw) for one in given]


@lru_cache(maxsize=8)
def _loaded(path: Path) -> ModuleType:
    """The file as a module, run once. Raises what it raises."""
    found = importlib.util.spec_from_file_location(f"bmzoo_plugin_{path.stem}", path)
    if found is None or found.loader is None or not path.is_file():
        raise ConfigError(f"{path}: no such Python file")
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


def _offered(path: Path, module: ModuleType) -> Tuple[str, Callable[..., Any]]:
    gives, decode = getattr(module, "GIVES", None), getattr(module, "decode", None)
    if gives not in BUILDERS:
        raise ConfigError(f"{path}: GIVES must be one of {', '.join(BUILDERS)}: {gives!r}")
    if not callable(decode):
        raise ConfigError(f"{path}: has no function `decode(outputs, size, confidence)`")
    return gives, decode


@contextmanager
def _explained(path: Path, seconds: float) -> Iterator[None]:
    """Everything that goes wrong in a plugin as one line: where in it, and what."""
    try:
        with _limited(seconds):
            yield
    except ConfigError:
        raise
    except TookTooLong:
        raise ConfigError(f"{path}: did not end within {seconds:g} seconds") from None
    except SystemExit as error:
        raise ConfigError(f"{path}: ended the process: {error.code}") from None
    except Exception as error:  # whatever a user's program raises is the user's to mend
        lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
        line = error.lineno if isinstance(error, SyntaxError) else lines[-1] if lines else None
        where = f"{path}:{line}" if line else str(path)
        told = " ".join(str(error).split()) or "no message"
        raise ConfigError(f"{where}: {type(error).__name__}: {told}") from None


@contextmanager
def _limited(seconds: float) -> Iterator[None]:
    """Raises TookTooLong in here after that time; nothing where signals do not come, as in threads."""
    if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "setitimer"):
        yield
        return

    def ring(number: int, frame: Optional[FrameType]) -> None:
        raise TookTooLong

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


DECODER = DecoderRow(predictions=predictions)
