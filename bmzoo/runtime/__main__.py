"""`python -m bmzoo.runtime detect MODEL INPUT...`: what a model finds in pictures and videos, drawn and listed.

Exit code: 0 when something was processed and nothing stopped the run, though inputs may have been left out with
a warning (with --strict that is 1 too); 1 for an error or when every input was left out; 2 for a wrong command
line; 130 for Ctrl-C. What was finished by then is on disk.
"""

from __future__ import annotations

import argparse
import glob
import json
import os
import sys
import time
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence, TextIO, Tuple

from bmzoo.errors import BmzooError, ConfigError, StoreError
from bmzoo.runtime.album import Album, check_folder, is_special, write_whole
from bmzoo.runtime.decoders.registry import DECODERS, unread
from bmzoo.runtime.decoders.spec import DecoderSpec
from bmzoo.runtime.detect import Result, detect
from bmzoo.runtime.engines.registry import ENGINES, open_session
from bmzoo.runtime.pictures import count, find
from bmzoo.runtime.preprocess import FLAVOURS, PIXEL_FORMATS
from bmzoo.runtime.report import Report, TerminalReport
from bmzoo.runtime.resizing import RESIZES
from bmzoo.runtime.results import RESULTS_SCHEMA, as_json, as_text
from bmzoo.runtime.settings import Settings, fitted, read_config, settings_from
from bmzoo.runtime.streams import ended

# Sides are rounded up to this for networks as large as the picture: the deepest stride.
MULTIPLE = 32


