"""How a config's targets are quantized: activation thresholds, and layers that stay in float."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from bmzoo.config.fields import OneOf, PathText, Ratio, Section, as_tuple
from bmzoo.config.images import Images
from bmzoo.config.search_methods import METHODS, method_of
from bmzoo.config.time_limit import time_limit
from bmzoo.target import Target


class Calibration(Section):
    """How activation thresholds are found; or a `table` written by hand, which then wins."""

    images: Images | None = None
    """Pictures over which the range of every activation is watched."""
    count: Annotated[int, Field(ge=1, le=10_000)] | None = None
    """How many samples of `inputs`, where the model takes no pictures; verification takes others where it can."""
    table: PathText | None = None
    """A calibration table written by hand, in place of `images`."""
    engine: Literal["vendor", "bmzoo"] = "vendor"
    """Who finds thresholds: TPU-MLIR's run_calibration; or bmzoo, in a tenth of the time, and says how sure."""
    method: Literal["kl", "mse", "max", "percentile9999", "aciq_laplace", "aciq_gauss"] = "kl"
    """How a threshold is chosen from a layer's values."""
    histogram_bins: Annotated[int, Field(ge=64, le=65536)] = 2048
    """Bins of the histogram of each layer's values."""
    tune: Annotated[int, Field(ge=0, le=100)] = 5
    """How many pictures the thresholds are tuned on afterwards; 0 for none. `engine: bmzoo` tunes on all."""
    refine: Annotated[int, Field(ge=0, le=200)] = 0
    """For how many layers a threshold is then moved to where it does least to the outputs, in emulated INT8."""
    equalize: bool = False
    """Scale the channels of convolutions alike first: float results stay, INT8 gets better where they differ."""
    minimum: Annotated[int, Field(ge=1)] = 8
    """Fewer pictures than this, after damaged ones are skipped, are an error: thresholds would be chance."""

    @model_validator(mode="after")
    def _one_source(self) -> "Calibration":
        given = [key for key in ("images", "count", "table") if getattr(self, key) is not None]
        if len(given) != 1 and "count" in given:
            raise ValueError(f"one of images, count and table is needed: {', '.join(given)} given")
        if len(given) != 1:
            raise ValueError("either images or table is needed, and not both")
        if self.refine and self.table is not None:
            raise ValueError("refine needs images: a table written by hand is taken as it is")
        if self.equalize and self.table is not None:
            raise ValueError("equalize needs images: a table written by hand belongs to the model as it is")
        return self


def _time(written: Any) -> str:
    return str(time_limit(written))


class Budget(Section):
    """What INT8 may lose and how long it may take, in place of a number of float layers; one of them or both."""

    ap_drop: Annotated[float, Field(gt=0, lt=100)] | None = None
    """Points of AP that INT8 may lose beside ONNX, estimated in the pictures to choose by, without ground truth."""
    latency: Annotated[str, BeforeValidator(_time)] | None = None
    """How long a picture may take at batch 1 on one core, `3.0 ms`, or how much longer than plain INT8, `+5%`."""

    @model_validator(mode="after")
    def _says_something(self) -> "Budget":
        if self.ap_drop is None and self.latency is None:
            raise ValueError("one of ap_drop and latency is needed")
        return self


LayerPattern = Annotated[str, Field(min_length=1, max_length=500)]


