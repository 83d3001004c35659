"""Texts from tools and file names, as they come to CI systems, to Markdown, to JSON and to terminals."""

import io
import json
import xml.etree.ElementTree as ET

import pytest

from bmzoo.errors import BmzooError, legible
from bmzoo.release.diff import Change, Comparison
from bmzoo.release.diff_report import comparison_json
from bmzoo.system import markdown
from bmzoo.system.junit import SILENT, junit_xml
from bmzoo.tasks.actions.doctor import Finding
from bmzoo.tasks.progress import Progress

ODD = {
    "escape": "\x1b[31mred\x1b[0m",
    "bell and null": "a\x07b\x00c",
    "C1": "a\x9bb\x85c",
    "delete": "a\x7fb",
    "form feed and vertical tab": "a\x0cb\x0bc",
    "carriage return": "50%\r100%",
    "lone surrogate": "a\udcffb\ud800c",
    "no characters": "a\ufffeb\uffffc",
    "direction": "a\u202eb\u2066c",
    "markup": "<a href='x'>&amp;]]>",
    "letters": "ü 写 🙂 \u00a0",
}
UNFIT = set(map(chr, [*range(9), *range(11, 32), 127, 0x85, 0x9B, 0x202E, 0x2066, 0xFFFE, 0xFFFF])) | {
    "\ud800",
}


@pytest.mark.parametrize("name", ODD)
def test_any_text_gives_xml_that_can_be_read(name: str) -> None:
    text = f"first {ODD[name]}\nsecond {ODD[name]}"
    written = junit_xml(f"suite {ODD[name]}", {f"case {ODD[name]}": text, "good": None})
    root = ET.fromstring(written.encode("utf-8"))  # noqa: S314  # our own
    failure = root.find("testcase/failure")
    assert failure is not None and failure.text == legible(text).strip()
    assert failure.get("message") == legible(text).splitlines()[0]
    assert root.get("tests") == "2" and root.get("failures") == "1"
    assert not UNFIT & set(written)


@pytest.mark.parametrize("text", ["", "\n", "  \n\n ", "\r\n"])
def test_a_failure_without_a_message_is_a_failure_still(text: str) -> None:
    root = ET.fromstring(junit_xml("suite", {"case": text}))  # noqa: S314
    failure = root.find("testcase/failure")
    assert failure is not None and failure.get("message") == failure.text == SILENT


def test_the_message_is_the_first_line_that_says_something() -> None:
    root = ET.fromstring(junit_xml("suite", {"case": "\n\n  what\nhint: why\n"}))  # noqa: S314
    failure = root.find("testcase/failure")
    assert failure is not None and (failure.get("message"), failure.text) == ("what", "what\nhint: why")


@pytest.mark.parametrize("name", ODD)
def test_nothing_that_moves_a_cursor_comes_to_a_terminal(name: str) -> None:
    out = io.StringIO()
    progress = Progress(out)
    progress.say(ODD[name])
    progress.warn(ODD[name])
    shown = [
        out.getvalue(),
        BmzooError(ODD[name], ODD[name]).render(),
        str(Finding("what", ODD[name], fix=ODD[name])),
    ]
    for text in shown:
        assert not UNFIT & set(text)
        text.encode("utf-8")


@pytest.mark.parametrize("name", ODD)
def test_markdown_has_one_line_for_each_cell(name: str) -> None:
    for made in (markdown.code, markdown.plain):
        text = made(f"a {ODD[name]}\nb\r\nc")
        assert "\n" not in text and not UNFIT & set(text)
    assert markdown.code("a  b/c.bmodel") == "`a  b/c.bmodel`"


def test_json_keeps_every_text() -> None:
    for text in ODD.values():
        change = Change(target=text, figure=text, old="", new=text, change="", allowed="", regression=True)
        written = comparison_json(Comparison((change,), (text,), (), (), ()), text, text)
        assert json.loads(written.encode("utf-8"))["changes"][0]["new"] == text


def test_an_error_without_a_text_says_its_kind() -> None:
    assert BmzooError("").render() == "BmzooError without a message"
    assert legible("a\r\nb\tc") == "a\nb\tc"
