"""Loads a YAML file as a validated `Model`: the config, its name and its targets.

Errors (ConfigError) read `file:line:column: key path: what is wrong: value`, then a hint with what is allowed.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import combinations, product
from pathlib import Path

from pydantic import ValidationError

from bmzoo.chips import CALIBRATED, CHIPS
from bmzoo.config import project, search_methods, yamlfile
from bmzoo.config.accuracy import Rule, Thresholds
from bmzoo.config.fields import is_name
from bmzoo.config.files import SUFFIX, is_config, misnamed
from bmzoo.config.images import Images
from bmzoo.config.messages import config_error, problem
from bmzoo.config.quantization import Search
from bmzoo.config.scene_sets import SceneSet, common, split, trained_on
from bmzoo.config.schema import ModelConfig
from bmzoo.config.targets import Selection
from bmzoo.config.weights import Weights
from bmzoo.config.yamlfile import Document, Location, key_path
from bmzoo.errors import BmzooError, ConfigError, nearest
from bmzoo.target import Target, check, parse

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
        flags = (flag for s in self.config.targets if _asks_for(s, target) for flag in s.deploy)
        return tuple(dict.fromkeys(flags))

    def thresholds(self, target: Target) -> Thresholds:
        """The target's thresholds: defaults of its precision, then every matching rule in order."""
        merged = DEFAULT_THRESHOLDS[target.precision].model_dump()
        for rule in self.config.verify.thresholds:
            if _applies(rule, target, self.weights):
                given = rule.model_dump(exclude_none=True)
                merged.update({key: value for key, value in given.items() if key in Thresholds.model_fields})
        return Thresholds(**merged)

    @property
    def calibrates(self) -> bool:
        """Whether activation thresholds are calibrated on pictures, and not given in a hand-written table."""
        return self.config.calibration is not None and self.config.calibration.table is None

    @property
    def equalizes(self) -> bool:
        """Whether INT8 targets are built from the model after cross-layer equalization."""
        return self.config.calibration is not None and self.config.calibration.equalize

    def search(self, target: Target) -> Search | None:
        """Settings of the target's search for float layers; None without one: float, plain INT8, or a table."""
        if target.precision != "int8" or self.table(target) is not None or self.config.quantization.images is None:
            return None
        merged: dict[str, object] = dict(SEARCH_DEFAULTS)
        for _, section in self.searched(target):
            merged.update(section.model_dump(exclude_none=True))
        wanted = Search.model_validate(merged)
        return wanted if wanted.max_float_layers or wanted.keep else None

    def searched(self, target: Target) -> tuple[tuple[str, Search], ...]:
        """(key path, section) of all search sections that apply to the target; later ones override."""
        quantization, name = self.config.quantization, str(target)
        chip, own = quantization.chips.get(target.chip), quantization.targets.get(name)
        return (
            ("quantization.search", quantization.search),
            *(() if chip is None else ((f"quantization.chips.{target.chip}", chip),)),
            *(() if own is None else ((f"quantization.targets.{name}", own),)),
        )

    def table(self, target: Target) -> str | None:
        """Path text of the mixed-precision table that the config names for the target, if any."""
        if target.precision not in CALIBRATED:
            return None
        tables = self.config.quantization.tables
        return tables.get(str(target), tables.get(target.chip))


# Cached, so that equal arguments give the identical model: steps are cached by model, which compares by identity.
@lru_cache(maxsize=256)
def using(model: Model, weights: Weights) -> Model:
    """The model with the overrides of these weights applied: thresholds, and scenes in place of pictures."""
    if model.weights == weights.name:
        return model
    assert not model.weights, "other weights have changed its sections already"
    config, size = model.config, (model.config.input.height, model.config.input.width)
    sets = {name: SceneSet(*size, r.seed, r.count) for name, r in weights.scenes or () if r is not None}
    update: dict[str, object] = {}
    for name, scenes in sets.items():
        section = getattr(config, name)
        new = {"truth": scenes.truth} if name == "evaluate" else {"images": _images(scenes)}
        update[name] = section.model_copy(update=new)
    return replace(model, config=config.model_copy(update=update), weights=weights.name)


