"""What steps feed a network: pictures and samples, as inputs of a step, and what `prepare` is told. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import PurePosixPath
from typing import Any

from bmzoo.config.fields import Section
from bmzoo.config.images import Images
from bmzoo.config.inputs import TensorInput
from bmzoo.config.model import Model
from bmzoo.plan import step
from bmzoo.plan.step import Command, File, Pictures, Tree
from bmzoo.target import Target

# Pixels, where they are what a network takes.
RAW = "raw.npz"
# Below a step's folder: a folder for each input with samples.
GIVEN = "given"
SAMPLE_SUFFIXES = (".npy", ".npz")


def fed(model: Model, images: Images | None, count: int = 0) -> tuple[tuple[str, step.Input], ...]:
    """Pictures, `count` of them where it is not 0, and samples of further inputs, by their names in the folder."""
    shown: tuple[tuple[str, step.Input], ...] = ()
    if images is not None:
        taken = pictures(images)
        shown = (("pictures", replace(taken, count=count) if count else taken),)
    return (*shown, *samples(model).items())


def pictures(images: Images) -> Pictures:
    """A config's image set as a step's input."""
    return Pictures(images.folder, images.count or 0, images.first)


def samples(model: Model) -> dict[str, step.Input]:
    """Files and folders with samples, by their names in the folder."""
    given = enumerate(model.config.inputs.values())
    return {_inside(place, one): _source(one) for place, one in given if one.samples is not None}


def input_request(model: Model) -> dict[str, Any]:
    """What the config says of inputs, as the commands that feed a network read it."""
    told = {name: _told(place, one) for place, (name, one) in enumerate(model.config.inputs.items())}
    return {**picture_request(model), **({"inputs": told} if told else {})}


# Remembered, as a request of every target of a model says the same.
@lru_cache(maxsize=256)
def picture_request(model: Model) -> Mapping[str, Any]:
    """What the config says of pictures, as the commands that read what comes out of a network want it."""
    picture = model.config.input
    return {"input": picture.model_dump() if picture is not None else None}


@dataclass(frozen=True)
class Feed:
    """What a network is run on after `prepare`: commands that make it, its file, the outputs that these add to a
    step's, and what the step's request says for it.
    """

    commands: tuple[Command, ...] = ()
    file: str = "inputs.npz"
    outputs: tuple[str, ...] = ()
    told: Mapping[str, str] = field(default_factory=dict)


def feed(model: Model, target: Target) -> Feed:
    """Pixels for a target that has preprocessing compiled in; what `prepare` wrote for every other."""
    fused = model.fused(target)
    if not fused:
        return Feed()
    made = Command("raw", ("request.json", "inputs.npz", RAW))
    return Feed((made,), RAW, (RAW,), {"raw": fused})


def is_shaped_by_file(model: Model) -> bool:
    """Whether only the model's file, or the section of another input, says what shapes it is compiled for."""
    picture = model.config.input
    return bool(model.config.inputs) or picture is None or not (picture.height and picture.width)


def stated_inputs(model: Model) -> dict[str, Any]:
    """What decides how inputs are fed, beyond defaults: a key that is added later leaves decisions as they are."""
    config = model.config
    told: dict[str, Any] = {"input": stated(config.input) if config.input is not None else None}
    if config.inputs:
        told["inputs"] = {name: stated(one) for name, one in config.inputs.items()}
    return told


def stated(section: Section) -> dict[str, Any]:
    """What a section says beyond its defaults."""
    return section.model_dump(mode="json", exclude_defaults=True)


def _told(place: int, one: TensorInput) -> dict[str, Any]:
    told = one.model_dump(exclude_none=True)
    return {**told, "folder": f"{GIVEN}/{place}"} if one.samples is not None else told


def _inside(place: int, one: TensorInput) -> str:
    path = PurePosixPath(one.samples or "")
    return f"{GIVEN}/{place}" + (f"/{path.name}" if path.suffix in SAMPLE_SUFFIXES else "")


def _source(one: TensorInput) -> step.Input:
    path = one.samples or ""
    return File(path) if PurePosixPath(path).suffix in SAMPLE_SUFFIXES else Tree(path)
