"""The steps of TPU-MLIR's own searches for float layers, for one chip. Pure data.

Which program a method runs follows from what the installed TPU-MLIR has (`Model.searches`), so both generations
can be planned anywhere. A search does not depend on how many layers are asked for; those are cut off in a step of
its own, which takes no time.
"""

from bmzoo.config.model import Model, using
from bmzoo.config.quantization import Search
from bmzoo.config.search_methods import RUN_QTABLE, RUN_SENSITIVE_LAYER, method_of
from bmzoo.config.weights import Weights
from bmzoo.plan.fed import fed, input_request
from bmzoo.plan.float_decision import float_layers, float_mode
from bmzoo.plan.lowering import int8_target, table_check, thresholds
from bmzoo.plan.shared import (
    calibration,
    document,
    import_step,
    mlir_inputs,
    transform_for,
)
from bmzoo.plan.step import HOUR, Command, Input, Output, Step, Subject
from bmzoo.quantization.vendor_select import goal

# Every layer is lowered and run over all pictures: 3 s a layer for these, with a network of 2 MB at 640x640.
SCORED_PICTURES = 16
# run_sensitive_layer.py also finds thresholds, by several methods, and those take more pictures than layers do.
THRESHOLD_PICTURES = 100
TIMEOUT = 24 * HOUR


def ranking_step(model: Model, chip: str, weights: Weights, search: Search) -> Step:
    """TPU-MLIR's search: `ranking.json`; run_sensitive_layer.py also `tuned.table`, the thresholds it settled on.

    Its first commands refuse what it would fail with in the end: no `dot`, a calibration table of another model.
    """
    model = using(model, weights)
    name = method_of(search.method).program(model.searches)
    images = model.config.quantization.images
    assert name is not None and images is not None, "checked when the config was read"
    target = int8_target(model, chip)
    limit = THRESHOLD_PICTURES if name == RUN_SENSITIVE_LAYER else SCORED_PICTURES
    count = min(images.count or limit, limit)
    tables = (("calibration.table", thresholds(model, calibration(model, target, weights))),)
    return Step(
        "search",
        Subject(model.name, weights.name, chip, search.method or ""),
        (
            Command("vendor-start"),
            Command("prepare", ("request.json",)),
            table_check(chip, tables),
            _command(name, model, chip, search, count),
            Command("vendor-read", ("request.json",)),
        ),
        (
            *mlir_inputs(transform_for(model, target, weights, 1)),
            *tables,
            ("model.json", Output(import_step(model, weights), "model.json")),
            *fed(model, images, count),
        ),
        ("ranking.json", "tuned.table") if name == RUN_SENSITIVE_LAYER else ("ranking.json",),
        (document("request.json", {**input_request(model), "minimum": 1, "search": name}),),
        timeout=TIMEOUT,
    )


def cut_step(model: Model, chip: str, weights: Weights, search: Search) -> Step:
    """The qtable that the settings ask for, and why each layer is in or out of it.

    With `calibration.table` among its outputs, that one is for these layers, in place of the model's.
    """
    found = ranking_step(model, chip, weights, search)
    settings = search.model_dump(include={"method", "max_float_layers", "expected_cos", "keep"})
    inputs: tuple[tuple[str, Input], ...] = tuple((file, Output(found, file)) for file in found.outputs)
    tuned = ("calibration.table",) if "tuned.table" in found.outputs else ()
    derived = {**settings, "mode": float_mode(chip), "chip": chip}
    # A qtable is nothing without thresholds of its own, where there are any, and those are not committed.
    made = None if tuned else float_layers(using(model, weights), chip, weights, derived)
    return Step(
        "cut",
        Subject(model.name, weights.name, chip),
        (Command("vendor-cut", ("request.json",)),),
        inputs,
        ("mixed.qtable", "choice.json", *tuned),
        (document("request.json", {"settings": settings, "mode": float_mode(chip)}),),
        made,
    )


def _command(name: str, model: Model, chip: str, search: Search, count: int) -> Command:
    """One of vendor.SEARCHES on the pictures prepared. How many layers it may take stays the tool's default."""
    sizes = ("--data_list", "samples.txt", "--input_num", str(count))
    scored = ("--inference_num", str(min(count, SCORED_PICTURES)))
    wanted = ("--expected_cos", str(goal(search.model_dump())), "--chip", chip)
    tables = ("--calibration_table", "tool.table", "--quantize_table", "tool.qtable")
    if name == RUN_QTABLE:
        return Command(RUN_QTABLE, ("model.mlir", *sizes, *wanted, *tables))
    if name == RUN_SENSITIVE_LAYER:
        settings = model.config.calibration
        assert settings is not None, "checked when the config was read"
        found = ("--histogram_bin_num", str(settings.histogram_bins), "--tune_num", str(settings.tune))
        return Command(RUN_SENSITIVE_LAYER, ("model.mlir", *sizes, *scored, *found, *wanted, *tables))
    return Command("run_calibration.py", ("model.mlir", *sizes, *scored, "--search", name, *wanted, *tables))
