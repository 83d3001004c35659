"""A config for an ONNX file: what the file says, what its outputs look like, and how it wants its pictures."""

import ast
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bmzoo.config_import import heads, picture_sets
from bmzoo.config_import.draft import Draft, as_written
from bmzoo.config_import.facts import CHANNELS, OnnxFacts, PicturePort, known, read_facts
from bmzoo.config_import.heads import HeadGuess
from bmzoo.config_import.picture_sets import PictureSets
from bmzoo.config_import.places import Places
from bmzoo.config_import.tensor_inputs import put_counts, put_tensors
from bmzoo.config_import.usual import Normalisation, UsualInput, usual_input
from bmzoo.errors import BmzooError
from bmzoo.runtime.decoders.registry import DECODERS
from bmzoo.system.hashing import sha256

# What a newcomer wants first: each precision on the two chips that are sold now.
NEWCOMERS_TARGETS = ({"chip": ["bm1684x", "bm1688"], "precision": ["fp32", "fp16", "int8"], "batch": 1},)
_SIDE = 256  # of an input of no known kind, where the file leaves it free
_USUAL_RESIZES = ("letterbox", "letterbox_center", "stretch")


@dataclass(frozen=True)
class OnnxSource:
    """An ONNX file that a config is wanted for. `url`: where it was fetched from, if it was."""

    path: Path
    shown: str
    url: str = ""
    name: str = ""


def from_onnx(source: OnnxSource, places: Places, folders: Sequence[Path], try_pictures: bool) -> Draft:
    """The draft of an ONNX file's config. Raises SourceError."""
    facts = read_facts(source.path, source.shown)
    draft = Draft(source.name, f"Written by `./doit new` from {source.shown}: {_about(facts)}.")
    put_weights(draft, source, places)
    head = heads.head_of(facts)
    usual = usual_input(head.kind, facts.picture.layout if facts.picture else "")
    _put_operators(draft, facts)
    put_tensors(draft, [port for port in facts.inputs if facts.picture is None or port.name != facts.picture.name])
    if facts.picture is None:
        put_counts(draft)
    else:
        sets = find_pictures(usual, places, folders)
        _put_input(draft, facts.picture, usual, head)
        alone = len(facts.inputs) == 1 and try_pictures
        _put_normalisation(draft, source.path, facts.picture, head, sets if alone else None)
        picture_sets.put_pictures(draft, sets, searches=False)
    put_head(draft, head, facts)
    if facts.cut:
        draft.comments[("decoder",)] = facts.cut
        draft.say("guessed", f"outputs: the file's own; {facts.cut}")
    draft.put("targets", [dict(each) for each in NEWCOMERS_TARGETS])
    return draft


def find_pictures(usual: UsualInput | None, places: Places, folders: Sequence[Path]) -> PictureSets | None:
    """The pictures given, or those among the data that fit a kind of network. Raises SourceError."""
    if folders:
        return picture_sets.given_sets(folders, places, searches=False)
    return picture_sets.known_sets(usual.pictures if usual is not None else "objects", places)


def put_weights(draft: Draft, source: OnnxSource, places: Places) -> None:
    """Where the file is, and its digest."""
    digest = sha256(source.path)
    name = f"{source.name}.onnx" if source.url else places.named(source.path)
    given = {"name": "given", "file": name, "sha256": digest}
    draft.put("weights", [{**given, "url": source.url} if source.url else given])
    draft.say("took", f"weights: {name}, sha256 {digest[:12]}...")


def put_head(draft: Draft, head: HeadGuess, facts: OnnxFacts) -> None:
    """The decoder that the outputs are taken for, as far as there is one."""
    if head.kind == "none":
        draft.guessed("decoder.kind", "none", f"{head.why}; tensors are compared")
    elif head.kind not in DECODERS:
        draft.guessed("decoder.kind", "none", f"looks like {head.kind}, which has no decoder here: {head.why}")
    else:
        doubt = f"; it could be {head.doubt} too" if head.doubt else ""
        draft.guessed("decoder.kind", head.kind, f"{head.why}{doubt}")
        if "classes" in DECODERS[head.kind].reads and head.classes > 1:
            _put_classes(draft, head, facts)


def _put_classes(draft: Draft, head: HeadGuess, facts: OnnxFacts) -> None:
    """Names of the classes, as ultralytics writes them into its files: `{0: 'person', 1: 'bicycle'}`."""
    try:
        found = ast.literal_eval(facts.metadata.get("names", "{}"))
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        found = {}
    names = [str(name) for name in (found.values() if isinstance(found, dict) else found or ())]
    if len(names) == head.classes:
        draft.took("decoder.classes", names, "in the file")
    else:
        draft.say(
            "unknown", f"decoder.classes: names of the {head.classes} classes, which are numbers without them"
        )


