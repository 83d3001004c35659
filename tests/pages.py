"""The project's Markdown, and what can be read off it."""

import re
import subprocess
import sys
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted(
    str(path.relative_to(ROOT))
    for pattern in ("*.md", "docs/*.md", "bench/*.md", "models/**/*.md")
    for path in ROOT.glob(pattern)
)


@cache
def text_of(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def blocks(text: str) -> list[tuple[str, str]]:
    """Language and content of every fenced block."""
    return re.findall(r"^```(\w*)\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


def prose(text: str) -> str:
    """The text without fenced blocks and comments."""
    return re.sub(r"^```.*?^```$|<!--.*?-->", "", text, flags=re.DOTALL | re.MULTILINE)


def headings(text: str) -> list[tuple[int, str]]:
    """Level and text of every heading."""
    return [(len(marks), title) for marks, title in re.findall(r"^(#+) (.+)$", prose(text), re.MULTILINE)]


def anchor(title: str) -> str:
    """What GitHub makes of a heading."""
    plain = title.replace("&lt;", "<").replace("&gt;", ">").replace("`", "").lower()
    return re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")


def links(text: str) -> list[str]:
    return re.findall(r"\]\(([^)\s]+)\)", prose(text))


def commands(text: str) -> list[list[str]]:
    """Words after `./doit`, in fenced blocks and in code within a line."""
    shell = [content for language, content in blocks(text) if language == "sh"]
    inline = re.findall(r"`(\./doit[^`]*)`", prose(text))
    lines = [line.partition("  #")[0] for part in (*shell, *inline) for line in part.splitlines()]
    found = (re.match(r"\./doit(?: (.*))?$", line.replace("\\|", "|").strip()) for line in lines)
    return [[word.strip("'\",;") for word in (match[1] or "").split()] for match in found if match]


@cache
def tasks() -> frozenset[str]:
    """Every task and target, as doit lists them."""
    listing = subprocess.run(
        [sys.executable, "-m", "doit", "list", "--all", "--quiet"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return frozenset(listing.stdout.split())
