"""Checks of a config between its keys: what each section says alone is sound already.

All of them raise ConfigError, at the place in the file.
"""

from collections.abc import Sequence

from bmzoo.chips import CALIBRATED, CHIPS
from bmzoo.config import search_methods
from bmzoo.config.drawn import check_drawn
from bmzoo.config.feeding import check_fed, check_fused
from bmzoo.config.goal_rules import check_goals
from bmzoo.config.schema import ModelConfig
from bmzoo.config.yamlfile import Document, key_path
from bmzoo.errors import ConfigError, nearest
from bmzoo.target import Target, parse


def check_keys(
    config: ModelConfig, targets: Sequence[Target], searches: frozenset[str], document: Document
) -> None:
    """All checks. `targets`: those of the config, one at least.

    `searches`: which of search_methods.SEARCHES are installed.
    """
    if any(t.precision in CALIBRATED for t in targets) and config.calibration is None:
        raise document.error(("calibration",), "missing key: int8 and int4 targets need one", "see docs/config.md")
    check_fed(config, document)
    check_fused(config, targets, document)
    _check_scenes(config, document)
    _check_tables(config, targets, document)
    _check_searched(config, targets, document)
    _check_rules(config, targets, document)
    _check_batches(config, targets, document)
    _check_methods(config, targets, searches, document)
    check_goals(config, targets, document)


def _check_tables(config: ModelConfig, targets: Sequence[Target], document: Document) -> None:
    """Check that tables written by hand are for chips or for existing targets."""
    calibrated = [str(t) for t in targets if t.precision in CALIBRATED]
    for key in config.quantization.tables:
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


def _check_searched(config: ModelConfig, targets: Sequence[Target], document: Document) -> None:
    """Check that settings of searches are for chips or for existing targets."""
    quantized = [str(t) for t in targets if t.precision == "int8"]
    for section, keys, allowed in (
        ("chips", config.quantization.chips, list(CHIPS)),
        ("targets", config.quantization.targets, quantized),
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


def _check_batches(config: ModelConfig, targets: Sequence[Target], document: Document) -> None:
    """Check that there are pictures for a full batch of every target, which is what a first verdict takes."""
    largest = max(targets, key=lambda target: target.batch)
    place: tuple[str | int, ...] = ("verify", "images", "count")
    images = config.verify.images
    counts = [(place, images.count if images is not None else None)]
    for index, weights in enumerate(config.weights):
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


def _check_rules(config: ModelConfig, targets: Sequence[Target], document: Document) -> None:
    """Check that threshold rules match existing targets and weights."""
    names = [str(t) for t in targets]
    given = [w.name for w in config.weights]
    for index, rule in enumerate(config.verify.thresholds):
        place = ("verify", "thresholds", index)
        if rule.weights is not None and rule.weights not in given:
            raise document.error(
                (*place, "weights"),
                f"not weights of this model: {rule.weights}",
                f"allowed: {', '.join(given)}",
            )
        if rule.target is not None and rule.target not in names:
            try:
                parse(rule.target, targets[0].model)
            except ConfigError as error:
                raise document.error((*place, "target"), error.message, error.hint) from None
            guess = nearest(rule.target, names)
            raise document.error(
                (*place, "target"),
                f"not a target of this model: {rule.target}",
                f"did you mean {guess}?" if guess else "see ./doit list --all",
            )


def _check_methods(
    config: ModelConfig, targets: Sequence[Target], searches: frozenset[str], document: Document
) -> None:
    """Check that a search of TPU-MLIR is installed, supports the chip, and has no settings of bmzoo's search."""
    for target in (t for t in targets if t.precision == "int8"):
        sections = config.quantization.searched(target)
        methods = [(where, section.method) for where, section in sections if section.method]
        where, method = methods[-1] if methods else ("", None)
        if problem := search_methods.why_not(method, target.chip, searches):
            raise document.error((*where.split("."), "method"), f"{problem[0]}: {method}", problem[1])
        for place, section in sections:
            for key in search_methods.method_of(section.method).lacks:
                if getattr(section, key) is not None:
                    raise document.error(
                        (*place.split("."), key),
                        f"means nothing to {section.method}: {getattr(section, key)}",
                        "leave it out; max_float_layers, expected_cos and keep are for every method",
                    )


def _check_scenes(config: ModelConfig, document: Document) -> None:
    """Check that scenes replace pictures of an existing section, and that names of weights are unique."""
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
        check_drawn(config, index, weights, document)
