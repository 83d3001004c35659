"""Who finds activation thresholds, and what is run for it: TPU-MLIR's run_calibration, or bmzoo. Pure data."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from bmzoo.config.quantization import Calibration
from bmzoo.plan.step import Command

OWN_ENGINE = "bmzoo"
# What bmzoo says of how sure its thresholds are.
CERTAINTY = "certainty.json"
# What was moved afterwards.
REFINED = "refined.json"


@dataclass(frozen=True)
class Calibrator:
    """The commands from samples to `calibration.table`, what else they write, the document that they read, and what
    of it decides the table. `network`: whether the ONNX network is read as well."""

    commands: tuple[Command, ...]
    facts: dict[str, Any]
    outputs: tuple[str, ...] = ()
    documents: tuple[tuple[str, str], ...] = ()
    network: bool = False


def calibrator(settings: Calibration, count: int, int4: bool, pictures: bool) -> Calibrator:
    """Whoever `settings` names. `count`: of samples, 0 for all. `pictures`: whether the network takes them."""
    return _own(settings, int4, pictures) if settings.engine == OWN_ENGINE else _vendor(settings, count, int4)


def _vendor(settings: Calibration, count: int, int4: bool) -> Calibrator:
    args = (
        *("model.mlir", "--data_list", "samples.txt", "--input_num", str(count)),
        *("--cali_method", settings.method, "--histogram_bin_num", str(settings.histogram_bins)),
        *("--tune_num", str(settings.tune)),
        *(("--debug_cmd", "int4") if int4 else ()),
        *("-o", "tool.table"),
    )
    facts = {"method": settings.method, "histogram_bins": settings.histogram_bins, "tune": settings.tune}
    return Calibrator((Command("run_calibration.py", args), Command("table", ("request.json",))), facts)


def _own(settings: Calibration, int4: bool, pictures: bool) -> Calibrator:
    # It tunes over all pictures or not at all.
    facts = {"method": settings.method, "histogram_bins": settings.histogram_bins, "tune": settings.tune > 0}
    told = json.dumps({**facts, "int4": int4, "pictures": pictures}, indent=1, sort_keys=True) + "\n"
    return Calibrator(
        (Command("calibrate", ("calibrate.json",)),),
        {**facts, "engine": OWN_ENGINE},
        (CERTAINTY,),
        (("calibrate.json", told),),
        network=True,
    )


def refined(who: Calibrator, layers: int, chip: str, request: Mapping[str, Any]) -> Calibrator:
    """The same, and then thresholds of some layers moved by what they do to the outputs of a chip's plain INT8.

    `request`: what the network is fed, and its decoder.
    """
    lower = (
        "--mlir",
        "model.mlir",
        "--chip",
        chip,
        "--quantize",
        "INT8",
        "--calibration_table",
        "calibration.table",
    )
    told = json.dumps({**request, "layers": layers}, indent=1, sort_keys=True) + "\n"
    return replace(
        who,
        commands=(
            *who.commands,
            Command("model_deploy.py", (*lower, "--skip_validation", *_NO_CODE, "--model", "model.bmodel")),
            Command("lowered"),
            Command("refine", ("refine.json",)),
        ),
        facts={**who.facts, "refine": layers},
        outputs=(*who.outputs, REFINED),
        documents=(*who.documents, ("refine.json", told)),
        network=True,
    )


_NO_CODE = ("--not_gen_bmodel", "--debug")
