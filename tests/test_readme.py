"""README.md and README.zh-CN.md: short, and in step with each other. What they say is checked in test_docs.py."""

import re
import shutil
import subprocess

import pytest
from pages import ROOT, blocks, commands, headings, links, prose, text_of

ENGLISH, CHINESE = text_of("README.md"), text_of("README.zh-CN.md")


@pytest.mark.parametrize("text", [ENGLISH, CHINESE])
def test_the_readme_is_short(text: str) -> None:
    assert len(text.splitlines()) <= 120


def test_both_languages_have_the_same_commands_headings_and_links() -> None:
    assert len(blocks(ENGLISH)) >= 6 and blocks(ENGLISH) == blocks(CHINESE)
    assert commands(ENGLISH) == commands(CHINESE)
    assert [level for level, _ in headings(ENGLISH)] == [level for level, _ in headings(CHINESE)]
    assert set(links(ENGLISH)) ^ set(links(CHINESE)) == {"README.md", "README.zh-CN.md"}, "each leads to the other"


def test_numbers_are_the_same_in_both_languages() -> None:
    found = [re.findall(r"\d+(?:\.\d+)+", prose(text)) for text in (ENGLISH, CHINESE)]
    assert set(found[0]) == set(found[1]) and len(found[0]) > 5


def test_the_first_command_is_the_smallest_that_shows_everything() -> None:
    assert commands(ENGLISH)[0] == ["build:bm1688_int8_4b_2core"]


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_nothing_large_and_no_model_from_outside_is_committed() -> None:
    listed = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    for name in listed:
        path = ROOT / name
        assert not path.is_file() or path.stat().st_size < 3_000_000, name
        assert path.suffix not in (".pth", ".jpg", ".jpeg", ".caffemodel"), name
