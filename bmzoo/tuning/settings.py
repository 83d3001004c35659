"""The search space of tuning: settings of a chip's INT8 network, axes through one, and their YAML. Pure."""

from dataclasses import dataclass, replace
from typing import Any, get_args

from bmzoo.config.model import SEARCH_DEFAULTS, Model
from bmzoo.config.quantization import Calibration, Search
from bmzoo.config.search_methods import DEFAULT
from bmzoo.config.yamlfile import flow
from bmzoo.errors import ConfigError
from bmzoo.plan.lowering import int8_target

FLOAT_LAYER_COUNTS = (0, 1, 2, 3, 5, 8, 12, 20)
CALIBRATION_METHODS: tuple[str, ...] = get_args(Calibration.model_fields["method"].annotation)
PICTURE_COUNTS = (25, 50, 100)


@dataclass(frozen=True, order=True)
class Setting:
    """A point of the search space. With a hand-written calibration table method is empty and pictures is 0."""

    max_float_layers: int
    method: str
    pictures: int

    def changes(self, other: "Setting") -> int:
        """How many of the three keys differ, 0 to 3."""
        mine, theirs = ((s.max_float_layers, s.method, s.pictures) for s in (self, other))
        return sum(a != b for a, b in zip(mine, theirs, strict=True))

    def __str__(self) -> str:
        parts = [f"max_float_layers {self.max_float_layers}"]
        if self.method:
            parts += [self.method, f"{self.pictures} pictures"]
        return ", ".join(parts)


def current(model: Model, chip: str, available: int) -> Setting:
    """The setting in the config; `available`: number of pictures in its calibration folder.

    Raises ConfigError where float layers are not chosen by max_float_layers, so that there is nothing to tune.
    """
    target = int8_target(model, chip)
    table = model.table(target)
    if table is not None:
        raise ConfigError(
            f"configs/{model.path.name}: quantization.tables: {chip}: layers are named by hand: {table}",
            "tuning moves max_float_layers; take the table out of `tables` to tune",
        )
    search = model.search(target)
    if search is not None and search.method not in (None, DEFAULT):
        raise ConfigError(
            f"configs/{model.path.name}: quantization: {chip}: tuning needs bmzoo's: method: {search.method}",
            "put `method: bmzoo` there to tune",
        )
    if search is not None and search.goal is not None:
        raise ConfigError(
            f"configs/{model.path.name}: quantization: {chip}: layers are chosen by a goal",
            "tuning moves max_float_layers; put it below `chips` in the place of `goal` to tune",
        )
    if search is not None and search.keep is not None:
        raise ConfigError(
            f"configs/{model.path.name}: quantization: {chip}: layers are taken as ranked: keep: {search.keep}",
            "tuning moves max_float_layers; put it in the place of `keep` to tune",
        )
    layers = (search.max_float_layers or 0) if search is not None else 0
    settings = model.config.calibration
    if settings is None or settings.images is None:
        return Setting(layers, "", 0)
    return Setting(layers, settings.method, min(settings.images.count or available, available))


def float_axis(base: Setting, layers: int) -> tuple[Setting, ...]:
    """The axis of max_float_layers for a network of `layers` layers, with the current value."""
    numbers = {n for n in FLOAT_LAYER_COUNTS if n <= layers} | {base.max_float_layers}
    return tuple(replace(base, max_float_layers=n) for n in sorted(numbers))


def method_axis(base: Setting) -> tuple[Setting, ...]:
    """The axis of calibration methods; empty for a hand-written table."""
    return tuple(replace(base, method=method) for method in CALIBRATION_METHODS) if base.method else ()


def picture_axis(base: Setting, available: int, minimum: int) -> tuple[Setting, ...]:
    """The axis of calibration pictures, `minimum` to `available`; empty for a hand-written table."""
    numbers = {n for n in (*PICTURE_COUNTS, available) if minimum <= n <= available} | {base.pictures}
    return tuple(replace(base, pictures=n) for n in sorted(numbers)) if base.method else ()


def search_with(model: Model, chip: str, max_float_layers: int) -> Search:
    """The chip's configured search, with another max_float_layers."""
    configured = model.search(int8_target(model, chip))
    search = Search.model_validate(dict(SEARCH_DEFAULTS)) if configured is None else configured
    return search.model_copy(update={"max_float_layers": max_float_layers})


def calibrated(model: Model, setting: Setting, available: int) -> Model:
    """The model with a setting's calibration; its float layers are passed separately."""
    settings = model.config.calibration
    if settings is None or settings.images is None:
        return model
    same = min(settings.images.count or available, available) == setting.pictures
    images = settings.images if same else settings.images.model_copy(update={"count": setting.pictures})
    calibration = settings.model_copy(update={"images": images, "method": setting.method})
    return replace(model, config=model.config.model_copy(update={"calibration": calibration}))


def paste(model: Model, chip: str, now: Setting, wanted: Setting) -> str:
    """The config sections that change, as YAML to replace those in the config; empty when none does.

    Contains only the keys that the config has, and those that change.
    """
    config = model.config.model_dump(mode="json", exclude_unset=True)
    sections: dict[str, Any] = {}
    calibration = config.get("calibration", {})
    if wanted.method != now.method:
        sections["calibration"] = calibration = {**calibration, "method": wanted.method}
    if wanted.pictures != now.pictures:
        images = {**calibration["images"], "count": wanted.pictures}
        sections["calibration"] = {**calibration, "images": images}
    if wanted.max_float_layers != now.max_float_layers:
        quantization = config.get("quantization", {})
        chips = quantization.get("chips", {})
        own = {**chips.get(chip, {}), "max_float_layers": wanted.max_float_layers}
        sections["quantization"] = {**quantization, "chips": {**chips, chip: own}}
    return flow(sections) if sections else ""
