"""What TPU-MLIR's own searches for float layers leave, and how many layers are made of it."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from vendor_searches import LINE, LOG, LOSSES

from bmzoo.commands.__main__ import run as run_step
from bmzoo.config.search_methods import RUN_QTABLE, RUN_SENSITIVE_LAYER, SEARCH_QTABLE
from bmzoo.quantization import vendor_output
from bmzoo.quantization.vendor_select import cut, rows


def test_a_log_is_a_ranking_and_the_cosine_of_plain_int8() -> None:
    assert vendor_output.ranking(LOG) == (("b", 0.5), ("a", 1e-05))
    assert vendor_output.plain_cosine(LOG) == 0.884 and vendor_output.enough(LOG) is None
    assert vendor_output.ranking("") == ()
    done = "job success, current int8 cos:0.9995 is higher than expected_cos:0.99,no need for mix precsion"
    assert vendor_output.enough(f"INFO:root:{done}\n") == 0.9995


@pytest.mark.parametrize(
    "log",
    [
        LINE.format("b", 1, 0.5),  # the first is missing
        f"{LINE.format('b', 0, 0.5)}\n{LINE.format('a', 1, 0.6)}",  # not sorted
        f"{LINE.format('b', 0, 0.5)}\n{LINE.format('b', 1, 0.4)}",  # twice
        LINE.format("b", 0, "nan"),
        LINE.format("b", 0, "0.5 of all"),  # another form
        LINE.format("a b", 0, 0.5),
    ],
)
def test_a_ranking_of_another_form_is_an_error_with_its_line(log: str) -> None:
    with pytest.raises(ValueError, match=r"^line [12] "):
        vendor_output.ranking(log)


def test_a_table_of_losses_is_read_strictly() -> None:
    assert vendor_output.losses(LOSSES) == {"b": 0.25, "a": 0.0}
    for broken in ("No.2", "No.0"):
        with pytest.raises(ValueError, match="^line 4 "):
            vendor_output.losses(LOSSES.replace("No.1", broken))


Ready = Callable[..., Path]


@pytest.fixture
def left(tmp_path: Path) -> Ready:
    """A step's folder as a program leaves it: its name, and files."""

    def ready(search: str, **files: str) -> Path:
        (tmp_path / "request.json").write_text(json.dumps({"search": search}))
        (tmp_path / "samples.txt").write_text("samples/00000.npz\nsamples/00001.npz\n")
        (tmp_path / "calibration.table").write_text("x 1.0 -1.0 1.0\na 2.0 0.0 2.0\nb 3.0 0.0 3.0\n")
        for name, text in files.items():
            (tmp_path / name.replace("__", ".")).write_text(text)
        return tmp_path

    return ready


def read(folder: Path) -> dict[str, object]:
    """`ranking.json` of `vendor-read`, or the error that it reported."""
    if run_step("vendor-read", folder, ("request.json",)):
        return dict(json.loads((folder / "error.json").read_text()))
    return dict(json.loads((folder / "ranking.json").read_text()))


def test_a_search_that_returns_every_layer_is_read_by_its_ranking(left: Ready) -> None:
    """The installed search does so when its first pick is good enough, and a fifth of the layers otherwise."""
    found = read(left(SEARCH_QTABLE, Search_Qtable=LOG, tool__qtable="a F32\nb F32\nx F32\n"))
    assert found == {
        "pictures": 2,
        "total": 3,
        "enough": None,
        "plain": 0.884,
        "picks": ["b", "a"],
        "layers": [
            {"layer": "b", "loss": 0.5, "cosine_loss": 0.5},
            {"layer": "a", "loss": 1e-05, "cosine_loss": 1e-05},
        ],
    }


def test_a_search_that_finds_plain_int8_good_enough_writes_no_table_and_names_no_layer(left: Ready) -> None:
    done = "INFO:root:job success, current int8 cos:0.9995 is higher than expected_cos:0.99,no need\n"
    folder = left(RUN_SENSITIVE_LAYER, SensitiveLayerSearcher=done)
    found = read(folder)
    assert (found["enough"], found["plain"], found["picks"], found["layers"]) == (0.9995, 0.9995, [], [])
    assert (folder / "tuned.table").read_text() == (folder / "calibration.table").read_text()


def test_run_qtable_gives_its_table_in_order_and_losses_of_all(left: Ready) -> None:
    table = "# op_name   quantize_mode\na F32\nx INT8\nlate F32\n"
    found = read(left(RUN_QTABLE, MixPrecSearcher="", full_loss_table__txt=LOSSES, tool__qtable=table))
    assert found["picks"] == ["a", "late"] and found["plain"] is None
    assert [row["loss"] for row in found["layers"]] == [0.25, 0.0]  # type: ignore[attr-defined]


