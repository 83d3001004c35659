"""What a detection run needs to know about a model and wants of it, from defaults, a JSON file and options."""

from __future__ import annotations

import json
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict, Mapping, Optional, Tuple

from bmzoo.errors import ConfigError, SessionError, nearest
from bmzoo.runtime.decoders.decode import load
from bmzoo.runtime.decoders.names import CHARACTERS, names_in, read_names
from bmzoo.runtime.decoders.registry import DECODERS, unread
from bmzoo.runtime.decoders.spec import DecoderSpec
from bmzoo.runtime.preprocess import VALUES, InputSpec, for_picture

if TYPE_CHECKING:
    from bmzoo.runtime.engines.session import Session
    from bmzoo.runtime.engines.tensor_info import TensorInfo


# By layout: which dimension of a batch the channels are.
_CHANNELS = {"nchw": 1, "nhwc": 3}


@dataclass(frozen=True)
class Settings:
    """How to detect. Raises ConfigError for numbers out of range.

    The model's own input size wins over `input`'s, which is for models that take any. `batch` 0 is the
    model's, or 1 where it takes any; a multiple of the model's is for engines that run in rounds.
    With `multiple` > 0 the network is as large as each picture, its sides rounded up to that multiple.
    """

    input: InputSpec = load("retinaface").input
    decoder: DecoderSpec = DecoderSpec("retinaface")  # noqa: RUF009  # frozen
    confidence: float = 0.5
    nms: float = 0.4
    batch: int = 0
    multiple: int = 0

    def __post_init__(self) -> None:
        for key in ("confidence", "nms"):
            value = getattr(self, key)
            if not 0 <= value <= 1:  # NaN fails too
                raise ConfigError(f"{key}: must be between 0 and 1: {value}")
        for key in ("batch", "multiple"):
            if getattr(self, key) < 0:
                raise ConfigError(f"{key}: must not be negative: {getattr(self, key)}")

    def spec_for(self, height: int, width: int) -> InputSpec:
        """What the network takes of a picture of that size."""
        return for_picture(self.input, height, width, self.multiple) if self.multiple else self.input


def fitted(settings: Settings, session: Session) -> Tuple[TensorInfo, Settings]:
    """The network's one input, and the settings with its size and batch. Raises SessionError, ConfigError."""
    if len(session.inputs) != 1:
        raise SessionError(f"detection takes a model with one input: {', '.join(map(str, session.inputs))}")
    tensor = session.inputs[0]
    spec, size = _of_tensor(settings.input, tensor)
    if settings.multiple and size != (-1, -1):
        raise ConfigError(f"size: `original` needs a model that takes any size: {tensor}")
    height, width = (own if own > 0 else wanted for own, wanted in zip(size, (spec.height, spec.width)))  # noqa: B905
    slots = tensor.shape[0]
    batch = settings.batch or max(1, slots)
    if slots > 0 and batch % slots:
        raise ConfigError(f"batch: the model takes {slots} at a time: {batch}")
    fed = replace(spec, height=height, width=width)
    return tensor, replace(settings, input=fed, batch=batch, decoder=with_characters(settings.decoder, session))


def with_characters(decoder: DecoderSpec, session: Session) -> DecoderSpec:
    """The decoder with the characters that an ONNX file brings itself, where it reads some and was told none."""
    metadata: Mapping[str, str] = getattr(session, "metadata", {})  # no other format has any
    if decoder.characters or unread(decoder.kind, "characters") or CHARACTERS not in metadata:
        return decoder
    return replace(decoder, characters=names_in(metadata[CHARACTERS]))


