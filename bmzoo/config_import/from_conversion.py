"""A config for one conversion by TPU-MLIR's programs: flag by flag, and what has no place in it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from bmzoo.config.targets import DEPLOY_FLAGS
from bmzoo.config_import import deployed, flags, heads, quantized
from bmzoo.config_import.conversions import Conversion, FlaggedCall
from bmzoo.config_import.draft import Draft, as_written
from bmzoo.config_import.facts import CHANNELS, OnnxFacts, read_facts
from bmzoo.config_import.from_onnx import put_head
from bmzoo.config_import.places import Places
from bmzoo.config_import.recognise import model_name
from bmzoo.config_import.shell_values import UNRUN
from bmzoo.config_import.tensor_inputs import put_counts, put_tensors
from bmzoo.errors import BmzooError
from bmzoo.onnx_import.onnx_file import ValueInfo
from bmzoo.system.hashing import sha256

_INPUT_FLAGS = ("mean", "scale", "pixel_format", "channel_format", "keep_aspect_ratio", "pad_value", "pad_type")
_TRANSFORM_FLAGS = ("input_shapes", "output_names", *_INPUT_FLAGS)
_CALIBRATION_FLAGS = ("dataset", "input_num", "cali_method", "histogram_bin_num", "tune_num", "chip", "processor")
_SEARCH_FLAGS = (*_CALIBRATION_FLAGS, "expected_cos", "max_float_layers", "search", "quantize_table")
_DEPLOY_FLAGS = ("chip", "processor", "quantize", "num_core", "calibration_table", "quantize_table")


@dataclass(frozen=True)
class ConversionSource:
    """A file that holds conversions. `said`: what is to be said of all of it."""

    path: Path
    shown: str
    said: tuple[str, ...] = ()


def from_conversion(
    source: ConversionSource, conversion: Conversion, places: Places, folders: Sequence[Path]
) -> Draft:
    """The draft of one conversion's config. Raises SourceError."""
    name = model_name(conversion.name)
    draft = Draft(
        name, f"Written by `./doit new` from {source.shown}, which converts {conversion.first.value('model_def')}."
    )
    for line in source.said:
        draft.say("dropped", line)
    facts = _put_weights(draft, source, conversion, places)
    _put_shapes(draft, conversion, facts)
    _put_preprocessing(draft, conversion.first)
    _put_outputs(draft, conversion.first)
    if facts is not None:
        put_head(draft, heads.head_of(facts), facts)
    else:
        draft.guessed(
            "decoder.kind", "none", "a script does not say what the outputs mean; docs/config.md has the kinds"
        )
    quantized.put_quantization(draft, conversion, source.path.parent, places, folders)
    deployed.put_targets(draft, conversion)
    _say_dropped(draft, conversion)
    return draft


def _put_weights(
    draft: Draft, source: ConversionSource, conversion: Conversion, places: Places
) -> OnnxFacts | None:
    """The model's file; its facts, where it is an ONNX file that is here."""
    text = conversion.first.value("model_def")
    for other in conversion.transforms[1:]:
        if (more := other.value("model_def")) != text:
            draft.dropped(f"--model_def {more}", f"one file serves all batches: {text}")
    given: dict[str, Any] = {"name": "given"}
    draft.put("weights", [given])
    path = source.path.parent / text
    known = UNRUN.search(text) is None and bool(text)
    if not known or PurePosixPath(text).suffix.lower() != ".onnx":
        given["file"] = f"TODO an ONNX file in place of {text or 'none'}"
        given["sha256"] = "TODO the sha256 of that file"
        draft.say("unknown", f"weights: an ONNX file is needed in place of {text or 'none'}")
        return None
    if not path.is_file():
        given["file"] = PurePosixPath(text).name
        given["sha256"] = f"TODO the sha256 of {PurePosixPath(text).name}, which is not there"
        draft.say("unknown", f"weights: {path} is not there, so its sha256 is not known")
        return None
    given["file"], given["sha256"] = places.named(path), sha256(path)
    draft.say("took", f"weights: {given['file']}, --model_def{conversion.first.where}")
    try:
        return read_facts(path, text)
    except BmzooError as error:
        draft.say("unknown", f"weights: {error.message}")
        return None


