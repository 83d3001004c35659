"""The pure parts of `tune`: axes, the choice, whether INT8 is worth it, texts that do not overlap, time left."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bmzoo.config.model import Model, load
from bmzoo.config.yamlfile import flow, parse_yaml
from bmzoo.tuning.choice import AGREEMENT_TOLERANCE, SAME_COST, Point, PublishedPair, Rival, front, recommend, worth
from bmzoo.tuning.labels import place_labels
from bmzoo.tuning.pace import Pace
from bmzoo.tuning.plot import GLYPH, HEIGHT, MARK_STYLES, WIDTH, figure, write_html
from bmzoo.tuning.published_pairs import float_precision, pairs
from bmzoo.tuning.report import TuningReport, markdown, recommendation, report_data
from bmzoo.tuning.settings import Setting, calibrated, current, float_axis, method_axis, paste, picture_axis

NOW = Setting(8, "mse", 100)
CONFIG = Path(__file__).parents[2] / "configs" / "retinaface_mobilenet0.25.yaml"


# The shipped config with the setting that these tests start from.
TEXT = CONFIG.read_text(encoding="utf-8").replace("max_float_layers: 4", "max_float_layers: 8")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    path = tmp_path_factory.mktemp("configs") / CONFIG.name
    path.write_text(TEXT, encoding="utf-8")
    return load(path, CONFIG.name)


def point(setting: Setting, agreement: float, cost: int | None, size: int = 1000) -> Point:
    return Point(setting, setting.max_float_layers, agreement, cost, size)


def layers(number: int, agreement: float, cost: int) -> Point:
    return point(replace(NOW, max_float_layers=number), agreement, cost)


def found_of(points: tuple[Point, ...], **values: Any) -> TuningReport:
    told: dict[str, Any] = {
        "name": "m.w.bm1684",
        "measure": "agreement",
        "pictures": 32,
        "now": NOW,
        "points": points,
        "chosen": recommend(points, NOW),
        "rival": Rival("fp32", 218_000),
        "pairs": (PublishedPair("1b", 7.4, "fp32", 6.31), PublishedPair("4b", 4.75, None, None)),
        "accuracy": {points[0].setting: {"hard": 0.4, "easy": 0.8}},
        "onnx": {"hard": 0.5, "easy": 0.9},
        "same": {1: 0},
        "left_out": ("max_float_layers 1: no time left",),
        "paste": "",
    }
    return TuningReport(**{**told, **values})


# --- settings ------------------------------------------------------------------------------------------------


def test_the_axes_are_those_asked_for(model: Model) -> None:
    now = current(model, "bm1684", 100)
    assert now == NOW
    assert [s.max_float_layers for s in float_axis(now, 94)] == [0, 1, 2, 3, 5, 8, 12, 20]
    assert [s.max_float_layers for s in float_axis(replace(now, max_float_layers=7), 10)] == [0, 1, 2, 3, 5, 7, 8]
    assert {s.method for s in method_axis(now)} == {
        *("kl", "mse", "max", "percentile9999", "aciq_laplace", "aciq_gauss")
    }
    assert [s.pictures for s in picture_axis(now, 100, 8)] == [25, 50, 100]
    assert [s.pictures for s in picture_axis(now, 150, 30)] == [50, 100, 150]
    assert method_axis(Setting(3, "", 0)) == picture_axis(Setting(3, "", 0), 0, 8) == ()


def test_the_current_setting_is_the_same_model(model: Model) -> None:
    same = calibrated(model, NOW, 100)
    assert same.config == model.config
    other = calibrated(model, Setting(8, "max", 25), 100).config.calibration
    assert other is not None and other.images is not None
    assert (other.method, other.images.count, other.equalize) == ("max", 25, True)


@pytest.mark.parametrize(
    "wanted", [replace(NOW, max_float_layers=5), replace(NOW, method="kl"), Setting(0, "max", 50), NOW]
)
def test_what_is_pasted_is_valid_and_gives_the_setting(model: Model, wanted: Setting, tmp_path: Path) -> None:
    pasted = paste(model, "bm1684", NOW, wanted)
    sections = parse_yaml(pasted, "pasted").value if pasted else {}
    kept = {key: value for key, value in parse_yaml(TEXT, "config").value.items() if key not in sections}
    path = tmp_path / CONFIG.name
    path.write_text(flow(kept) + pasted)
    read = load(path, CONFIG.name)
    assert current(read, "bm1684", 100) == wanted
    assert all(line.count("\n") == 0 and ": {" in line for line in pasted.splitlines())
    assert [t for t in read.targets] == [t for t in model.targets]
    if not sections.get("calibration"):
        assert read.config.calibration == model.config.calibration
    assert current(read, "bm1688", 100).max_float_layers == 8, "other chips keep their layers"


# --- the choice ----------------------------------------------------------------------------------------------


def test_the_cheapest_that_is_as_good_as_the_best_is_taken() -> None:
    points = [layers(0, 0.90, 600), layers(3, 0.981, 650), layers(8, 0.985, 700), layers(12, 0.984, 720)]
    assert recommend(points, NOW).setting.max_float_layers == 3
    assert recommend(points[2:], NOW).setting.max_float_layers == 8


def test_equal_costs_change_as_little_as_possible_then_the_fewest_layers_then_agree_most() -> None:
    few, many = layers(5, 0.9854, 224_141), layers(20, 0.9873, 226_380)
    assert recommend([few, many, layers(8, 0.969, 226_563)], NOW) == few
    kl, mse, gauss = (
        point(replace(NOW, method=m), a, 1000) for m, a in (("kl", 0.98), ("mse", 0.977), ("max", 0.979))
    )
    assert recommend([kl, mse, gauss], NOW) == mse
    assert recommend([kl, gauss], NOW) == kl
    worse = point(replace(NOW, method="mse"), 0.98 - 2 * AGREEMENT_TOLERANCE, 1000)
    assert recommend([kl, worse], NOW) == kl


def test_layers_in_float_can_be_the_cheaper_ones() -> None:
    points = [layers(0, 0.886, 246_000), layers(8, 0.969, 226_000), layers(12, 0.981, 220_000)]
    assert recommend(points, NOW).setting.max_float_layers == 12
    assert [p.setting.max_float_layers for p in front(points)] == [12]


def test_without_a_cost_the_size_is_what_is_paid() -> None:
    points = [point(NOW, 0.98, None, 900), point(replace(NOW, max_float_layers=3), 0.98, None, 500)]
    assert recommend(points, NOW).size == 500


POINTS = st.lists(
    st.builds(layers, st.integers(0, 20), st.floats(0, 1).map(lambda a: round(a, 6)), st.integers(1_000, 2_000)),
    min_size=1,
    max_size=12,
    unique_by=lambda p: p.setting,
)


@given(POINTS)
def test_a_recommendation_is_never_far_from_the_best_nor_dear(points: list[Point]) -> None:
    chosen = recommend(points, NOW)
    best = max(p.agreement for p in points)
    good = [p for p in points if p.agreement >= best - AGREEMENT_TOLERANCE]
    assert chosen in good and chosen.price <= min(p.price for p in good) * (1 + SAME_COST)
    assert recommend(points[::-1], NOW) == chosen, "whatever their order"


@given(POINTS)
def test_no_point_beats_one_of_the_front(points: list[Point]) -> None:
    line = front(points)
    for kept in line:
        assert not [p for p in points if p.price <= kept.price and p.agreement > kept.agreement]
        assert not [p for p in points if p.price < kept.price and p.agreement >= kept.agreement]
    for other in set(points) - set(line):
        assert [k for k in line if k.price <= other.price and k.agreement >= other.agreement]


def test_time_is_the_price_where_it_is_known() -> None:
    slow, fast = (replace(layers(n, 0.9, cost), ms=ms) for n, cost, ms in ((2, 100, 2.0), (3, 200, 1.5)))
    assert (slow.price, fast.price, layers(2, 0.9, 100).price) == (2.0, 1.5, 100)
    assert recommend((slow, fast), slow.setting) == fast
    found = found_of((slow, fast), rival=Rival("fp32", 218_000, 4.0), now=slow.setting, chosen=fast)
    lines = markdown(found).splitlines()
    titles = [cell.strip() for cell in lines[0].strip("|").split("|")]
    times = [line.strip("|").split("|")[titles.index("ms")].strip() for line in lines[2:]]
    assert times == ["2", "1.5", "4", "–"]  # the settings, the float precision, ONNX
    said = recommendation(found, "configs/m.yaml")
    assert "agreement 0.9000 to 0.9000, 2 ms to 1.5 ms" in said
    assert "INT8 takes about 1.5 ms a picture, fp32 4 (INT8 is worth it)" in said
    assert figure(found).x_title == "estimated time of a picture on the chip (ms)"


# --- is INT8 worth it ----------------------------------------------------------------------------------------


def test_int8_that_is_no_faster_is_not_worth_it() -> None:
    slow = worth(layers(5, 0.98, 226_000), Rival("fp32", 218_000), (PublishedPair("1b", 7.4, "fp32", 6.31),))
    assert slow == (
        "INT8 costs 1.04 times what fp32 does (INT8 is not worth it: fp32 is as fast and needs no calibration)",
        "published for 1b: 7.40 ms a picture with INT8, 6.31 ms with fp32 "
        "(INT8 is not worth it: fp32 is faster and needs no calibration)",
    )
    assert worth(layers(5, 0.98, 600), Rival("fp16", 860), ()) == (
        "INT8 costs 0.70 times what fp16 does (INT8 is worth it)",
    )
    assert worth(layers(5, 0.98, 600), Rival("fp16", None), ()) == ()
    assert worth(layers(5, 0.98, 600), Rival("fp16", None), (PublishedPair("4b", 1.0, None, None),)) == (
        "published for 4b: 1.00 ms a picture with INT8, none with fp16",
    )


def test_published_times_are_compared_with_the_fastest_float(model: Model) -> None:
    times = {
        f"BM1684X/{model.name}_{k}.bmodel": v for k, v in {"fp32_1b": 3.8, "fp16_1b": 1.3, "int8_1b": 1.2}.items()
    }
    assert pairs(model, "bm1684x", times) == (PublishedPair("1b", 1.2, "fp16", 1.3),)
    assert pairs(model, "bm1684", times) == ()
    times = {f"BM1688/{model.name}_int8_4b_2core.bmodel": 2.08}
    assert pairs(model, "bm1688", times) == (PublishedPair("4b_2core", 2.08, None, None),)
    assert [float_precision(chip) for chip in ("bm1684", "bm1684x")] == ["fp32", "fp16"]


# --- what is shown -------------------------------------------------------------------------------------------


def test_the_table_has_a_row_for_each_setting_and_for_float() -> None:
    found = found_of((layers(0, 0.886, 246_530), layers(5, 0.985, 224_141), layers(8, 0.969, 226_563)))
    rows = [[cell.strip() for cell in line.strip("| \n").split("|")] for line in markdown(found).splitlines()]
    title = rows[0]
    assert title[:5] == ["max_float_layers", "in float", "method", "pictures", "agreement"]
    assert title[5:] == ["AP easy", "AP hard", "cost", "of fp32", "kB", "mark"]
    assert rows[2] == ["0, 1", "0", "mse", "100", "0.8860", "0.800", "0.400", "246 530", "1.13", "1", "–"]
    assert rows[3][-1] == "front, recommended" and rows[4][-1] == "current"
    assert rows[5][2] == "fp32" and rows[6][2] == "ONNX" and rows[6][5] == "0.900"


def test_without_ground_truth_there_is_no_column_for_it() -> None:
    text = markdown(found_of((layers(0, 0.9, 246),), onnx={}, accuracy={}))
    assert "AP" not in text and "ONNX" not in text


def test_the_summary_says_what_why_and_what_not() -> None:
    points = (layers(5, 0.985, 224_141), layers(8, 0.969, 226_563))
    text = recommendation(
        found_of(points, paste="quantization: {chips: {bm1684: {max_float_layers: 5}}}\n"), "configs/m.yaml"
    )
    assert "recommended: max_float_layers 5, mse, 100 pictures" in text
    assert "agreement 0.9690 to 0.9850, cost 226 563 to 224 141 cycles" in text
    assert "\nquantization: {chips: {bm1684: {max_float_layers: 5}}}\n" in text
    assert "not worth it" in text and "left out: max_float_layers 1: no time left" in text
    assert "every chip's" not in text
    assert "every chip's" in recommendation(found_of(points, paste="calibration: {}\n"), "configs/m.yaml")
    assert "the current setting stays" in recommendation(found_of(points[1:]), "configs/m.yaml")


def test_the_document_has_it_all() -> None:
    told = report_data(found_of((layers(0, 0.886, 246_530), layers(5, 0.985, 224_141))))
    assert told["recommended"] == {"max_float_layers": 5, "method": "mse", "pictures": 100}
    assert [p["ap"] for p in told["points"]] == [{"hard": 0.4, "easy": 0.8}, None]
    assert told["points"][1]["marks"] == ["front", "recommended"]


# --- the plot ------------------------------------------------------------------------------------------------

CROWD = tuple(
    point(setting, agreement, cost)
    for setting, agreement, cost in [
        *((replace(NOW, max_float_layers=n), 0.97 + n / 1000, 226_000 + 200 * n) for n in (0, 2, 3, 5, 8, 12, 20)),
        *((replace(NOW, method=m), 0.97 + i / 5000, 227_600) for i, m in enumerate(("kl", "max", "aciq_gauss"))),
        *((replace(NOW, pictures=n), 0.9701, 227_600) for n in (25, 50)),
    ]
)


def test_no_text_lies_on_another_or_outside() -> None:
    shown = figure(found_of(CROWD))
    boxes = []
    for label in shown.labels:
        lines = label.text.split("\n")
        half = max(map(len, lines)) * GLYPH[0] / 2, len(lines) * GLYPH[1] / 2
        boxes.append((label.at[0] - half[0], label.at[1] - half[1], label.at[0] + half[0], label.at[1] + half[1]))
    assert all(x0 >= 0 and y0 >= 0 and x1 <= WIDTH and y1 <= HEIGHT for x0, y0, x1, y1 in boxes)
    for index, (x0, y0, x1, y1) in enumerate(boxes):
        for u0, v0, u1, v1 in boxes[index + 1 :]:
            assert x1 <= u0 or u1 <= x0 or y1 <= v0 or v1 <= y0
        for mark in shown.marks:
            x, y = shown.pixel(mark.x, mark.y)
            assert not (x0 < x < x1 and y0 < y < y1), "no text on a point"


def test_the_figure_marks_current_recommended_front_and_float() -> None:
    shown = figure(found_of((layers(0, 0.886, 210_000), layers(5, 0.985, 224_141), layers(8, 0.969, 226_563))))
    assert [mark.kind for mark in shown.marks] == ["on the front", "recommended", "current", "float"]
    assert {mark.kind for mark in shown.marks} <= set(MARK_STYLES)
    assert shown.marks[1].text == "5 float\nrecommended" and shown.marks[3].text == "fp32, nothing in INT8"
    assert "cycles" in shown.x_title and "32 pictures" in shown.y_title
    assert shown.data(shown.pixel(215_000, 0.9)) == pytest.approx((215_000, 0.9))


def test_one_point_alone_is_drawn(tmp_path: Path) -> None:
    shown = figure(found_of((layers(8, 0.9, 0),), rival=Rival("fp32", None)))
    write_html(shown, tmp_path / "a.html")
    write_html(shown, tmp_path / "b.html")
    assert (tmp_path / "a.html").read_bytes() == (tmp_path / "b.html").read_bytes()


def test_a_text_without_room_goes_where_it_covers_least() -> None:
    labels = place_labels([(5.0, 5.0), (6.0, 5.0)], ["a long text", ""], [], (20, 20), (6, 10))
    assert [label.text for label in labels] == ["a long text", ""]


# --- time ----------------------------------------------------------------------------------------------------


def test_what_comes_from_the_store_says_nothing_about_the_rest() -> None:
    now = [0.0]
    pace = Pace(100, 2, lambda: now[0])
    pace.expect(5)
    assert pace.finish(0.1) == "1/5" and not pace.over()
    assert pace.finish(40) == "2/5, about 60 s left"
    assert pace.finish(80) == "3/5, about 60 s left"
    now[0] = 10
    assert not pace.over()
    now[0] = 21
    assert pace.over(), "another one of 80 s would end after 100 s"
    pace.expect(10, weight=3)
    assert pace.finish(180, weight=3) == "4/15, about 14 min left", "29 of 60 s each, two at a time"
    now[0] = 0
    assert not pace.over() and pace.over(weight=2)
