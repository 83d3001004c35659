"""`./doit tables`: the published tables with ours beside them, in English and Chinese."""

import argparse
import re
from collections.abc import Sequence
from fnmatch import fnmatch
from pathlib import Path

from bmzoo.config.model import Model
from bmzoo.errors import ConfigError
from bmzoo.release.side_by_side import sides
from bmzoo.release.side_by_side_known import ToMeasure, known
from bmzoo.release.side_by_side_page import LANGUAGES, page
from bmzoo.results.reference import WEIGHTS, Published, reference
from bmzoo.system import files
from bmzoo.target import MAX_BATCH, Target
from bmzoo.tasks.actions.arguments import arguments_of
from bmzoo.workspace import Workspace

_MEASURED = ("accuracy", "scaling")
# Height and width, and batches, as published.
_SIZES = ((320, 416), (448, 448), (896, 1280), (1000, 1000))
_BATCHES = (1, 2, 4, 8, 16, 32)
_LARGEST = 4096

_ABOUT = """\
Write the published tables of the default model with ours beside them: build/TABLES.md, build/TABLES.zh-CN.md.

Ours is what zoo, eval and bench left, and nothing is built. --measure adds what these do not make, and takes
hours for all of it; what is done is kept, and a later call goes on: accuracy evaluates every chip and precision
with BMCV's resize too, scaling compiles other sizes and batches.
"""


def run_tables(at: Workspace, start: Path, words: Sequence[str]) -> None:
    """Write both pages. Raises BmzooError, once they are written for what could not be measured."""
    args = arguments_of(_parser(), words, "tables")
    if args is None:
        return
    model = at.models[at.default_model]
    published = _comparable(at, model, reference(at, start / args.published if args.published else None))
    asked = ToMeasure(
        _targets(model, args.targets),
        tuple(args.sizes),
        tuple(args.batches),
        accuracy="accuracy" in args.measure,
        scaling="scaling" in args.measure,
    )
    tables = sides(known(at, model, asked), published)
    places = {
        at.layout.published_tables.with_suffix(f"{language}.md"): text for language, text in LANGUAGES.items()
    }
    for path, text in places.items():
        files.write(page(model.name, tables, published.problems, text), path)
    at.report.say(f"tables: {', '.join(map(at.layout.shown, places))}")
    if asked.failed:
        raise asked.failed[0]


def _comparable(at: Workspace, model: Model, published: Published) -> Published:
    """What is published, or why nothing of it stands beside figures of other weights."""
    used = at.weights.chosen(model).name
    if used == WEIGHTS:
        return published
    return Published(problems=(f"weights {used}: what is published is of the weights {WEIGHTS}",))


def _parser() -> argparse.ArgumentParser:
    formatter = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(prog="./doit tables", description=_ABOUT, formatter_class=formatter)
    add = parser.add_argument
    add(
        "--published", metavar="DIR", help="folder with the published CSV files (default: reference in shared data)"
    )
    add("--measure", nargs="+", choices=_MEASURED, default=[], help="what to measure where it is not known")
    add("--targets", nargs="+", default=["*"], metavar="PATTERN", help="of which targets, such as 'bm1688_int8_*'")
    add("--sizes", nargs="+", type=size_of, default=_SIZES, metavar="HxW", help="height and width of the network")
    add("--batches", nargs="+", type=_batch, default=_BATCHES, metavar="N")
    return parser


def size_of(text: str) -> tuple[int, int]:
    """Height and width of `320x416`. Raises ArgumentTypeError."""
    match = re.fullmatch(r"(\d{1,4})x(\d{1,4})", text, re.ASCII)
    if not match or not all(32 <= int(side) <= _LARGEST for side in match.groups()):
        raise argparse.ArgumentTypeError(f"not HEIGHTxWIDTH from 32 to {_LARGEST}: {text}")
    return int(match[1]), int(match[2])


def _batch(text: str) -> int:
    if not re.fullmatch(r"[1-9]\d{0,2}", text, re.ASCII) or int(text) > MAX_BATCH:
        raise argparse.ArgumentTypeError(f"not a batch from 1 to {MAX_BATCH}: {text}")
    return int(text)


def _targets(model: Model, patterns: Sequence[str]) -> tuple[Target, ...]:
    for pattern in patterns:
        if not any(fnmatch(str(target), pattern) for target in model.targets):
            raise ConfigError(f"--targets: none of {model.name} is called so: {pattern}", "./doit list --all")
    return tuple(one for one in model.targets if any(fnmatch(str(one), pattern) for pattern in patterns))