def _put_shapes(draft: Draft, conversion: Conversion, facts: OnnxFacts | None) -> None:
    """Sizes of the picture, and the shapes of all other inputs."""
    call = conversion.first
    text = call.value("input_shapes")
    try:
        found = flags.shapes(text)
    except ValueError:
        found = []
    ports = facts.inputs if facts is not None else ()
    picture = next((at for at, shape in enumerate(found) if _layout(shape)), None)
    if picture is None and not found:
        draft.unknown("input.height", f"the height in pixels; the script says {text or 'nothing'}")
        draft.unknown("input.width", "the width in pixels")
    others: dict[ValueInfo, list[int]] = {}
    for at, shape in enumerate(found):
        port = ports[at] if at < len(ports) else ValueInfo(f"input{at}", "float32", tuple(shape))
        if at == picture:
            _put_size(draft, call, shape)
        else:  # as for a batch of 1
            others[port] = [1 if shape[0] == conversion.batch(call) else shape[0], *shape[1:]] if shape else []
    put_tensors(draft, list(others), {port.name: shape for port, shape in others.items()})
    if picture is None and found:
        put_counts(draft)


def _put_size(draft: Draft, call: FlaggedCall, shape: Sequence[int]) -> None:
    channels, height, width = shape[1:] if _layout(shape) == "nchw" else (shape[3], shape[1], shape[2])
    draft.took("input.height", height, f"--input_shapes{call.where}")
    draft.took("input.width", width, f"--input_shapes{call.where}")
    if channels != 3:
        draft.put("input.pixel_format", CHANNELS[channels])


def _layout(shape: Sequence[int]) -> str:
    """`nchw` or `nhwc`; empty for a shape of no picture."""
    if len(shape) != 4 or min(shape) < 1:
        return ""
    return "nchw" if shape[1] in CHANNELS and min(shape[2:]) > 4 else "nhwc" if shape[3] in CHANNELS else ""


def _put_preprocessing(draft: Draft, call: FlaggedCall) -> None:
    """Mean, scale, order of channels and resize; TPU-MLIR's defaults where the call says nothing."""
    if "input" not in draft.config:
        return
    for key in ("mean", "scale"):
        text = call.value(key)
        try:
            found = as_written(flags.numbers(text))
        except ValueError:
            draft.unknown(f"input.{key}", f"the script's is not known before it runs: {text}")
            continue
        if found:
            draft.took(f"input.{key}", found, f"--{key}")
    if not call.value("mean") and not call.value("scale"):
        draft.comments[("input", "height")] = (
            "no --mean and no --scale: the network is fed pixel values as they are"
        )
        draft.say(
            "guessed", "input: neither --mean nor --scale: pixel values as they are, unless something else prepares"
        )
    if order := call.value("pixel_format"):
        draft.took("input.pixel_format", "gray" if order.startswith("gray") else order, "--pixel_format")
    if "keep_aspect_ratio" in call.flags:
        centred = call.value("pad_type") != "normal"
        draft.took("input.resize", "letterbox_center" if centred else "letterbox", "--keep_aspect_ratio")
    else:
        draft.took("input.resize", "stretch", "no --keep_aspect_ratio")
    if (pad := call.value("pad_value")).isdecimal():
        draft.took("input.pad_value", int(pad), "--pad_value")


def _put_outputs(draft: Draft, call: FlaggedCall) -> None:
    names = [name.strip() for name in call.value("output_names").split(",") if name.strip()]
    if names:
        draft.took("outputs", names, "--output_names")


def _say_dropped(draft: Draft, conversion: Conversion) -> None:
    """Name every flag that went nowhere, once."""
    for calls, kept in (
        (conversion.transforms, _TRANSFORM_FLAGS),
        (conversion.calibrations, _CALIBRATION_FLAGS),
        (conversion.searches, _SEARCH_FLAGS),
        ([call for call, _ in conversion.deploys], _DEPLOY_FLAGS),
    ):
        for name, value in dict(pair for call in calls for pair in call.flags.items()).items():
            if name not in (*kept, *flags.IN_BETWEEN) and f"--{name}" not in DEPLOY_FLAGS:
                reason = flags.WITHOUT_PLACE.get(name, "no key of a config says this")
                draft.dropped(f"--{name}{' ' if value else ''}{value}", reason)