def _images(scenes: SceneSet) -> Images:
    return Images(folder=scenes.pictures, count=scenes.count)


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
    try:
        config = ModelConfig.model_validate(document.value)
    except ValidationError as error:
        raise config_error(error, document, ModelConfig) from None
    name = path.stem
    if not is_name(name):
        raise ConfigError(f"{shown}: file name is not a model name: {name}", "letters, digits, `.`, `_` and `-`")
    targets = tuple(_checked_targets(config, name, document))
    model = Model(name, path, config, targets, searches=searches)
    _check_references(model, document)
    _check_methods(model, document)
    return model


def _checked_targets(config: ModelConfig, name: str, document: Document) -> Iterator[Target]:
    seen: set[Target] = set()
    for index, selection in enumerate(config.targets):
        for target in _expand(name, selection):
            if target in seen or any(rule.covers(target) for rule in config.exclude):
                continue
            check(target, f"{document.where(('targets', index))}: targets[{index}]: {target}")
            seen.add(target)
            yield target
    if not seen:
        raise document.error(("targets",), "nothing is left after exclude", "drop an entry of exclude")


def _asks_for(s: Selection, target: Target) -> bool:
    """Whether a target is one of those that `_expand` yields."""
    given = (
        (target.chip, s.chip),
        (target.precision, s.precision),
        (target.batch, s.batch),
        (target.cores, s.cores),
    )
    return all(value in values for value, values in given)


def _expand(name: str, s: Selection) -> Iterator[Target]:
    for chip, precision, batch, cores in product(s.chip, s.precision, s.batch, s.cores):
        yield Target(name, chip, precision, batch, cores)


def _check_references(model: Model, document: Document) -> None:
    """Check constraints between keys: tables and rules name existing targets, INT8 needs calibration images."""
    if any(t.precision in CALIBRATED for t in model.targets) and model.config.calibration is None:
        raise document.error(("calibration",), "missing key: int8 and int4 targets need one", "see docs/config.md")
    _check_scenes(model, document)
    names = [str(t) for t in model.targets]
    calibrated = [str(t) for t in model.targets if t.precision in CALIBRATED]
    for key in model.config.quantization.tables:
        if key not in CHIPS and key not in calibrated:
            guess = nearest(key, [*CHIPS, *calibrated])
            said = f"neither a chip nor an int8 or int4 target of this model: {key}"
            raise _about_key(
                document,
                ("quantization", "tables"),
                key,
                said,
                f"did you mean {guess}?" if guess else f"chips: {', '.join(CHIPS)}",
            )
    quantized = [str(t) for t in model.targets if t.precision == "int8"]
    for section, keys, allowed in (
        ("chips", model.config.quantization.chips, list(CHIPS)),
        ("targets", model.config.quantization.targets, quantized),
    ):
        for key in keys:
            if key not in allowed:
                guess = nearest(key, allowed)
                raise _about_key(
                    document,
                    ("quantization", section),
                    key,
                    f"not one of this model's: {key}",
                    f"did you mean {guess}?" if guess else f"allowed: {', '.join(allowed)}",
                )
    _check_rules(model, names, document)
    _check_batches(model, document)


def _check_batches(model: Model, document: Document) -> None:
    """Check that there are pictures for a full batch of every target, which is what a first verdict takes."""
    largest = max(model.targets, key=lambda target: target.batch)
    place: tuple[str | int, ...] = ("verify", "images", "count")
    counts = [(place, model.config.verify.images.count)]
    for index, weights in enumerate(model.config.weights):
        drawn = weights.scenes.verify if weights.scenes is not None else None
        place = ("weights", index, "scenes", "verify", "count")
        counts += [] if drawn is None else [(place, drawn.count)]
    for where, count in counts:
        if count is not None and count < largest.batch:
            raise document.error(
                where,
                f"too few for a full batch of {largest}: {count}",
                f"at least {largest.batch}, or leave out what needs more",
            )