def main(argv: Optional[Sequence[str]] = None, start: Optional[Path] = None) -> int:
    """Entry point; see the module's text for exit codes. `start`: where relative paths begin, if not here."""
    args = _parser().parse_args(argv)
    if start is not None:
        _begin_at(start, args)
    _quiet_codecs()
    try:
        return _detect(args)
    except BmzooError as error:
        sys.stderr.write(f"error: {error.render()}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("interrupted; what was finished is kept\n")
        return 130


def _begin_at(start: Path, args: argparse.Namespace) -> None:
    """Make every path of the command line absolute."""
    for key, value in vars(args).items():
        if isinstance(value, Path):
            setattr(args, key, start / value)
    args.inputs = [_absolute(start, text) for text in args.inputs]


def _absolute(start: Path, text: str) -> str:
    """A picture or a glob, whatever signs the folder's own name has."""
    pattern = glob.has_magic(text) and not (start / text).exists() and not Path(text).is_absolute()
    return str(Path(glob.escape(str(start)), text) if pattern else start / text)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bmzoo.runtime")
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser(
        "detect",
        help="what a model finds in pictures and videos",
        description=(__doc__ or "").partition("\n\n")[2],
        epilog=_decoders(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = command.add_argument
    add("model", type=Path, help="model.onnx, .bmodel, .cvimodel or .mlir")
    add("inputs", nargs="+", metavar="INPUT", help="pictures, videos, folders, quoted globs")
    add("--out", type=Path, default=Path("results"), metavar="DIR", help="for what is drawn and listed (results)")
    add("--results", type=Path, metavar="FILE", help="text in the samples' format (DIR/results.txt)")
    add("--json", type=Path, metavar="FILE", help="everything as JSON (DIR/results.json)")
    add("--no-draw", action="store_true", help="write no pictures")
    add("--confidence", type=float, metavar="0..1", help="lowest score of what is found (0.5)")
    add("--nms", type=float, metavar="0..1", help="largest overlap of two boxes (0.4)")
    add("--engine", default="auto", choices=["auto", *ENGINES], help="what runs the model (auto)")
    add("--batch", type=int, default=0, help="pictures per run, for models that take any number")
    add("--size", type=_size, metavar="HxW|original", help="network size, for models that take any")
    add("--every", type=_positive, default=1, metavar="N", help="of videos each N-th frame only")
    add("--decoder", default="", choices=["", *DECODERS], metavar="KIND", help=", ".join(DECODERS))
    add("--config", type=Path, metavar="FILE", help="JSON with `input` and `decoder` (MODEL's name with .json)")
    add("--preprocess", choices=FLAVOURS, help="whose resize: OpenCV's or BMCV's (opencv)")
    add("--resize", choices=RESIZES, help="how a picture comes to the network's size")
    add("--pixel-format", choices=PIXEL_FORMATS)
    add("--mean", type=_numbers, metavar="A,B,C", help="taken off each channel, in the model's order")
    add("--scale", type=_numbers, metavar="A,B,C", help="multiplied with after that")
    add("--strict", action="store_true", help="exit code 1 when any input was left out")
    return parser


def _decoders() -> str:
    """The table of decoders, for people."""
    width = max(map(len, DECODERS))
    lines = ["decoders, and what --config can say of each below `decoder`:"]
    for name, kind in DECODERS.items():
        lines.append(f"  {name:{width}}  {kind.summary}{': ' if kind.reads else ''}{', '.join(kind.reads)}")
    return "\n".join(lines)


def _detect(args: argparse.Namespace) -> int:
    settings = _settings(args)
    if settings.decoder.kind == "none" and not args.decoder:
        raise ConfigError(
            f"{args.model}: nobody knows what its outputs mean, so there is nothing to find: decoder: none",
            "--decoder KIND names what reads them, if they are; --decoder none only runs the model",
        )
    sources = find(args.inputs, leave_out=args.out)
    if any(Path(given).resolve() == args.out.resolve() for given in args.inputs):
        raise ConfigError(f"--out: is one of the inputs too: {args.out}", "give another folder")
    session = open_session(args.model, engine=args.engine)
    try:
        tensor, settings = fitted(settings, session)
        if args.size and args.size != (settings.input.height, settings.input.width):
            raise ConfigError(f"--size: the model has a size of its own: {tensor}")
        check_folder(args.out)
        report = TerminalReport()
        album = None if args.no_draw else Album(args.out, sources)
        record = _Record(args, settings, report)
        start = time.monotonic()
        try:
            total = count(sources, args.every)
            for result in detect(session, sources, settings, report, args.every):
                if album is not None:
                    with report.times.stage("draw"):
                        album.add(result.frame, result.found.drawn(result.frame.image))
                record.add(result)
                report.advance(record.pictures, total, result.frame.name)
            if album is not None:
                album.close()
        except BaseException:
            report.close()
            if album is not None:
                album.leave()
            record.leave(time.monotonic() - start)
            raise
        report.close()
        record.close(time.monotonic() - start)
    finally:
        session.close()
    sys.stdout.write(record.summary())
    return 1 if not record.pictures or (args.strict and report.skipped) else 0


def _settings(args: argparse.Namespace) -> Settings:
    beside = args.model.with_suffix(".json")
    path = args.config or (beside if beside.is_file() else None)
    settings = settings_from(read_config(path) if path else {}, str(path), args.decoder)
    flags = {"pixel_format": args.pixel_format, "mean": args.mean, "scale": args.scale, "resize": args.resize}
    flags["flavour"] = args.preprocess
    changes: Dict[str, Any] = {key: value for key, value in flags.items() if value is not None}
    if args.size:
        changes.update(height=args.size[0], width=args.size[1])
    more: Dict[str, Any] = {
        key: getattr(args, key) for key in ("confidence", "nms") if getattr(args, key) is not None
    }
    if args.size == ():
        more["multiple"] = MULTIPLE
    return replace(settings, input=replace(settings.input, **changes), batch=args.batch, **more)


class _Record:
    """The result file, written line by line, and the JSON file, written at the end."""

    def __init__(self, args: argparse.Namespace, settings: Settings, report: Report) -> None:
        self.pictures, self.things, self.complete = 0, 0, False
        self._args, self._settings, self._report = args, settings, report
        self._json: Path = args.json or args.out / "results.json"
        self._path: Path = args.results or args.out / "results.txt"
        self._entries: List[Dict[str, Any]] = []
        self._seconds = 0.0
        for path in (self._json, self._path):
            check_folder(path.parent)
        self._text = _opened(self._path)
        if not is_special(self._json):  # until the end, and where the disk is full then
            write_whole(self._json, self._bytes())

    def add(self, result: Result) -> None:
        self.pictures += 1
        self.things += len(result.found)
        self._entries.append(as_json(result))
        try:
            self._text.write(as_text(result.frame.name, result.found))
            self._text.flush()
        except OSError as error:
            raise StoreError(f"{self._path}: cannot be written: {error.strerror}") from error

    def close(self, seconds: float) -> None:
        """End a run that went through. Raises StoreError."""
        self._seconds = seconds
        try:
            self._text.close()
        except OSError as error:
            raise StoreError(f"{self._path}: cannot be written: {error.strerror}") from error
        self.complete = True
        write_whole(self._json, self._bytes())

    def leave(self, seconds: float) -> None:
        """End a run that stopped: why it did is raised already, so what cannot be written is only said."""
        self._seconds, self.complete = seconds, False
        with suppress(OSError):  # a full disk refuses again what it refused before
            self._text.close()
        try:
            write_whole(self._json, self._bytes())
        except StoreError as error:
            self._report.warn(error.message)

    def summary(self) -> str:
        report = self._report
        what = DECODERS[self._settings.decoder.kind].what
        lines = [f"{self.pictures} images, {self.things} {what}: {self._path}, {self._json}"]
        if report.skipped or report.warnings:
            lines.append(f"left out: {len(report.skipped)}, other warnings: {len(report.warnings)}")
        rate = self.pictures / max(self._seconds, 1e-9)
        lines.append(f"{rate:.1f} images/s with everything, {self._seconds:.1f} s")
        return report.times.table() + "\n".join(lines) + "\n"

    def _bytes(self) -> bytes:
        return json.dumps(self._all(), indent=1).encode()

    def _all(self) -> Dict[str, Any]:
        settings, report = self._settings, self._report
        return {
            "schema": RESULTS_SCHEMA,
            "model": str(self._args.model),
            "complete": self.complete,
            "confidence": settings.confidence,
            "nms": settings.nms,
            "batch": settings.batch,
            "input": asdict(settings.input),
            "decoder": told(settings.decoder),
            "pictures": self._entries,
            "skipped": [{"name": name, "reason": reason} for name, reason in report.skipped],
            "warnings": report.warnings,
            "milliseconds": {stage.name: asdict(stage) for stage in report.times.stages()},
            "seconds": round(self._seconds, 3),
        }


def told(decoder: DecoderSpec) -> Dict[str, Any]:
    """The settings that the decoder reads."""
    return {key: value for key, value in asdict(decoder).items() if not unread(decoder.kind, key)}


def _opened(path: Path) -> TextIO:
    try:
        return path.open("w", encoding="utf-8", errors="surrogateescape")
    except OSError as error:
        raise StoreError(f"{path}: cannot be written: {error.strerror}") from error


def _quiet_codecs() -> None:
    """What OpenCV and FFmpeg say about damaged files on their own; the report says it with the file's name."""
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    import cv2

    if hasattr(cv2, "setLogLevel"):
        cv2.setLogLevel(0)


def _size(text: str) -> Tuple[int, ...]:
    """`480x640` -> (480, 640), `original` -> ()."""
    if text == "original":
        return ()
    height, width = (_positive(part) for part in text.lower().split("x"))
    return height, width


def _numbers(text: str) -> Tuple[float, ...]:
    return tuple(float(part) for part in text.split(","))


def _positive(text: str) -> int:
    if int(text) < 1:
        raise ValueError(text)
    return int(text)


if __name__ == "__main__":
    sys.exit(ended(main))
