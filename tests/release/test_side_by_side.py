"""The published tables with ours beside them: rows, cells without a figure and why, both languages."""

import re

import pytest

from bmzoo.measure.latency import Latency, NoLatency
from bmzoo.release.side_by_side import BesideTable, Known, flavour_of, float_file, sides
from bmzoo.release.side_by_side_page import LANGUAGES, page
from bmzoo.release.side_by_side_words import PAGE_WORDS
from bmzoo.results.reference import ProgramFigures, Published
from bmzoo.results.sized import Sized
from bmzoo.target import Target

FP32, INT8, OLD = "BM1688/m_fp32_1b.bmodel", "BM1688/m_int8_4b.bmodel", "BM1684/m_int8_1b.bmodel"
PUBLISHED = Published(
    {INT8: 3.17, "BM1684X/m_int8_1b.bmodel": 1.22},
    (
        ProgramFigures("BM1688 SoC", "retinaface_bmcv.py", "m_fp32_1b.bmodel", (89.3,)),
        ProgramFigures("BM1688 SoC", "retinaface_bmcv.py", "m_int8_4b.bmodel", (86.5,)),
        ProgramFigures("SRM1-20", "retinaface_bmcv.py", "m_int8_4b.bmodel", (87.8,)),
    ),
    (ProgramFigures("BM1688 SoC", "retinaface_opencv.py", "m_int8_4b.bmodel", (8.43, 118.6)),),
)
KNOWN = Known(
    (FP32, INT8, OLD),
    {(INT8, "bmcv"): (0.861, 0.891), (FP32, "opencv"): (0.9, 0.9)},
    {INT8: Latency(3.0, 2.0, 5.0), OLD: NoLatency("no profile")},
    {INT8: 3.3},
    {"": {"preprocess": 1.5, "inference": 20.0, "postprocess": 0.7}},
    (
        Sized(Target("m", "bm1688", "int8", 4), (320, 416), Latency(0.5, 0.4, 0.8)),
        Sized(Target("m", "bm1684", "int8", 4), (320, 416), NoLatency("no profile")),
    ),
)


def table(title: str, known: Known = KNOWN, published: Published = PUBLISHED) -> BesideTable:
    return next(one for one in sides(known, published) if one.title == title)


def row(side: BesideTable, artifact: str, **where: str) -> dict[str, str]:
    """The cells of the only row of an artifact with these cells."""
    lines = [dict(zip(side.columns, cells, strict=True)) for cells in zip(*side.columns.values(), strict=True)]
    (one,) = [line for line in lines if artifact.endswith(line["artifact"]) and where.items() <= line.items()]
    return one


def reasons(side: BesideTable) -> dict[str, tuple[str, str]]:
    return {one.key: (one.values["first"], one.values["count"]) for one in side.reasons}


def test_accuracy_stands_beside_that_of_the_same_platform_and_pipeline() -> None:
    side = table("accuracy")
    both = row(side, INT8, platform="BM1688 SoC", program="retinaface_bmcv.py")
    assert both["published_easy"] == "86.5" and both["published_to_fp32"] == "-2.8"
    assert both["our_easy"] == "86.10" and both["our_to_onnx"] == "-3.00"
    ours = row(side, FP32, program="opencv")
    assert (ours["published_easy"], ours["our_easy"], ours["our_to_onnx"]) == ("", "90.00", "+0.00")
    assert reasons(side) == {
        "not_evaluated_bmcv": ("BM1688 SoC/m_fp32_1b.bmodel", "2"),
        "other_platform": ("SRM1-20/m_int8_4b.bmodel", "1"),
        "not_evaluated": ("BM1688/m_int8_4b.bmodel", "2"),
    }


def test_times_stand_beside_the_published_ones_or_say_why_not() -> None:
    side = table("latency")
    cells = row(side, INT8)
    assert cells["published_ms"] == "3.17" and cells["estimated_ms"] == "3" and cells["nine_in_ten"] == "2 - 5"
    assert cells["measured_ms"] == "3.30" and "no_card" not in [note.key for note in side.notes]
    assert reasons(side) == {
        "no_target": ("BM1684X/m_int8_1b.bmodel", "1"),
        "not_built": (FP32, "1"),
        "because": (OLD, "1"),
    }
    assert row(side, OLD)["estimated_ms"] == ""


def test_stages_are_those_of_the_program_whose_work_is_this_processors() -> None:
    side = table("stages")
    opencv = row(side, INT8, program="retinaface_opencv.py")
    assert (opencv["published_inference"], opencv["published_rate"]) == ("8.43", "118.6")
    assert (opencv["our_preprocess"], opencv["our_postprocess"]) == ("1.50", "0.70")
    assert (opencv["our_estimate"], opencv["our_inference"]) == ("3", "3.30")
    bmcv = row(side, INT8, program="bmcv")
    assert (bmcv["our_preprocess"], bmcv["our_postprocess"]) == ("", "")


def test_scaling_counts_pictures_and_runs_in_a_second() -> None:
    side = table("scaling")
    assert {key: list(cells) for key, cells in side.columns.items()} == {
        "size": ["320x416"],
        "target": ["bm1688_int8_4b"],
        "batch": ["4"],
        "estimated_ms": ["0.5"],
        "nine_in_ten": ["0.4 - 0.8"],
        "pictures_per_second": ["2000"],
        "runs_per_second": ["500"],
    }
    assert reasons(side) == {"because": ("bm1684_int8_4b 320x416", "1")}


def test_a_page_in_each_language_says_the_same_figures() -> None:
    pages = [page("m", sides(KNOWN, PUBLISHED), ["a.csv:3: <b>"], words) for words in LANGUAGES.values()]
    figures = [re.findall(r"\d+\.\d+", text.partition("\n## ")[2]) for text in pages]
    assert figures[0] == figures[1] and "86.10" in figures[0]
    assert "## Accuracy by platform and pipeline" in pages[0] and "## 各平台、各流程的精度" in pages[1]
    assert all(r"\<b\>" in text for text in pages), "text from a file is no markup"
    assert "no estimate: no profile." in pages[0] and "没有估计值：no profile。" in pages[1]


def test_without_published_figures_their_columns_are_left_out_and_that_is_said() -> None:
    text = page("m", sides(KNOWN, Published()), [], LANGUAGES[""])
    assert "| published" not in text and text.count("There are no published figures here") == 3
    nothing = page("m", sides(Known(), Published()), [], LANGUAGES[""])
    assert "|" not in nothing and "Nothing is compiled for other sizes yet" in nothing


@pytest.mark.parametrize("key", PAGE_WORDS)
def test_every_sentence_takes_the_same_words_in_both_languages(key: str) -> None:
    english, chinese = PAGE_WORDS[key]
    assert sorted(re.findall(r"\{\w+\}", english)) == sorted(re.findall(r"\{\w+\}", chinese))
    assert english and chinese and re.findall(r"`[^`]+`", english) == re.findall(r"`[^`]+`", chinese)


def test_names_of_programs_and_files_say_what_they_are() -> None:
    assert [flavour_of(name) for name in ("retinaface_bmcv.soc", "a_opencv.py", "x")] == ["bmcv", "opencv", ""]
    assert float_file("m_int8_4b_2core.bmodel") == "m_fp32_1b.bmodel"
