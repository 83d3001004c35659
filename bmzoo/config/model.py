"""Loads a YAML file as a validated `Model`: the config, its name and its targets.

Errors (ConfigError) read `file:line:column: key path: what is wrong: value`, then a hint with what is allowed.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from pydantic import ValidationError

from bmzoo.chips import CALIBRATED
from bmzoo.config import project, search_methods, yamlfile
from bmzoo.config.accuracy import Thresholds
from bmzoo.config.consistency import check_keys
from bmzoo.config.drawn import with_scenes
from bmzoo.config.fields import is_name
from bmzoo.config.files import SUFFIX, is_config, misnamed
from bmzoo.config.messages import config_error, problem
from bmzoo.config.quantization import Search, overridden
from bmzoo.config.schema import ModelConfig
from bmzoo.config.unsaid import check_said
from bmzoo.config.weights import Weights
from bmzoo.config.yamlfile import Document
from bmzoo.errors import BmzooError, ConfigError
from bmzoo.runtime.decoders.registry import DECODERS
from bmzoo.target import Target, check

# Defaults per precision, as loose as is still useful; a config tightens them per chip and per target.
DEFAULT_THRESHOLDS: Mapping[str, Thresholds] = {
    "fp32": Thresholds(
        cosine=0.9999, sqnr=50.0, iou=0.8, missed=0.0, extra=0.0, faces=1, engines=1e-3, consistency=1e-3
    ),
    "fp16": Thresholds(
        cosine=0.999, sqnr=30.0, iou=0.8, missed=0.0, extra=0.0, faces=1, engines=0.02, consistency=0.02
    ),
    "bf16": Thresholds(
        cosine=0.99, sqnr=20.0, iou=0.7, missed=0.1, extra=0.1, faces=1, engines=0.1, consistency=0.1
    ),
    "int8": Thresholds(
        cosine=0.95, sqnr=10.0, iou=0.5, missed=0.2, extra=0.2, faces=1, engines=1e-3, consistency=1e-3
    ),
    "int4": Thresholds(
        cosine=0.5, sqnr=0.0, iou=0.5, missed=1.0, extra=1.0, faces=1, engines=1e-3, consistency=1e-3
    ),
}

# INT8 of networks whose outputs mean something: one tenth of what ONNX finds may be missed, and be there too much.
# Most anchors of a detector see nothing, and a head may be all zeros: cosine and SQNR over them say nothing of it,
# and outputs that stand still are refused in any case (measure/degenerate.py).
DECODED_INT8: Mapping[str, float | None] = {"cosine": None, "sqnr": None, "missed": 0.1, "extra": 0.1}

NO_THRESHOLDS = Thresholds()
# Between simulator and MLIR where layers of an integer network are float and what they give is integers again: half
# precision is rounded differently by a last digit, which becomes a whole step. Most values agree: a RetinaFace with
# four float layers differs by 0.25 of a head's range in few of a million numbers, at 30 dB.
FLOATS_INSIDE = Thresholds(engines=0.5, engines_sqnr=20.0)

SEARCH_DEFAULTS: Mapping[str, object] = {
    "method": search_methods.DEFAULT,
    "max_float_layers": 0,
    "gain": 0.005,
    "metric": "faces",
}


# eq=False: compared by identity, which makes a model a cheap cache key.
@dataclass(frozen=True, eq=False)
class Model:
    """One model of the zoo: its name, the path of its config, and its targets in listing order.

    `weights`: the weights whose overrides are applied to the config, see `using`; empty when none are.
    `searches`: which of search_methods.SEARCHES are installed.
    """

    name: str
    path: Path
    config: ModelConfig
    targets: tuple[Target, ...]
    weights: str = ""
    searches: frozenset[str] = search_methods.LOCKED

    def deploy_flags(self, target: Target) -> tuple[str, ...]:
        """Extra model_deploy flags of all entries that include the target, each once, in order."""
        return _deploy_flags(self, target)

    def fused(self, target: Target) -> str:
        """The format of pixels that the target's artifact is fed; empty where it is fed what they become."""
        return _fused(self, target)

    def thresholds(self, target: Target, beside: Thresholds = NO_THRESHOLDS) -> Thresholds:
        """The target's thresholds: defaults of its precision, then every matching rule in order.

        beside: defaults that follow from what the artifact holds, before those of its precision.
        """
        return _thresholds(self, target, beside)

    @property
    def calibrates(self) -> bool:
        """Whether activation thresholds are calibrated on pictures, and not given in a hand-written table."""
        return self.config.calibration is not None and self.config.calibration.table is None

    @property
    def drawn(self) -> str:
        """Which inputs get values that are drawn, for people: figures say nothing of real ones. Empty for none."""
        drawn = [f"{name} {one.random}" for name, one in self.config.inputs.items() if one.random is not None]
        return f"random inputs: {', '.join(drawn)}" if drawn else ""

    @property
    def samples_are(self) -> str:
        """What is counted where figures are, for people: pictures, or samples of other inputs."""
        what = "samples" if self.config.input is None else "pictures"
        return f"{what} ({self.drawn})" if self.drawn else what

    @property
    def equalizes(self) -> bool:
        """Whether INT8 targets are built from the model after cross-layer equalization."""
        return self.config.calibration is not None and self.config.calibration.equalize

    def search(self, target: Target) -> Search | None:
        """Settings of the target's search for float layers; None without one: float, plain INT8, or a table."""
        if target.precision != "int8" or self.table(target) is not None or self.config.quantization.images is None:
            return None
        merged: dict[str, object] = dict(SEARCH_DEFAULTS)
        for _, section in self.config.quantization.searched(target):
            merged = overridden(merged, section)
        wanted = Search.model_validate(merged)
        counted = search_methods.method_of(wanted.method).counted
        return wanted if wanted.max_float_layers or wanted.keep or wanted.goal or not counted else None

    def table(self, target: Target) -> str | None:
        """Path text of the mixed-precision table that the config names for the target, if any."""
        if target.precision not in CALIBRATED:
            return None
        tables = self.config.quantization.tables
        return tables.get(str(target), tables.get(target.chip))