def _about_key(document: Document, section: tuple[str, ...], key: str, said: str, hint: str) -> ConfigError:
    """An error about a key that is a name, in a section for any names: the section is what has a path."""
    return ConfigError(f"{document.where((*section, key))}: {key_path(section)}{said}", hint)


def _check_rules(model: Model, names: Sequence[str], document: Document) -> None:
    """Check that threshold rules match existing targets and weights."""
    given = [w.name for w in model.config.weights]
    for index, rule in enumerate(model.config.verify.thresholds):
        place = ("verify", "thresholds", index)
        if rule.weights is not None and rule.weights not in given:
            raise document.error(
                (*place, "weights"),
                f"not weights of this model: {rule.weights}",
                f"allowed: {', '.join(given)}",
            )
        if rule.target is not None and rule.target not in names:
            try:
                parse(rule.target, model.name)
            except ConfigError as error:
                raise document.error((*place, "target"), error.message, error.hint) from None
            guess = nearest(rule.target, names)
            raise document.error(
                (*place, "target"),
                f"not a target of this model: {rule.target}",
                f"did you mean {guess}?" if guess else "see ./doit list --all",
            )


def _check_methods(model: Model, document: Document) -> None:
    """Check that a search of TPU-MLIR is installed, supports the chip, and has no settings of bmzoo's search."""
    for target in (t for t in model.targets if t.precision == "int8"):
        methods = [(where, section.method) for where, section in model.searched(target) if section.method]
        where, method = methods[-1] if methods else ("", None)
        if problem := search_methods.why_not(method, target.chip, model.searches):
            raise document.error((*where.split("."), "method"), f"{problem[0]}: {method}", problem[1])
        for place, section in model.searched(target):
            for key in search_methods.method_of(section.method).lacks:
                if getattr(section, key) is not None:
                    raise document.error(
                        (*place.split("."), key),
                        f"means nothing to {section.method}: {getattr(section, key)}",
                        "leave it out; max_float_layers, expected_cos and keep are for every method",
                    )


def _check_scenes(model: Model, document: Document) -> None:
    """Check that scenes replace pictures of an existing section, and that names of weights are unique."""
    config = model.config
    pictured = {
        "calibration": config.calibration is not None and config.calibration.images is not None,
        "quantization": config.quantization.images is not None,
        "verify": True,
        "evaluate": config.evaluate is not None,
    }
    names = [w.name for w in config.weights]
    for index, weights in enumerate(config.weights):
        if weights.name in names[:index]:
            raise document.error(("weights", index, "name"), f"there twice: {weights.name}")
        for name, found in weights.scenes or ():
            if found is not None and not pictured[name]:
                raise document.error(
                    ("weights", index, "scenes", name),
                    f"there are no pictures below {name} to replace",
                    "leave it out",
                )
    for index, weights in enumerate(config.weights):
        _check_drawn(model, index, weights, document)


# Where the sections name their pictures; a folder may be one of drawn scenes.
_PICTURED: Mapping[str, Location] = {
    "calibration": ("calibration", "images", "folder"),
    "quantization": ("quantization", "images", "folder"),
    "verify": ("verify", "images", "folder"),
    "evaluate": ("evaluate", "truth"),
}


def _check_drawn(model: Model, index: int, weights: Weights, document: Document) -> None:
    """Check that with these weights no section draws scenes that weights are trained on, or those of another.

    As for pictures, those of the verdict may be among those to choose by.
    """
    own = {name for name, found in weights.scenes or () if found is not None}
    sets: list[tuple[str, Location, range]] = []
    for name, path in _drawn(using(model, weights).config):
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


def _applies(rule: Rule, target: Target, weights: str) -> bool:
    return (
        rule.weights in (None, weights)
        and (rule.chip is None or target.chip in rule.chip)
        and (rule.precision is None or target.precision in rule.precision)
        and (rule.target is None or rule.target == str(target))
    )


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
