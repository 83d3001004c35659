"""Drawn scenes in place of pictures, as weights ask for them: put into a config, and kept apart from each other."""

from collections.abc import Iterator, Mapping
from itertools import combinations

from bmzoo.config.images import Images
from bmzoo.config.scene_sets import LINES, SCENES, SceneSet, common, split, trained_on
from bmzoo.config.schema import ModelConfig
from bmzoo.config.weights import Weights
from bmzoo.config.yamlfile import Document, Location, key_path
from bmzoo.runtime.decoders.registry import DECODERS

# Where the sections name their pictures; a folder may be one of drawn scenes.
_PICTURED: Mapping[str, Location] = {
    "calibration": ("calibration", "images", "folder"),
    "quantization": ("quantization", "images", "folder"),
    "verify": ("verify", "images", "folder"),
    "evaluate": ("evaluate", "truth"),
}


def with_scenes(config: ModelConfig, weights: Weights) -> ModelConfig:
    """The config with the scenes of these weights in place of its pictures."""
    drawn = LINES if DECODERS[config.decoder.kind].gives == "text" else SCENES
    ranges = {name: found for name, found in weights.scenes or () if found is not None}
    sets = {name: SceneSet(*_size(config), r.seed, r.count, drawn) for name, r in ranges.items()}
    update: dict[str, object] = {}
    for name, scenes in sets.items():
        section = getattr(config, name)
        new = {"truth": scenes.truth} if name == "evaluate" else {"images": _images(scenes)}
        update[name] = section.model_copy(update=new)
    return config.model_copy(update=update)


def _size(config: ModelConfig) -> tuple[int, int]:
    picture = config.input
    assert picture is not None and picture.height and picture.width, "checked where there are scenes: feeding.py"
    return picture.height, picture.width


def _images(scenes: SceneSet) -> Images:
    return Images(folder=scenes.pictures, count=scenes.count)


def check_drawn(config: ModelConfig, index: int, weights: Weights, document: Document) -> None:
    """Check that with these weights no section draws scenes that weights are trained on, or those of another.

    As for pictures, those of the verdict may be among those to choose by.
    """
    own = {name for name, found in weights.scenes or () if found is not None}
    sets: list[tuple[str, Location, range]] = []
    for name, path in _drawn(with_scenes(config, weights)):
        found = split(path)
        if found is not None:
            place = ("weights", index, "scenes", name) if name in own else _PICTURED[name]
            sets.append((name, place, found[0].seeds))
    for _, place, seeds in sets:
        if problem := trained_on(seeds):
            raise document.error(place, problem)
    for (one, before, seeds), (other, place, others) in combinations(sets, 2):
        if {one, other} != {"quantization", "verify"} and (shared := common(seeds, others)):
            raise document.error(
                place,
                f"draws scenes of {key_path(before).removesuffix(': ')}: {shared}",
                "keep calibration, selection and evaluation pictures apart",
            )


def _drawn(config: ModelConfig) -> Iterator[tuple[str, str]]:
    """(section, path of its pictures or of its ground truth) of the sections that have one."""
    calibration, evaluate = config.calibration, config.evaluate
    images = {
        "calibration": calibration.images if calibration is not None else None,
        "quantization": config.quantization.images,
        "verify": config.verify.images,
    }
    yield from ((name, found.folder) for name, found in images.items() if found is not None)
    if evaluate is not None:
        yield "evaluate", evaluate.truth
