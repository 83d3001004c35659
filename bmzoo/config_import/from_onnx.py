"""A config for an ONNX file: what the file says, what its outputs look like, and how it wants its pictures."""

import ast
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bmzoo.config.scene_sets import LINES
from bmzoo.config_import import heads, picture_sets
from bmzoo.config_import.draft import Draft
from bmzoo.config_import.facts import OnnxFacts, PicturePort, known, read_facts
from bmzoo.config_import.heads import HeadGuess
from bmzoo.config_import.picture_input import put_normalisation, put_picture
from bmzoo.config_import.picture_sets import PictureSets
from bmzoo.config_import.places import Places
from bmzoo.config_import.tensor_inputs import put_counts, put_tensors
from bmzoo.config_import.usual import UsualInput, usual_input
from bmzoo.onnx_import.offers import Offer
from bmzoo.runtime.decoders.registry import DECODERS
from bmzoo.system.hashing import sha256

# What a newcomer wants first: each precision on the two chips that are sold now.
NEWCOMERS_TARGETS = ({"chip": ["bm1684x", "bm1688"], "precision": ["fp32", "fp16", "int8"], "batch": 1},)

# Decoders of one output that read it before a Sigmoid or Softmax as well as after.
_EITHER_WAY = ("classification", "segmentation", "db_text", "ctc_text")


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
        sets = find_pictures(usual, places, folders, facts.picture)
        put_picture(draft, facts.picture, usual, head.kind)
        alone = len(facts.inputs) == 1 and try_pictures
        shown = put_normalisation(draft, source.path, facts.picture, head.kind, sets if alone else None)
        # Of a script's config the thresholds are to be those that the script finds; here are none to match.
        draft.put("calibration.engine", "bmzoo", "or `vendor`: run_calibration, in ten times the time")
        picture_sets.put_pictures(draft, sets.verified_first(shown) if sets else None, searches=False)
        if shown:
            draft.comments[("verify", "images")] = "first those in which the network finds most"
    put_head(draft, head, facts)
    if facts.cut:
        offer_cut(draft, facts.cut, facts)
    draft.put("targets", [dict(each) for each in NEWCOMERS_TARGETS])
    return draft


def find_pictures(
    usual: UsualInput | None, places: Places, folders: Sequence[Path], port: PicturePort
) -> PictureSets | None:
    """The pictures given, or those among the data that fit a kind of network. Raises SourceError."""
    if folders:
        return picture_sets.given_sets(folders, places, searches=False)
    if usual is not None and usual.pictures == LINES:
        return picture_sets.drawn_lines(port.height or usual.sides[0], port.width or usual.sides[1])
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
        draft.guessed("decoder.kind", head.kind, f"{head.why}{doubt}", sure=not head.doubt)
        if "classes" in DECODERS[head.kind].reads and head.classes > 1:
            _put_classes(draft, head, facts)


def _put_classes(draft: Draft, head: HeadGuess, facts: OnnxFacts) -> None:
    """Names of the classes, as ultralytics writes them into its files: `{0: 'person', 1: 'bicycle'}`."""
    try:
        found = ast.literal_eval(facts.metadata.get("names", "{}"))
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        found = {}
    rows = found.values() if isinstance(found, dict) else found if isinstance(found, list | tuple) else ()
    names = [str(name) for name in rows]
    if len(names) == head.classes:
        draft.took("decoder.classes", names, "in the file")
    else:
        draft.say(
            "unknown", f"decoder.classes: names of the {head.classes} classes, which are numbers without them"
        )


def offer_cut(draft: Draft, cut: Offer, facts: OnnxFacts) -> None:
    """The lines that cut a network where INT8 needs it, to be taken in: what else the decoder is told stays."""
    section = draft.config["decoder"]
    kind = cut.decoder or "none"
    if section["kind"] in _EITHER_WAY and len(cut.outputs) == len(facts.outputs):
        kind = section["kind"]
    lines: dict[str, Any] = {"outputs": list(cut.outputs)}
    how = "take the sign off this line"
    if kind != section["kind"]:
        told = {key: value for key, value in section.items() if key in DECODERS[kind].reads}
        lines["decoder"] = {"kind": kind, **told}
        how = "take the signs off these two lines, in place of the next section"
    unread = "" if kind != "none" or section["kind"] == "none" else "; no decoder is known to read it then"
    draft.offer(
        "decoder", f"INT8 may find nothing: {cut.why}. To cut the network before that, {how}{unread}:", lines
    )
    draft.say("guessed", f"outputs: the file's own; {cut.told}")


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
