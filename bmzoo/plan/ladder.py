"""INT8 where a config says nothing of it: rungs of settings, the cheapest first, each tried as far as needed.

Pure data. What is climbed to is a decision (see plan/decisions.py), and from then on part of the model.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

from bmzoo.chips import CHIPS
from bmzoo.config.model import Model, using
from bmzoo.config.quantization import Quantization, Search
from bmzoo.config.search_methods import HEAD_METHOD
from bmzoo.config.weights import Weights
from bmzoo.plan.build import measuring
from bmzoo.plan.decisions import INT8_SETTINGS, decision
from bmzoo.plan.decoding import decoder_decides
from bmzoo.plan.fed import fed, pictures
from bmzoo.plan.float_layers import cut_step
from bmzoo.plan.shared import calibration_steps, derived_from, import_step, network, tables
from bmzoo.plan.step import Step, Subject
from bmzoo.plan.verify import infer_step, lower_step
from bmzoo.target import Target

# Float layers may add this share to what the compiler says that plain INT8 costs.
COST_SHARE = 0.5
# Thresholds that a trial is judged by.
_JUDGED_BY = ("cosine", "sqnr", "iou", "missed", "extra", "faces")


@dataclass(frozen=True)
class Int8Settings:
    """What is decided of a model's INT8: its calibration, and by quantizer the search for float layers."""

    method: str = "kl"
    equalize: bool = False
    searches: Mapping[str, Search] = field(default_factory=dict)

    def __str__(self) -> str:
        parts = [f"thresholds by {self.method}", *(["channels equalized"] if self.equalize else [])]
        return ", ".join(
            [*parts, *(f"{quantizer}: {_said(search)}" for quantizer, search in self.searches.items())]
        )

    def as_json(self) -> dict[str, Any]:
        """As the decision's file holds it."""
        searches = {name: search.model_dump(exclude_none=True) for name, search in self.searches.items()}
        return {"method": self.method, "equalize": self.equalize, "float_layers": searches}

    @staticmethod
    def from_json(values: Mapping[str, Any]) -> "Int8Settings":
        """Raises KeyError, TypeError or ValueError for what `as_json` never gave."""
        searches = {name: Search.model_validate(search) for name, search in values["float_layers"].items()}
        return Int8Settings(str(values["method"]), bool(values["equalize"]), searches)


def _said(search: Search) -> str:
    return "head in float" if search.method == HEAD_METHOD else f"at most {search.max_float_layers} layers in float"


PLAIN_INT8 = Int8Settings()
EQUALIZED = Int8Settings(equalize=True)
# How else thresholds are found, with channels equalized if that was better. Which is best is a matter of the
# network, see bench/README.md.
OTHER_METHODS = ("mse", "percentile9999")
# What a quantizer gets on top, where none of them is enough.
FLOAT_RUNGS = (Search(method=HEAD_METHOD), *(Search(max_float_layers=number) for number in (3, 5, 8, 12, 20)))


def climbs(model: Model) -> bool:
    """Whether a model's INT8 is set by itself: its config only says which pictures to calibrate with."""
    config = model.config
    return (
        "quantization" not in config.model_fields_set
        and config.calibration is not None
        and config.calibration.images is not None
        and not {"method", "equalize"} & config.calibration.model_fields_set
        and any(target.precision == "int8" for target in model.targets)
    )


def judged(model: Model) -> dict[str, Target]:
    """The INT8 target that stands for all of its quantizer, by quantizer."""
    found: dict[str, Target] = {}
    for target in model.targets:
        if target.precision == "int8":
            found.setdefault(CHIPS[target.chip].quantizer, replace(target, batch=1, cores=1))
    return found


# Cached: models are compared by identity.
@lru_cache(maxsize=256)
def _with(model: Model, method: str, equalize: bool, searches: tuple[tuple[str, Search], ...]) -> Model:
    config = model.config
    assert config.calibration is not None, "only of models that calibrate"
    calibration = config.calibration.model_copy(update={"method": method, "equalize": equalize})
    by_quantizer = dict(searches)
    chips = {t.chip: by_quantizer[q] for t in model.targets if (q := CHIPS[t.chip].quantizer) in by_quantizer}
    quantization = Quantization(images=config.verify.images, chips=chips)
    return replace(
        model, config=config.model_copy(update={"calibration": calibration, "quantization": quantization})
    )


def applied(model: Model, settings: Int8Settings) -> Model:
    """The model as if its config said so."""
    return _with(model, settings.method, settings.equalize, tuple(sorted(settings.searches.items(), key=_name)))


def _name(item: tuple[str, Search]) -> str:
    return item[0]


def with_search(settings: Int8Settings, quantizer: str, search: Search) -> Int8Settings:
    """The same with a search for a quantizer."""
    return replace(settings, searches={**settings.searches, quantizer: search})


@lru_cache(maxsize=64)
def settings_step(model: Model, weights: Weights) -> Step:
    """What the settings of a model's INT8 are derived from. Nothing runs it: results/ladder.py climbs."""
    own = using(model, weights)
    config = own.config
    assert config.calibration is not None and config.calibration.images is not None, "only of models that climb"
    limits = {q: own.thresholds(target).model_dump(include=set(_JUDGED_BY)) for q, target in judged(own).items()}
    decoder, files = decoder_decides(own)
    said = {
        **network(own, weights),
        "decoder": decoder,
        "calibration": {
            **config.calibration.model_dump(include={"histogram_bins", "tune", "minimum"}),
            **config.calibration.model_dump(include={"engine", "refine"}, exclude_defaults=True),
        },
        "thresholds": limits,
        "confidence": config.verify.confidence,
    }
    shown = config.verify.images
    assert shown is not None, "only of models that take pictures"
    count = min(config.verify.quantized, shown.count or config.verify.quantized)
    sources = {
        **derived_from(weights),
        **files,
        "calibration": pictures(config.calibration.images),
        **dict(fed(own, shown, count)),
    }
    return Step(
        "settings",
        Subject(model.name, weights.name),
        (),
        (),
        ("settings.json",),
        (),
        decision(INT8_SETTINGS, said, sources, vendor=True),
    )


@lru_cache(maxsize=256)
def trial_step(model: Model, target: Target, weights: Weights) -> Step:
    """A target's lowering against ONNX on the pictures of the verdict: `figures.json`."""
    own = using(model, weights)
    infer = infer_step(own, target, weights, lower_step(own, target, weights), fewer=True)
    return measuring("trial", infer.subject, own, target, import_step(own, weights), infer)


def searches(model: Model) -> Iterator[tuple[str, Search]]:
    """(chip, search) of all chips of a model whose INT8 has float layers."""
    for chip in dict.fromkeys(target.chip for target in model.targets if target.precision == "int8"):
        target = next(t for t in model.targets if t.precision == "int8" and t.chip == chip)
        search = model.search(target)
        if search is not None:
            yield chip, search


def led_to(model: Model, weights: Weights) -> Iterator[Step]:
    """The decisions that a model's INT8 settings lead to: scales, thresholds, float layers."""
    for quantizer in tables(model):
        yield from calibration_steps(model, weights, quantizer)
    for chip, search in searches(model):
        yield cut_step(model, chip, weights, search)