def _of_tensor(spec: InputSpec, tensor: TensorInfo) -> Tuple[InputSpec, Tuple[int, int]]:
    """The spec in the layout and type that a network takes, and the network's own height and width, -1 if any."""
    channels = spec.channels
    layouts = _CHANNELS if len(tensor.shape) == 4 else {}
    fitting = [layout for layout, axis in layouts.items() if tensor.shape[axis] in (-1, channels)]
    if not fitting:
        wanted = f"[batch, {channels}, height, width]"
        raise SessionError(f"input must be {wanted}: {tensor}", "pixel_format says how many channels there are")
    if tensor.dtype not in VALUES:
        raise SessionError(f"input must be one of {', '.join(VALUES)}: {tensor}")
    layout = spec.layout if spec.layout in fitting else fitting[0]
    sides = tensor.shape[1:3] if layout == "nhwc" else tensor.shape[2:4]
    # A network that was given a float32 input in place of its integers still wants nothing between them.
    dtype = spec.dtype if tensor.dtype == "float32" else tensor.dtype
    return replace(spec, layout=layout, dtype=dtype), (sides[0], sides[1])


def read_config(path: Path) -> Dict[str, Any]:
    """`input` and `decoder` of a JSON file, such as the one beside an artifact; empty where it has neither.

    Raises ConfigError.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise ConfigError(f"{path}: not JSON: {error}") from error
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: must be an object: {type(values).__name__}")
    found = {key: values[key] for key in ("input", "decoder") if key in values}
    for key, section in found.items():
        if not isinstance(section, dict):
            raise ConfigError(f"{path}: {key}: must be an object: {type(section).__name__}")
    return found


def settings_from(config: Mapping[str, Any], where: str, decoder: str = "") -> Settings:
    """Settings from `read_config`'s answer; `decoder` wins over its kind, and over what that alone reads.

    Files that it names are looked up beside `where`. Raises ConfigError naming `where`, SourceError.
    """
    section = dict(config.get("decoder", {}))
    kind = decoder or section.get("kind", "retinaface")
    known = load(kind if kind in DECODERS else "retinaface").input
    if kind != section.pop("kind", kind):
        section = {key: value for key, value in section.items() if not unread(kind, key)}
    overlap = section.pop("nms", None)
    settings = Settings(
        input=_changed(known, config.get("input", {}), f"{where}: input"),
        decoder=_decoder(kind, section, where),
    )
    if overlap is None:
        return settings
    if isinstance(overlap, bool) or not isinstance(overlap, (int, float)):
        raise ConfigError(f"{where}: decoder: nms: must be a number: {overlap!r}")
    return replace(settings, nms=float(overlap))


def _decoder(kind: str, section: Mapping[str, Any], where: str) -> DecoderSpec:
    """The section as settings, with the names that its files hold."""
    folder = Path(where).parent
    told = dict(section)
    for key in ("classes", "characters"):
        if isinstance(told.get(key), str):
            told[key] = list(read_names(folder / told[key]))
    spec: DecoderSpec = _changed(DecoderSpec(kind), told, f"{where}: decoder")
    for key in told:  # what says nothing new does no harm: artifacts of earlier versions name every key
        problem = unread(kind, key)
        if problem and getattr(spec, key) != getattr(DecoderSpec, key):
            raise ConfigError(f"{where}: decoder: {problem}")
    return replace(spec, plugin=str(folder / spec.plugin)) if spec.plugin else spec


def _changed(spec: Any, values: Mapping[str, Any], where: str) -> Any:  # InputSpec or DecoderSpec, as given
    allowed = {field.name: getattr(spec, field.name) for field in fields(spec)}
    changes = {}
    for key, value in values.items():
        if key == "name":  # of the tensor: there is only one
            continue
        if key not in allowed:
            near: Optional[str] = nearest(key, allowed)
            raise ConfigError(f"{where}: unknown key: `{key}`", f"did you mean `{near}`?" if near else "")
        changes[key] = _like(allowed[key], value, f"{where}: {key}")
    try:
        return replace(spec, **changes)
    except ConfigError as error:
        raise ConfigError(f"{where}: {error.message}", error.hint) from None


def _like(model: Any, value: Any, where: str) -> Any:
    """`value` as the type of `model`: a tuple from a list, a float from an int."""
    if isinstance(model, tuple) and isinstance(value, list):
        return tuple(_like(model[0] if model else "", item, where) for item in value)
    if isinstance(model, float) and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if type(value) is not type(model):
        raise ConfigError(f"{where}: must be {_KINDS[type(model)]}: {value!r}")
    return value


_KINDS = {tuple: "a list", float: "a number", int: "a whole number", str: "text"}