# All are remembered, as every command asks for them of every target, several times.
@lru_cache(maxsize=8192)
def _deploy_flags(model: Model, target: Target) -> tuple[str, ...]:
    flags = (flag for s in model.config.targets if s.asks_for(target) for flag in s.deploy)
    return tuple(dict.fromkeys(flags))


@lru_cache(maxsize=8192)
def _fused(model: Model, target: Target) -> str:
    wanted = (s.fuse_preprocess for s in model.config.targets if s.asks_for(target))
    return next((one for one in wanted if one), "")


@lru_cache(maxsize=8192)
def _thresholds(model: Model, target: Target, beside: Thresholds) -> Thresholds:
    merged = {**_default_thresholds(model, target.precision), **beside.model_dump(exclude_none=True)}
    for rule in model.config.verify.thresholds:
        if rule.applies(target, model.weights):
            given = rule.model_dump(exclude_none=True)
            merged.update({key: value for key, value in given.items() if key in Thresholds.model_fields})
    return Thresholds(**merged)


def _default_thresholds(model: Model, precision: str) -> dict[str, object]:
    """Thresholds by precision, and by what the outputs mean."""
    found, decoder = DEFAULT_THRESHOLDS[precision].model_dump(), DECODERS[model.config.decoder.kind]
    if decoder.ranked:
        found |= {"cosine": None, "sqnr": None}
    return found | dict(DECODED_INT8 if precision == "int8" and decoder.gives != "tensors" else {})


# Cached, so that equal arguments give the identical model: steps are cached by model, which compares by identity.
@lru_cache(maxsize=256)
def using(model: Model, weights: Weights) -> Model:
    """The model with the overrides of these weights applied: thresholds, and scenes in place of pictures."""
    if model.weights == weights.name:
        return model
    assert not model.weights, "other weights have changed its sections already"
    return replace(model, config=with_scenes(model.config, weights), weights=weights.name)


def search_from_options(values: Mapping[str, object]) -> Search:
    """Search settings from command-line options. Raises ConfigError, `--key: what is wrong: value`."""
    try:
        return Search.model_validate(values)
    except ValidationError as error:
        text, hint = problem(error.errors(include_url=False)[0], Search)
        raise ConfigError(f"--{text}", hint) from None


def load(path: Path, shown: str, searches: frozenset[str] = search_methods.LOCKED) -> Model:
    """Load and validate one config. `shown` names the file in errors. Raises ConfigError.

    `searches`: which of search_methods.SEARCHES are installed.
    """
    document = yamlfile.read_yaml(path, shown)
    check_said(document)
    try:
        config = ModelConfig.model_validate(document.value)
    except ValidationError as error:
        raise config_error(error, document, ModelConfig) from None
    name = path.stem
    if not is_name(name):
        raise ConfigError(f"{shown}: file name is not a model name: {name}", "letters, digits, `.`, `_` and `-`")
    targets = tuple(_checked_targets(config, name, document))
    check_keys(config, targets, searches, document)
    return Model(name, path, config, targets, searches=searches)


def _checked_targets(config: ModelConfig, name: str, document: Document) -> Iterator[Target]:
    seen: set[Target] = set()
    for index, selection in enumerate(config.targets):
        for target in selection.targets(name):
            if target in seen or any(rule.covers(target) for rule in config.exclude):
                continue
            where = f"{document.where(('targets', index))}: targets[{index}]: {target}"
            check(target, where)
            if target.unverified and not selection.unverified:
                hint = "`unverified: true` in this entry builds it all the same; only its lowering is compared then"
                raise ConfigError(f"{where}: it compiles, and nothing here runs it: {target.unverified}", hint)
            seen.add(target)
            yield target
    if not seen:
        raise document.error(("targets",), "nothing is left after exclude", "drop an entry of exclude")


def load_all(
    folder: Path, root: Path, searches: frozenset[str] = search_methods.LOCKED
) -> tuple[dict[str, Model], dict[str, BmzooError]]:
    """All models in `folder`, and the errors of broken configs: a broken config stops only its own model.

    `searches`: as in `load`.
    """
    models: dict[str, Model] = {}
    broken: dict[str, BmzooError] = {}
    written = sorted(path for path in folder.glob("*.*") if is_config(path.name) and path.stem != project.STEM)
    for path in (path for path in written if path.suffix == SUFFIX):
        try:
            models[path.stem] = load(path, str(path.relative_to(root)), searches)
        except BmzooError as error:
            broken[path.stem] = error
    for path in (path for path in written if path.suffix != SUFFIX):
        name = path.name if path.stem in (*models, *broken) else path.stem
        broken[name] = misnamed(path, str(path.relative_to(root)))
    return models, broken