def test_new_thresholds_are_handed_on_without_the_time(left: Ready) -> None:
    new = "# generated time: 2026-11-21\n# op_name    threshold\nx 1.0 -1.0 1.0\na 1.5 0.0 2.0\nb 3.0 0.0 3.0\n"
    folder = left(RUN_SENSITIVE_LAYER, SensitiveLayerSearch=LOG, new_cali_table__txt=new)
    read(folder)
    text = (folder / "tuned.table").read_text()
    assert "a 1.5 0 2" in text and "time" not in text and RUN_SENSITIVE_LAYER in text


@pytest.mark.parametrize(
    ("search", "files", "message"),
    [
        (SEARCH_QTABLE, {}, "wrote no log"),
        (SEARCH_QTABLE, {"Search_Qtable": "INFO:root:run int8 mode\n"}, "neither a ranking nor a reason"),
        (SEARCH_QTABLE, {"Search_Qtable": LINE.format("b", 3, 0.5)}, "Search_Qtable: line 1 is out of order"),
        (RUN_QTABLE, {"MixPrecSearcher": ""}, "wrote no table, and no reason"),
        (
            RUN_QTABLE,
            {"MixPrecSearcher": "", "full_loss_table__txt": LOSSES, "tool__qtable": "a\n"},
            "is not `layer mode`",
        ),
        (RUN_SENSITIVE_LAYER, {"SensitiveLayerSearch": LOG}, "did not write new_cali_table.txt"),
        (
            RUN_SENSITIVE_LAYER,
            {"SensitiveLayerSearch": LOG, "new_cali_table__txt": "x 1.0 -1.0 1.0\n"},
            "lacks 2 tensors: a",
        ),
        (
            RUN_SENSITIVE_LAYER,
            {"SensitiveLayerSearch": LOG, "new_cali_table__txt": "x one\n"},
            "is not `name threshold",
        ),
    ],
)
def test_a_program_that_left_something_else_failed(
    left: Ready, search: str, files: dict[str, str], message: str
) -> None:
    found = read(left(search, **files))
    assert found["type"] == "ToolFailed" and message in str(found["message"])


# --- how many layers ---------------------------------------------------------------------------------------

RANKING = {
    "pictures": 2,
    "total": 3,
    "enough": None,
    "plain": 0.9,
    "picks": ["b", "a"],
    "layers": [{"layer": "b", "loss": 0.5}, {"layer": "a", "loss": 0.1}],
}
SETTINGS = {"method": "vendor_qtable", "max_float_layers": 1, "expected_cos": None, "keep": None}


def test_the_layers_are_as_many_as_asked_for_and_each_has_a_reason() -> None:
    found = cut(RANKING, SETTINGS)
    assert (found.layers, found.why) == (("b",), "max_float_layers is 1")
    assert rows(RANKING, found) == [
        {"layer": "b", "loss": 0.5, "why": "in: number 1 of the search"},
        {"layer": "a", "loss": 0.1, "why": "out: max_float_layers is 1; it is number 2 of the search"},
    ]
    assert cut(RANKING, {**SETTINGS, "keep": 2}).layers == ("b", "a")
    assert cut(RANKING, {**SETTINGS, "max_float_layers": 3}).why == "the search names no further layers"
    named = {**RANKING, "picks": ["a", "late"]}
    told = rows(named, cut(named, {**SETTINGS, "max_float_layers": 2}))
    assert [(row["layer"], row["loss"]) for row in told] == [("b", 0.5), ("a", 0.1), ("late", None)]
    assert told[0]["why"] == "out: the search leaves it in INT8"


def test_no_layer_is_cut_where_plain_int8_is_good_enough() -> None:
    good = {**RANKING, "enough": 0.9995, "picks": [], "layers": []}
    found = cut(good, {**SETTINGS, "expected_cos": 0.99})
    assert found.layers == () and found.why == "plain INT8 has cosine 0.9995, and 0.99 is enough"


def test_more_layers_than_the_model_has_are_refused(tmp_path: Path) -> None:
    (tmp_path / "ranking.json").write_text(json.dumps(RANKING))
    request = {"settings": {**SETTINGS, "max_float_layers": 4}, "mode": "F32"}
    (tmp_path / "request.json").write_text(json.dumps(request))
    assert run_step("vendor-cut", tmp_path, ("request.json",)) == 1
    said = json.loads((tmp_path / "error.json").read_text())
    assert said["type"] == "ConfigError"
    assert said["message"] == "max_float_layers: more than the 3 layers of the model: 4"
