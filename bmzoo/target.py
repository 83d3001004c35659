"""A target names one artifact: model, chip, precision, batch and cores.

Text form: `<chip>_<precision>_<batch>b[_<cores>core]`, one core unmarked; before the last dot stands the
model, left out for the default one: `bm1688_int8_4b_2core`, `slim_320.bm1684x_fp16_1b`.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from bmzoo.chips import CALIBRATED, CHIPS, QUANTIZE
from bmzoo.errors import ConfigError, nearest

_NAME = re.compile(r"(?P<chip>[^_]+)_(?P<precision>[^_]+)_(?P<batch>[^_]*)b(?:_(?P<cores>[^_]*)core)?")
MAX_BATCH = 256


@dataclass(frozen=True, order=True)
class Target:
    """One artifact of one model. Ordered as listed; its text is the task's and the report's name."""

    model: str
    chip: str
    precision: str
    batch: int
    cores: int = 1

    def __str__(self) -> str:
        cores = f"_{self.cores}core" if self.cores > 1 else ""
        return f"{self.chip}_{self.precision}_{self.batch}b{cores}"

    @cached_property
    def stem(self) -> str:
        """Path of the artifact below `build/` without its suffix, with which the names of all beside it begin."""
        name = str(self).removeprefix(self.chip)
        return f"{CHIPS[self.chip].folder}/{self.model}{name}"

    @cached_property
    def artifact(self) -> str:
        """Path of the compiled model below `build/`, as the published samples name it."""
        return self.stem + CHIPS[self.chip].suffix

    @property
    def unverified(self) -> str:
        """Why nothing here runs its artifact, so that no verdict is one of the artifact itself; mostly empty."""
        return CHIPS[self.chip].unsimulated

    @property
    def compiled(self) -> str:
        """Name of the compiled model in the folders of steps."""
        return f"model{CHIPS[self.chip].suffix}"

    def qualified(self, default_model: str) -> str:
        """The name on the command line: with the model in front unless it is the default one."""
        return str(self) if self.model == default_model else f"{self.model}.{self}"


def longest_first(targets: Iterable[Target]) -> list[Target]:
    """In the order to start them: first those that need a calibration, which takes longer than all else."""
    return sorted(targets, key=lambda target: target.precision not in CALIBRATED)


def parse(text: str, default_model: str) -> Target:
    """The target that a name stands for; ConfigError says which part is wrong and what is allowed."""
    model, dot, name = text.rpartition(".")
    match = _NAME.fullmatch(name)
    if not match or (dot and not model):
        raise ConfigError(
            f"target name: not of the form <chip>_<precision>_<batch>b[_<cores>core]: {text}",
            "for example bm1688_int8_4b_2core",
        )
    chip = _known("chip", match["chip"], CHIPS, text)
    precision = _known("precision", match["precision"], QUANTIZE, text)
    batch = _count("batch", match["batch"], text)
    cores = _count("core count", match["cores"], text) if match["cores"] is not None else 1
    target = Target(model or default_model, chip, precision, batch, cores)
    check(target, text)
    return target


def check(target: Target, where: str) -> None:
    """Refuse what the chip cannot do (ConfigError), naming the reason and the nearest valid choice."""
    chip = CHIPS[target.chip]
    reason = chip.why_not(target.precision, target.cores)
    if reason:
        raise ConfigError(f"{where}: {reason}", f"nearest valid choice: {feasible(target)}")


def feasible(target: Target) -> Target:
    """The nearest target that the chip can do: the next wider float precision, the next lower core count."""
    chip = CHIPS[target.chip]
    precision = target.precision
    if precision not in chip.precisions:
        precision = "int8" if precision == "int4" else chip.precisions[0]
    cores = max((n for n in chip.cores if n <= target.cores), default=chip.cores[0])
    return Target(target.model, target.chip, precision, target.batch, cores)


def _known(what: str, word: str, allowed: Iterable[str], where: str) -> str:
    names = list(allowed)
    if word in names:
        return word
    guess = nearest(word, names)
    hint = f"did you mean {guess}? allowed: {', '.join(names)}" if guess else f"allowed: {', '.join(names)}"
    raise ConfigError(f"{where}: unknown {what}: {word}", hint)


def _count(what: str, digits: str, where: str) -> int:
    number = digits.isascii() and digits.isdigit() and len(digits) <= 3  # int() refuses thousands of digits
    if not number or not 1 <= int(digits) <= MAX_BATCH or digits[0] == "0":
        raise ConfigError(f"{where}: {what} out of range: {digits or 'nothing'}", f"allowed: 1 to {MAX_BATCH}")
    return int(digits)