def _about(facts: OnnxFacts) -> str:
    batch = facts.picture.batch if facts.picture else known((facts.inputs[0].shape or ("?",))[:1][0])
    held = f"batch {batch} baked in" if batch else "the batch is free"
    return f"opset {facts.opset}, {sum(facts.operators.values())} nodes of {len(facts.operators)} kinds, {held}"


def _put_operators(draft: Draft, facts: OnnxFacts) -> None:
    most = sorted(facts.operators, key=lambda kind: -facts.operators[kind])[:4]
    common = ", ".join(f"{facts.operators[kind]} {kind}" for kind in most)
    draft.say("took", f"graph: opset {facts.opset}, {common} and others" if most else f"graph: opset {facts.opset}")
    if facts.foreign:
        which = ", ".join(facts.foreign)
        draft.say("unknown", f"graph: operators outside ONNX, which the import refuses: of {which}")


def _put_input(draft: Draft, port: PicturePort, usual: UsualInput | None, head: HeadGuess) -> None:
    """Name, size and resize of the input."""
    draft.took("input.name", port.name, f"{port.dtype} in the file")
    sides = usual.sides if usual is not None else (_SIDE, _SIDE)
    for key, fixed, free in (("height", port.height, sides[0]), ("width", port.width, sides[1])):
        if fixed is not None:
            draft.took(f"input.{key}", fixed, "fixed in the file")
        elif usual is not None:
            draft.guessed(f"input.{key}", free, f"free in the file; what {head.kind} is often run at")
        else:
            draft.unknown(f"input.{key}", "free in the file: the size in pixels that it is to be compiled for")
    if port.batch is not None:
        draft.say("took", f"batch: {port.batch}, baked into the file: targets of batch 1 only")
    if usual is not None:
        _put_resize(draft, usual, head)
    else:
        draft.guessed("input.resize", "stretch", "said nowhere: letterbox keeps the shape of pictures")


def _put_resize(draft: Draft, usual: UsualInput, head: HeadGuess) -> None:
    draft.guessed("input.resize", usual.resize, f"as usual for {head.kind}")
    if usual.resize.startswith("letterbox") and usual.pad_value:
        draft.put("input.pad_value", usual.pad_value)


def _put_normalisation(
    draft: Draft, path: Path, port: PicturePort, head: HeadGuess, sets: PictureSets | None
) -> None:
    """Mean, scale and order of the channels: tried, or as usual for the kind, or unknown."""
    usual = usual_input(head.kind, port.layout)
    if port.channels != 3:
        _put_unknown(draft, CHANNELS[port.channels])
        return
    found = None
    if usual is not None and sets is not None and head.kind != "none":
        from bmzoo.config_import import trial  # numpy, OpenCV and an engine, which nothing else here needs

        if trial.can_be_tried(head.kind):
            sides = (port.height or usual.sides[0], port.width or usual.sides[1])
            try:
                found = trial.tried(path, port, head.kind, usual, sides, sets.some)
            except BmzooError as error:
                draft.say("unknown", f"input: could not be tried: {error.message}")
    if found is not None and found.sure:
        _put_numbers(draft, found.normalisation, found.pixel_format, found.why)
    elif found is not None:
        _put_unknown(
            draft, found.pixel_format, f"maybe {_numbers(found.normalisation, found.pixel_format)}: {found.why}"
        )
    elif usual is not None:
        _put_numbers(draft, usual.normalisation, usual.pixel_format, f"as usual for {head.kind}, not tried")
    else:
        _put_unknown(draft, "bgr")


def _put_numbers(draft: Draft, normalisation: Normalisation, pixel_format: str, why: str) -> None:
    mean, scale = normalisation.ordered(pixel_format)
    draft.put("input.pixel_format", pixel_format)
    draft.put("input.mean", as_written(mean))
    draft.put("input.scale", as_written([float(f"{each:.7g}") for each in scale]))
    draft.comments[("input", "pixel_format")] = why
    draft.comments[("input", "mean")] = normalisation.name
    draft.say("guessed", f"input: {pixel_format}, {normalisation.name}, {why}")


def _put_unknown(draft: Draft, pixel_format: str, maybe: str = "") -> None:
    draft.put("input.pixel_format", pixel_format)
    behind = f"; {maybe}" if maybe else ""
    draft.unknown("input.mean", f"what is taken off each channel, in pixel values, [0, 0, 0] for nothing{behind}")
    draft.unknown("input.scale", "what each channel is multiplied with after that, 0.0039216 for 1/255")


def _numbers(normalisation: Normalisation, pixel_format: str) -> str:
    mean, scale = normalisation.ordered(pixel_format)
    return f"{pixel_format}, mean {as_written(mean)}, scale {as_written([float(f'{each:.5g}') for each in scale])}"
