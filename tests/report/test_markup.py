"""HTML that is text unless `tag` made it."""

import ast
import json
from pathlib import Path

import pytest
from report_samples import HOSTILE, read_page

from bmzoo.report.markup import data_script, joined, own_code, page, tag

ROOT = Path(__file__).parents[2]
PACKAGE = sorted((ROOT / "bmzoo" / "report").glob("*.py"))


def test_a_text_stays_a_text_wherever_it_stands() -> None:
    made = page(HOSTILE, tag("meta", name=HOSTILE), tag("p", HOSTILE, title=HOSTILE, data_x=HOSTILE))
    tree = read_page(made)
    assert tree.one("title").text == tree.one("p").text == HOSTILE
    assert tree.one("p").attributes == {"title": HOSTILE, "data-x": HOSTILE}
    assert tree.all("img") == [] and tree.all("script") == []


def test_elements_go_into_elements_as_they_are() -> None:
    assert tag("p", "a<b", tag("b", "c"), None) == "<p>a&lt;b<b>c</b></p>"
    assert joined("&", tag("wbr")) == "&amp;<wbr>"
    # Text that looks like what `tag` makes is still text.
    assert tag("p", str(tag("b", "c"))[:]) == "<p>&lt;b&gt;c&lt;/b&gt;</p>"


def test_attributes_are_left_out_bare_or_quoted() -> None:
    made = tag("option", "x", class_=None, hidden=False, selected=True, data_in_name="y", value=1.5)
    assert made == '<option selected data-in-name="y" value="1.5">x</option>'


@pytest.mark.parametrize(
    ("bad", "shown"), [("a\x00b", r"a\x00b"), ("\x1b[31m", r"\x1b[31m"), ("\udc80", r"\udc80")]
)
def test_what_no_page_can_hold_is_spelled_out(bad: str, shown: str) -> None:
    made = tag("p", bad, title=bad)
    assert made == f'<p title="{shown}">{shown}</p>'
    made.encode("utf-8")


def test_data_cannot_end_its_element() -> None:
    value = {HOSTILE: [HOSTILE, None, 1.5, "\u2028"]}
    element = read_page(data_script("data", value)).one("script")
    assert json.loads(element.text) == value and "<" not in element.text
    with pytest.raises(ValueError, match="not JSON compliant"):
        data_script("data", {"x": float("nan")})


def test_own_code_is_refused_where_it_would_end_its_element() -> None:
    assert own_code("style", "a > b {}") == "<style>a > b {}</style>"
    for bad in ("x</STYLE>", "<!--"):
        with pytest.raises(ValueError, match="would end the element"):
            own_code("style", bad)


@pytest.mark.parametrize("path", PACKAGE, ids=lambda path: path.name)
def test_markup_is_made_in_one_place(path: Path) -> None:
    calls = [n for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.Call)]
    made = {ast.unparse(call.func) for call in calls} & {"Markup", "own_code"}
    allowed = {"markup.py": {"Markup"}, "index_page.py": {"own_code"}}
    assert made == allowed.get(path.name, set())


def test_the_script_makes_no_markup_of_texts_and_asks_no_other_machine() -> None:
    for name in ("report.js", "report.css"):
        text = (ROOT / "bmzoo" / "report" / "assets" / name).read_text()
        for word in (
            "innerHTML",
            "outerHTML",
            "insertAdjacent",
            "document.write",
            "eval(",
            "fetch(",
            "import",
            "//cdn",
        ):
            assert word not in text, (name, word)
        assert [line for line in text.splitlines() if "http" in line and "www.w3.org/2000/svg" not in line] == []
