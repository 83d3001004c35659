"""How a config calibrates and searches, by calls of run_calibration and of the two searches."""

from collections.abc import Sequence
from pathlib import Path

from bmzoo.chips import CHIPS, QUANTIZE
from bmzoo.config import search_methods
from bmzoo.config_import import flags, picture_sets
from bmzoo.config_import.conversions import Conversion, FlaggedCall
from bmzoo.config_import.draft import Draft
from bmzoo.config_import.places import Places
from bmzoo.errors import BmzooError

_SEARCHES = {
    "run_qtable": "vendor_qtable",
    "run_calibration": "vendor_qtable",
    "run_sensitive_layer": "vendor_sensitive_layer",
}


def put_quantization(
    draft: Draft, conversion: Conversion, beside: Path, places: Places, folders: Sequence[Path]
) -> None:
    """Calibration, search, and the pictures of both and of the verdict. `beside`: the folder of the script."""
    if "input" not in draft.config:
        for each in (*conversion.calibrations, *conversion.searches):
            draft.dropped(f"{each.tool}{each.where}", "calibrates by samples of `inputs`; name these there")
        return
    searches = bool(conversion.searches)
    chosen = list(folders)
    call = conversion.calibrations[0] if conversion.calibrations else None
    if not chosen and call is not None and (named := _folder(beside, call)) is not None:
        chosen = [named]
    sets = None
    if dataset := call.value("dataset") if call is not None else "":
        taken = "in its place: --pictures" if folders else "" if chosen else "not here"
        draft.say("dropped" if taken else "took", f"--dataset {dataset}{': ' if taken else ''}{taken}")
    if chosen:
        try:
            sets = picture_sets.given_sets(chosen, places, searches, conversion.largest_batch)
        except BmzooError as error:
            draft.say("unknown", f"images: {error.message}")
    picture_sets.put_pictures(draft, sets, searches, dataset)
    if call is not None:
        _put_calibration(draft, call)
    if searches:
        _put_search(draft, conversion, places.searches)
    else:
        _put_tables(draft, conversion, beside, places)


def _folder(beside: Path, call: FlaggedCall) -> Path | None:
    """The folder of pictures that a calibration names, where it is here."""
    path = beside / call.value("dataset")
    return path if call.value("dataset") and path.is_dir() else None


def _put_calibration(draft: Draft, call: FlaggedCall) -> None:
    if (count := call.value("input_num")).isdecimal() and int(count):
        images = draft.config["calibration"]["images"]
        most = images.get("count", int(count))
        images["count"] = min(int(count), most)
        few = f", of which {most} are here" if most < int(count) else ""
        draft.say("took", f"calibration.images.count: --input_num {count}{few}")
    method = call.value("cali_method").removeprefix("use_")
    if method in ("kl", "mse", "max", "percentile9999", "aciq_laplace", "aciq_gauss"):
        draft.took("calibration.method", method, "--cali_method")
    elif method:
        draft.dropped(f"--cali_method {method}", "not among calibration.method")
    for flag, key in (("histogram_bin_num", "histogram_bins"), ("tune_num", "tune")):
        if (text := call.value(flag)).isdecimal():
            draft.took(f"calibration.{key}", int(text), f"--{flag}")


def _put_search(draft: Draft, conversion: Conversion, installed: frozenset[str]) -> None:
    """The search for float layers, by the script's own program where that can be had, else by bmzoo's."""
    call = conversion.searches[0]
    method = _SEARCHES[call.tool]
    chips = {deploy.value("chip", "processor").lower() for deploy, _ in conversion.deploys}
    reasons = [why[0] for chip in sorted(chips) if (why := search_methods.why_not(method, chip, installed))]
    if reasons:
        draft.dropped(f"{call.tool}{call.where}", f"{reasons[0]}; bmzoo's own search takes its place")
    else:
        draft.took("quantization.search.method", method, f"{call.tool}{call.where}")
    layers = call.value("max_float_layers")
    said = f"{'' if layers else 'the default of '}--max_float_layers"
    draft.took("quantization.search.max_float_layers", int(layers) if layers.isdecimal() else 5, said)
    try:
        if cosine := flags.numbers(call.value("expected_cos")):
            draft.took("quantization.search.expected_cos", cosine[0], "--expected_cos")
    except ValueError:
        draft.dropped(f"--expected_cos {call.value('expected_cos')}", "no number")


def _put_tables(draft: Draft, conversion: Conversion, beside: Path, places: Places) -> None:
    """Tables of float layers that no search of the script writes: somebody did by hand."""
    for call, _ in conversion.deploys:
        table, chip = call.value("quantize_table"), call.value("chip", "processor").lower()
        if not table or chip not in CHIPS or call.value("quantize").upper() != QUANTIZE["int8"]:
            continue
        path = beside / table
        if path.is_file():
            draft.took(f"quantization.tables.{chip}", places.named(path), f"--quantize_table{call.where}")
        else:
            draft.dropped(f"--quantize_table {table}", "not here, and no search writes it: see quantization.tables")
