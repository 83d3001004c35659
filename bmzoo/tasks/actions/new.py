"""`./doit new SOURCE`: a config for an ONNX file, a script that converts one, or a `config.yaml` of tpu-perf."""

import argparse
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from bmzoo.config.fields import is_name
from bmzoo.config.files import SUFFIX
from bmzoo.config_import import from_script, from_tpu_perf, writing
from bmzoo.config_import.draft import Draft
from bmzoo.config_import.from_onnx import OnnxSource, from_onnx
from bmzoo.config_import.places import Places, data_folders
from bmzoo.config_import.recognise import model_name, source_kind, sources_in
from bmzoo.errors import BmzooError, ConfigError, SourceError
from bmzoo.sources import cache
from bmzoo.system.hashing import sha256
from bmzoo.tasks.actions.arguments import arguments_of
from bmzoo.workspace import Workspace

ABOUT = """\
Write a config for SOURCE, and say what was taken, dropped and could not be known.

SOURCE is an ONNX file; its https URL, with sha256=DIGEST behind; a shell script that calls model_transform,
run_calibration or run_qtable, and model_deploy, which is read and never run; a config.yaml of tpu-perf; or a folder
of these. Words behind a script are its own: `./doit new gen_int8bmodel_mlir.sh bm1688`.
"""


def run_new(at: Workspace, start: Path, words: Sequence[str]) -> None:
    """Write the configs of a source, one after the other. Raises BmzooError where any of them could not be."""
    args = arguments_of(_parser(), words, "new")
    if args is None:
        return
    if args.name and not is_name(args.name):
        raise ConfigError(f"--name: no name for a model: {args.name}", "letters, digits, `.`, `_` and `-`")
    problems = []
    for outcome in _outcomes(at, start, args):
        if isinstance(outcome, BmzooError):
            problems.append(outcome)
        else:
            sys.stdout.write(f"{outcome}\n")
            sys.stdout.flush()
    if problems:
        hints = dict.fromkeys(problem.hint for problem in problems if problem.hint)
        raise type(problems[0])("\n".join(problem.message for problem in problems), "\n".join(hints))


def _parser() -> argparse.ArgumentParser:
    formatter = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(prog="./doit new", description=ABOUT, formatter_class=formatter)
    add = parser.add_argument
    add("source", metavar="SOURCE", help="a file, a URL or a folder")
    add("words", nargs="*", metavar="WORD", help="sha256=DIGEST behind a URL, arguments behind a script")
    add("--name", default="", help="of the model (the source's own)")
    add("--out", type=Path, metavar="FILE|FOLDER", help="where the config is written (configs/NAME.yaml)")
    add("--pictures", type=Path, action="append", default=[], metavar="FOLDER", help="to calibrate and verify with")
    add("--no-try", action="store_true", help="do not try how the network wants its pictures")
    return parser


def _outcomes(at: Workspace, start: Path, args: argparse.Namespace) -> Iterator[str | BmzooError]:
    """Lines for people, and what went wrong with each of several sources."""

    places = _places(at, start, args.out)
    taken: set[str] = set()
    try:
        for found in _drafts(at, start, args, places):
            if isinstance(found, BmzooError):
                yield found
                continue
            path = _path(at, start, args, _free(found, taken, args.name))
            shown = os.path.relpath(path, at.root) if path.is_relative_to(at.root) else str(path)
            schema = "schema.json" if path.parent == at.layout.configs else ""
            try:
                yield from writing.written(found, path, shown, schema, at.searches)
            except BmzooError as error:
                yield error
    except BmzooError as error:
        yield error


def _places(at: Workspace, start: Path, out: Path | None) -> Places:

    folder = at.layout.configs
    if out is not None:
        folder = (start / out).parent if out.suffix == SUFFIX else start / out
    return Places(folder, data_folders(at.environ, at.layout.shared_data), at.root, at.searches)


def _path(at: Workspace, start: Path, args: argparse.Namespace, name: str) -> Path:
    if args.out is None:
        return at.layout.configs / f"{name}{SUFFIX}"
    out: Path = start / args.out
    return out if out.suffix == SUFFIX else out / f"{name}{SUFFIX}"


def _free(draft: Draft, taken: set[str], wanted: str) -> str:
    """A name that no other config of this run has."""
    if wanted and taken:
        raise ConfigError(f"--name: several models are in the source: {draft.name}", "leave it out")
    name, count = wanted or draft.name, 1
    while name in taken:
        count += 1
        name = f"{draft.name}_{count}"
    taken.add(name)
    draft.name = name
    return name


def _drafts(at: Workspace, start: Path, args: argparse.Namespace, places: Places) -> Iterator[Draft | BmzooError]:
    """The drafts of a source, or of each source in a folder. Raises BmzooError."""

    if "://" in args.source:
        yield _fetched(at, start, args, places)
        return
    path = start / args.source
    if not path.is_dir():
        yield from _of_file(path, args.source, start, args, places)
        return
    done: set[str] = set()
    for each in sources_in(path, args.source):
        if each.suffix.lower() == ".onnx" and sha256(each) in done:
            continue  # a script or config.yaml of the folder has said more of it
        try:
            shown = str(Path(args.source) / each.relative_to(path))
            for draft in _of_file(each, shown, start, args, places):
                done |= {weights["sha256"] for weights in draft.config["weights"]}
                yield draft
        except BmzooError as error:
            yield error


def _of_file(path: Path, shown: str, start: Path, args: argparse.Namespace, places: Places) -> Iterator[Draft]:

    kind = source_kind(path, shown)
    folders = [start / folder for folder in args.pictures]
    if kind == "onnx":
        if args.words:
            raise ConfigError(f"new: an ONNX file takes no words: {' '.join(args.words)}", "./doit new --help")
        name = args.name or model_name(path.stem)
        yield from_onnx(OnnxSource(path, shown, name=name), places, folders, not args.no_try)
    elif kind == "script":
        yield from from_script.from_script(path, shown, args.words, places, folders)
    else:
        yield from from_tpu_perf.from_tpu_perf(path, shown, places, folders)


def _fetched(at: Workspace, start: Path, args: argparse.Namespace, places: Places) -> Draft:
    """The draft of an ONNX file at a URL. Raises SourceError, ConfigError."""

    said: Mapping[str, str] = dict(word.partition("=")[::2] for word in args.words)
    digest = said.get("sha256", "")
    if len(digest) != 64 or len(said) > 1 or not args.source.startswith("https://"):
        hint = "./doit new https://... sha256=DIGEST, as `sha256sum` prints it: a name is not an identity"
        raise ConfigError(f"{args.source}: an https URL and the file's sha256 are needed, and nothing else", hint)
    fetch = cache.fetcher(at.environ)
    if fetch is None:
        raise SourceError(f"{args.source}: not fetched: ${cache.OFFLINE} forbids it", "fetch it by hand")
    path = fetch(args.source, digest)
    name = args.name or model_name(Path(args.source.partition("?")[0]).stem)
    folders = [start / folder for folder in args.pictures]
    return from_onnx(OnnxSource(path, args.source, args.source, name), places, folders, not args.no_try)
