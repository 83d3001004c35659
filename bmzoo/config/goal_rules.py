"""Checks of goals in a config: what they ask for can be known, and a chip's targets ask for the same."""

from collections.abc import Sequence
from dataclasses import replace

from bmzoo.chips import CHIPS
from bmzoo.config.quantization import Search, overridden
from bmzoo.config.schema import ModelConfig
from bmzoo.config.search_methods import method_of
from bmzoo.config.yamlfile import Document, flow
from bmzoo.runtime.decoders.registry import DECODERS
from bmzoo.target import Target


def check_goals(config: ModelConfig, targets: Sequence[Target], document: Document) -> None:
    """Check that goals can be measured, and that a chip has one. Raises ConfigError at the place in the file."""
    _check_measured(config, targets, document)
    _check_one_choice(config, targets, document)


def _check_measured(config: ModelConfig, targets: Sequence[Target], document: Document) -> None:
    """The chip's time is known, and something is found that may be lost."""
    for target in (t for t in targets if t.precision == "int8"):
        for where, section in config.quantization.searched(target):
            if (goal := section.goal) is None:
                continue
            place = (*where.removesuffix(".search").split("."), "goal")
            if goal.latency is not None and not CHIPS[target.chip].timed and not goal.latency.startswith("+"):
                raise document.error(
                    (*place, "latency"),
                    f"milliseconds on {target.chip} cannot be known, the compiler tells no times: {goal.latency}",
                    "a share such as +5% is taken of what its layer groups cost; or say it below chips for others",
                )
            if goal.ap_drop is not None and DECODERS[config.decoder.kind].gives == "tensors":
                raise document.error(
                    (*place, "ap_drop"),
                    f"nothing is found by decoder {config.decoder.kind} that could be lost: {goal.ap_drop:g}",
                    "name a decoder; latency alone takes what is nearest to ONNX within it",
                )


def _check_one_choice(config: ModelConfig, targets: Sequence[Target], document: Document) -> None:
    """All INT8 targets of a chip share the table that is committed: chosen for batch 1 on one core."""
    tables = config.quantization.tables
    for target in (t for t in targets if t.precision == "int8" and not {str(t), t.chip} & tables.keys()):
        first = replace(target, batch=1, cores=1)
        own, shared = (_asked(config, one) for one in (target, first))
        if own == shared or own is None or not {"goal"} & {*own, *(shared or ())}:
            continue
        where = target if str(target) in config.quantization.targets else first
        raise document.error(
            ("quantization", "targets", str(where)),
            f"float layers of {target.chip} are chosen once, for {first} ({_told(shared)}), "
            f"and not for {target} as well ({_told(own)})",
            f"say one goal below chips: {target.chip}; or name a table written by hand below tables: {target}",
        )


def _asked(config: ModelConfig, target: Target) -> dict[str, object] | None:
    """What chooses a target's layers; None for plain INT8."""
    merged: dict[str, object] = {}
    for _, section in config.quantization.searched(target):
        merged = overridden(merged, section)
    wanted = Search.model_validate(merged)
    searched = wanted.max_float_layers or wanted.keep or wanted.goal or not method_of(wanted.method).counted
    return merged if searched else None


def _told(asked: dict[str, object] | None) -> str:
    """As a config says it, on one line."""
    if asked is None:
        return "none: plain INT8"
    told = Search.model_validate(asked).model_dump(exclude_none=True, mode="json")
    return ", ".join(flow(told).splitlines())
