"""People see the names that their model came with, and may use them in tables."""

import json

import onnx
import pytest
from conftest import Project

from bmzoo.commands.check_tables import renamed_line
from bmzoo.measure.given_names import as_given
from bmzoo.system.hashing import sha256

ODD = {"x": "in put:0", "c": "c ö", "r": "r 1", "y": "ausgäng 0"}


@pytest.fixture
def odd(project: Project) -> Project:
    """The project with names that a table cannot hold."""
    path = project.data / "model.onnx"
    before, model = sha256(path), onnx.load(str(path))
    for node in model.graph.node:
        for names in (node.input, node.output):
            names[:] = [ODD.get(name, name) for name in names]
    for port in (*model.graph.input, *model.graph.output):
        port.name = ODD[port.name]
    onnx.save(model, str(path))
    project.edit(before, sha256(path))
    return project


def test_figures_have_the_names_that_the_model_came_with(odd: Project) -> None:
    odd.build("bm1688_int8_2b")
    told = json.loads((odd.root / "build/BM1688/tiny_int8_2b.json").read_text())
    assert list(told["verdict"]["tensors"]) == ["ausgäng 0"]


def test_tables_by_hand_may_have_them_too(odd: Project) -> None:
    rows = ["# op_name threshold min max", *(f"{name} 2.5 -2.5 2.5" for name in (*ODD.values(), "c__"))]
    table = odd.data / "hand.table"
    table.write_text("\n".join(rows[:-1]) + "\n")
    odd.edit("{images: {folder: pictures/calibration}, minimum: 2}", "{table: hand.table}")
    odd.build("bm1688_int8_1b")
    assert table.read_text() == "\n".join(rows[:-1]) + "\n"
    table.write_text("in put:1 2.5 -2.5 2.5\n")
    with pytest.raises(
        Exception, match=r"^hand\.table:1: in: a row is `name threshold min max`, this one has 5 columns"
    ):
        odd.build("bm1688_int8_1b")


GIVEN = {"a_b": "a b", "a_b_2": "a:b", "ab": "a"}


@pytest.mark.parametrize(
    ("before", "now"),
    [
        ("a b 1 -1 1", "a_b 1 -1 1"),
        ("a b_Conv 1 -1 1", "a_b_Conv 1 -1 1"),
        ("a:b_Relu F32", "a_b_2_Relu F32"),
        ("a_b_Conv 1", "a_b_Conv 1"),
        ("# a b 1", "# a b 1"),
        ("", ""),
        ("other 1 2 3", "other 1 2 3"),
    ],
)
def test_a_line_of_a_table(before: str, now: str) -> None:
    assert renamed_line(before, GIVEN, {"a_b_Conv"}) == now


def test_names_that_the_compiler_made_of_them() -> None:
    assert as_given("a_b", GIVEN) == "a b" and as_given("a_b_Conv", GIVEN) == "a b_Conv"
    assert as_given("a_b_2_Relu", GIVEN) == "a:b_Relu" and as_given("c", GIVEN) == "c"
