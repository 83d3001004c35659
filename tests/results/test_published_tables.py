"""Tables of published figures: what is read, what is left out and said."""

from pathlib import Path

import pytest
from conftest import Project

from bmzoo.errors import SourceError
from bmzoo.results.reference import TABLES, PublishedRow, read_table, reference

ACCURACY = (
    "platform,program,bmodel,widerface_easy_ap_percent\n"
    "BM1688 SoC,retinaface_opencv.py,m_int8_1b.bmodel,86.2\n"
    "BM1688 SoC,retinaface_bmcv.py,m_int8_1b.bmodel,86.5\n"
    "SRM1-20,retinaface_opencv.py,m_int8_1b.bmodel,88.0\n"
)
PROGRAMS = "platform,program,bmodel,infer_ms_per_image,qps\nBM1688 SoC,a_bmcv.py,m_int8_1b.bmodel,3.7,269\n"
LATENCY = "sophon_demo_bmrt_latency.csv"
BESIDE = {
    "sophon_demo_accuracy.csv": ACCURACY,
    LATENCY: "bmodel,ms_per_image\nBM1688/m_int8_1b.bmodel,4.37\n",
    "sophon_demo_program_latency.csv": PROGRAMS,
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "figures"
    place.mkdir()
    for name, text in BESIDE.items():
        (place / name).write_text(text)
    return place


def test_published_tables_are_read(project: Project, folder: Path) -> None:
    found = reference(project.open(), folder)
    assert found.milliseconds == {"BM1688/m_int8_1b.bmodel": 4.37} and found.problems == ()
    assert found.easy_percent == {"BM1688/m_int8_1b.bmodel": 86.2, "SRM1-20/m_int8_1b.bmodel": 88.0}
    assert [(one.chip, one.program, one.values) for one in found.accuracy] == [
        ("bm1688", "retinaface_opencv.py", (86.2,)),
        ("bm1688", "retinaface_bmcv.py", (86.5,)),
        ("", "retinaface_opencv.py", (88.0,)),
    ]
    assert found.programs[0].values == (3.7, 269.0)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("bmodel,ms_per_image\nx,1\ny,fast\n", "3: not a number from 0 to 1e+06: fast: left out"),
        ("bmodel,ms_per_image\nx,1\ny,nan\n", "3: not a number"),
        ("bmodel,ms_per_image\nx,1\ny\n", "3: not a number"),
        ("bmodel,ms_per_image\nx,1\n ,2\n", "3: bmodel is empty"),
        ("bmodel,ms_per_image\nx,1\nx,2\n", "3: there twice: x"),
    ],
)
def test_a_bad_row_is_left_out_and_said_and_the_others_are_read(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / LATENCY).write_text(text)
    problems: list[str] = []
    assert read_table(tmp_path / LATENCY, problems) == [PublishedRow(("x",), (1.0,))]
    assert len(problems) == 1 and said in problems[0] and LATENCY in problems[0]


@pytest.mark.parametrize(
    ("text", "said"), [("bmodel,ms\nx,1\n", "missing column: ms_per_image"), ("", "missing column: bmodel")]
)
def test_what_is_no_such_table_is_refused(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / LATENCY).write_text(text)
    with pytest.raises(SourceError) as caught:
        read_table(tmp_path / LATENCY, [])
    assert said in caught.value.message


def test_a_damaged_table_is_said_and_the_others_are_read(project: Project, folder: Path) -> None:
    (folder / LATENCY).write_bytes(b"\xff\xfe")
    found = reference(project.open(), folder)
    assert found.milliseconds == {} and len(found.accuracy) == 3
    assert len(found.problems) == 1 and "cannot be read" in found.problems[0]
    assert project.report.warnings == list(found.problems)


def test_a_folder_without_any_table_is_refused(project: Project) -> None:
    with pytest.raises(SourceError) as caught:
        reference(project.open(), project.root)
    assert "no table of published figures in it" in caught.value.message and LATENCY in str(caught.value.hint)


def test_the_published_tables_of_this_workplace_can_be_read() -> None:
    folder = Path(__file__).parents[3] / "shared" / "reference"
    if not folder.is_dir():
        pytest.skip("no published figures here")
    problems: list[str] = []
    assert [len(read_table(folder / name, problems)) > 14 for name in TABLES] == [True] * 3
    assert problems == []