class Search(Section):
    """Which layers of an INT8 network stay in float; unset values come from less specific sections.

    `bmzoo` measures; the vendor's own two searches run TPU-MLIR's tools instead.
    """

    method: Annotated[str, OneOf(METHODS)] | None = None
    """Who searches: bmzoo, or one of TPU-MLIR's own programs where the installed version has it."""
    max_float_layers: Annotated[int, Field(ge=0, le=4096)] | None = None
    """How many layers may stay in float; 0 is plain INT8, with no search."""
    expected_cos: Ratio | None = None
    """The search ends when the lowest cosine over heads is at least this."""
    gain: Ratio | None = None
    """The search ends when a further layer takes off less than this share of plain INT8's loss."""
    keep: Annotated[int, Field(ge=1, le=4096)] | None = None
    """Take the N most sensitive layers as ranked, with no search."""
    metric: Literal["faces", "cosine"] | None = None
    """What is made small: errors at faces, or 1 - cosine of heads."""
    exclude: Annotated[tuple[LayerPattern, ...], BeforeValidator(as_tuple), Field(max_length=1000)] | None = None
    """Layers that stay in INT8 whatever they do, such as those that cost too much in float: names or patterns."""
    goal: Budget | None = None
    """What may be lost and how long it may take; beside `search` for every target, here for a chip or a target."""

    @model_validator(mode="after")
    def _ends_once(self) -> "Search":
        if self.goal is not None:
            self.check_ends()
        return self

    def check_ends(self) -> None:
        """Raises ValueError for what says where the search ends, which a goal does itself."""
        if given := [key for key in _ENDS if getattr(self, key) is not None]:
            raise ValueError(f"a goal says itself where the search ends: leave out {', '.join(given)}")


# What says how many layers are in float, and so cannot stand beside a goal; `max_float_layers` may, as a limit.
_ENDS = ("expected_cos", "gain", "keep")
# What a goal takes the place of where it is said for a chip or a target, and the other way round.
_KNOBS = ("method", "max_float_layers", *_ENDS)


def overridden(before: Mapping[str, object], section: Search) -> dict[str, object]:
    """Settings of less specific sections with those of a more specific one, as it wants layers to be chosen."""
    own = {key: value for key in Search.model_fields if (value := getattr(section, key)) is not None}
    dropped: tuple[str, ...] = ()
    if "goal" in own:
        dropped = _KNOBS
    elif any(key in own for key in _KNOBS):
        dropped = ("goal",)
    return {**{key: value for key, value in before.items() if key not in dropped}, **own}


class Quantization(Section):
    """Mixed precision: layers that stay in float in INT8 networks, searched or named by hand.

    `images` are for choosing (never calibrated with, never evaluated on); with `search.max_float_layers` they
    start a search, and so they do with a `goal`. `chips` and `targets` override both. `tables` names tables written
    by hand, by chip or by target, which win.
    """

    tables: dict[str, PathText] = Field(default_factory=dict)
    """Mixed-precision tables written by hand, by chip or by target; they win."""
    images: Images | None = None
    """Pictures to choose by; never calibrated with, never evaluated on."""
    goal: Budget | None = None
    """What INT8 may lose and how long it may take, for every target; layers are then chosen by it."""
    search: Search = Field(default_factory=Search)
    """How layers are chosen, for every target."""
    chips: dict[str, Search] = Field(default_factory=dict)
    """The same for a chip, by its name."""
    targets: dict[str, Search] = Field(default_factory=dict)
    """The same for a target, by its name."""

    @model_validator(mode="after")
    def _images(self) -> "Quantization":
        if self.search.goal is not None:
            raise ValueError("search.goal: a goal for every target stands beside search: quantization.goal")
        if self.goal is not None:
            self.search.check_ends()
        sections = (self._every, *self.chips.values(), *self.targets.values())
        asked = [s for s in sections if s.max_float_layers or s.keep or s.goal or not method_of(s.method).counted]
        if asked and self.images is None:
            raise ValueError("images is missing: a search for float layers needs pictures to choose by")
        return self

    @property
    def _every(self) -> Search:
        """What is for every target."""
        return self.search if self.goal is None else self.search.model_copy(update={"goal": self.goal})

    def searched(self, target: Target) -> tuple[tuple[str, Search], ...]:
        """(key path, section) of all search sections that apply to the target; later ones override."""
        chip, own = self.chips.get(target.chip), self.targets.get(str(target))
        return (
            ("quantization.search", self._every),
            *(() if chip is None else ((f"quantization.chips.{target.chip}", chip),)),
            *(() if own is None else ((f"quantization.targets.{target}", own),)),
        )
