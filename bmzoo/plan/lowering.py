"""What model_deploy is given for a target, and the chip's MLIR before code generation. Pure data."""

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache

from bmzoo.chips import CALIBRATED, CHIPS, QUANTIZE
from bmzoo.config.fused import deploy_words
from bmzoo.config.model import Model
from bmzoo.config.weights import Weights
from bmzoo.plan.shared import calibration, mlir_inputs, transform_for
from bmzoo.plan.step import Command, File, Input, Output, Step, Subject
from bmzoo.target import Target

LOWERED = ("lowered.mlir", "lowered_weights.npz")


def compiler_inputs(
    model: Model, target: Target, transform: Step, calibrate: Step | None, qtable: Input | None
) -> tuple[tuple[tuple[str, Input], ...], tuple[Command, ...], tuple[str, ...]]:
    """What model_deploy reads for a target, the checks before it, and its arguments but for cores and output."""
    inputs: list[tuple[str, Input]] = [*mlir_inputs(transform)]
    args = ["--mlir", "model.mlir", "--chip", target.chip, "--quantize", QUANTIZE[target.precision]]
    if target.precision in CALIBRATED:
        inputs.append(("calibration.table", _own_thresholds(qtable) or thresholds(model, calibrate)))
        args += ["--calibration_table", "calibration.table"]
    if any(isinstance(table, File) for table in (qtable, dict(inputs).get("calibration.table"))):
        source = next(step for step in transform.needs if step.kind == "import")
        inputs.append(("model.json", Output(source, "model.json")))  # tables by hand may have names from before it
    if qtable is not None:
        inputs.append(("mixed.qtable", qtable))
        args += ["--quantize_table", "mixed.qtable"]
    checks = (table_check(target.chip, inputs),) if target.precision in CALIBRATED else ()
    if target.precision == "int4":
        args += ["--tolerance", "0,0"]  # int4 has no default tolerance and the tool stops without one
    return tuple(inputs), checks, (*args, *model.deploy_flags(target), "--skip_validation")


def table_check(chip: str, inputs: Sequence[tuple[str, Input]]) -> Command:
    """Checks the tables among a step's inputs before the compiler reads them; those written by hand row by row."""
    by_hand = [f"{name}={ref.path}" for name, ref in inputs if isinstance(ref, File)]
    return Command("check-tables", ("model.mlir", *((chip, *by_hand) if by_hand else ())))


def _own_thresholds(qtable: Input | None) -> Input | None:
    """The calibration table that a search found together with its qtable, if it did."""
    if isinstance(qtable, Output) and "calibration.table" in qtable.step.outputs:
        return Output(qtable.step, "calibration.table")
    return None


def thresholds(model: Model, calibrate: Step | None) -> Input:
    """Where the calibration table comes from: the calibration, or the table that the config names."""
    if calibrate is not None:
        return Output(calibrate, "calibration.table")
    settings = model.config.calibration
    assert settings is not None and settings.table is not None, "checked when the config was read"
    return File(settings.table)


def lowering(  # noqa: PLR0913
    model: Model, target: Target, weights: Weights, qtable: Input | None, what: str, fused: str = ""
) -> Step:
    """The target's lowering at batch 1: the same arithmetic as the artifact's, fast to run. `what`: for people.

    fused: the format of pixels that it takes, where preprocessing is compiled in.
    """
    transform = transform_for(model, target, weights, 1)
    calibrate = calibration(model, target, weights)
    inputs, checks, args = compiler_inputs(model, target, transform, calibrate, qtable)
    return Step(
        "lower",
        Subject(model.name, weights.name, detail=what),
        (
            *checks,
            Command(
                "model_deploy.py",
                (*args, *deploy_words(fused), "--not_gen_bmodel", "--debug", "--model", "model.bmodel"),
            ),
            Command("lowered", ()),
        ),
        inputs,
        LOWERED,
    )


def int8_target(model: Model, chip: str) -> Target:
    """The target that stands for a chip's INT8 networks in a search: batch 1, one core, flags as configured."""
    same = [t for t in model.targets if t.precision == "int8" and CHIPS[t.chip].quantizer == CHIPS[chip].quantizer]
    own = [t for t in same if t.chip == chip] or same
    return replace(own[0], batch=1, cores=1)


@lru_cache(maxsize=64)
def plain_lowering(model: Model, chip: str, weights: Weights) -> Step:
    """INT8 with no layer in float, by the quantizer that a chip shares with others."""
    quantizer = CHIPS[chip].quantizer
    target = int8_target(model, quantizer)
    return lowering(model, target, weights, None, f"{quantizer}_int8 plain")
