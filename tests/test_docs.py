"""What the pages say is so: links, tasks, paths, messages, the map of the architecture."""

import re
from fnmatch import fnmatch
from pathlib import Path

import pytest
from pages import PAGES, ROOT, anchor, blocks, commands, headings, links, prose, tasks, text_of
from test_imports import LAYERS

from bmzoo.config.model import load

# Words after which a task takes whatever follows.
TAKES_WORDS = {"attest", "detect", "diff", "new", "plan", "report", "tables", "upgrade", "why-slow"}
DOIT = {"list", "clean", "help", "info"}
# What an example calls a model of the reader's.
EXAMPLES = ("slim_320.", "mine.")
PATH = re.compile(
    r"(?<![\w/.$-])((?:bmzoo|configs|docs|tools|tests|bench|models|calibration|qtables|\.github|\.ci)/[\w./*-]*|"
    r"dodo\.py|requirements[\w-]*\.(?:in|lock)|pyproject\.toml)"
)
NOT_HERE = {"configs/zoo.yaml", "configs/mine.yaml"}


def test_the_pages_are_found() -> None:
    assert {"README.md", "README.zh-CN.md", "CONTRIBUTING.md", "CHANGELOG.md", "docs/config.md"} <= set(PAGES)


@pytest.mark.parametrize("page", PAGES)
def test_every_link_leads_somewhere(page: str) -> None:
    for link in links(text_of(page)):
        if re.match(r"https?://", link):
            continue
        name, _, part = link.partition("#")
        target = (ROOT / page).parent / name if name else ROOT / page
        assert target.exists(), link
        if part:
            there = [anchor(title) for _, title in headings(target.read_text(encoding="utf-8"))]
            assert part in there, link


@pytest.mark.parametrize("page", ["README.md", "README.zh-CN.md"])
def test_every_page_is_reached_from_the_readme(page: str) -> None:
    reached = {link.partition("#")[0] for link in links(text_of(page))}
    assert {name for name in PAGES if not name.startswith("README")} <= reached


@pytest.mark.parametrize("page", PAGES)
def test_every_task_named_is_there(page: str) -> None:
    for words in commands(text_of(page)):
        named = [word for word in words if not word.startswith("-") and "=" not in word and not word.isdigit()]
        if named[:1] == ["list"] or not named:
            continue
        named = named[1:] if named[0] in DOIT else named
        named = named[:1] if named[0] in TAKES_WORDS else named
        for word in named:
            name = word.partition(":")[2]
            if name.isupper():  # TARGET, CHIP
                assert any(task.startswith(f"{word.partition(':')[0]}:") for task in tasks()), word
            elif name.startswith(EXAMPLES) or word.isupper():
                assert word.isupper() or word.partition(":")[0] in tasks(), word
            else:
                assert any(fnmatch(task, word) for task in tasks()), word


def test_the_page_of_tasks_names_all_of_them() -> None:
    page = text_of("docs/tasks.md")
    told = {words[0].partition(":")[0] for words in commands(page) if words}
    assert {task for task in tasks() if ":" not in task} - told == set()


def test_the_page_of_tasks_names_every_environment_variable() -> None:
    sources = [*ROOT.glob("bmzoo/**/*.py"), ROOT / "doit", ROOT / "tools/bootstrap.py"]
    read = {name for path in sources for name in re.findall(r"BMZOO_[A-Z_]+[A-Z]|TPUC_ROOT", path.read_text())}
    assert len(read) > 5
    assert [name for name in sorted(read) if f"`{name}`" not in text_of("docs/tasks.md")] == []


@pytest.mark.parametrize("page", [page for page in PAGES if page != "docs/config.md"])
def test_every_path_named_exists(page: str) -> None:
    text = text_of(page)
    code = [*re.findall(r"`([^`\n]+)`", prose(text)), *(content for _, content in blocks(text))]
    named = {path for part in code for path in PATH.findall(part)}
    for path in named - NOT_HERE:
        assert any(ROOT.glob(path.rstrip("/."))), path


@pytest.mark.parametrize("page", ["README.md", "docs/config.md"])
def test_the_example_config_is_valid(page: str, tmp_path: Path) -> None:
    example = next(content for language, content in blocks(text_of(page)) if language == "yaml")
    path = tmp_path / "mine.yaml"
    path.write_text(example.replace("<sha256sum of the file>", "a" * 64))
    model = load(path, "mine.yaml")
    assert len(model.targets) >= 8
    assert model.config.weights[0].file == "model.onnx"


def test_the_map_holds_every_package_in_the_order_of_the_layers() -> None:
    page = text_of("docs/architecture.md")
    (drawn,) = (content for language, content in blocks(page) if language == "mermaid")
    boxes = re.findall(r"subgraph (\w+)\[.*?\]\n    direction LR\n(.*?)\n  end", drawn, re.DOTALL)
    assert [name for _, inside in boxes for name in re.findall(r"\w+", inside)] == [*reversed(LAYERS)]
    assert drawn.rstrip().endswith(" --> ".join(name for name, _ in boxes)), "the boxes, joined from top to bottom"


def test_the_table_below_the_map_says_what_every_package_is() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (.+?) \|", text_of("docs/architecture.md"), re.MULTILINE)
    assert [name for name, _ in rows] == [*reversed(LAYERS)]


def test_what_is_added_touches_at_most_two_files() -> None:
    rows = re.findall(r"^\| an? (.+?) \| (.+) \|$", text_of("docs/architecture.md"), re.MULTILINE)
    wanted = {"decoder", "chip", "data set", "search method", "command inside steps", "engine", "task"}
    assert wanted <= {name for name, _ in rows}
    for name, touched in rows:
        assert 1 <= len(re.findall(r"`[^`]+/?`", touched)) <= 2, name


def test_the_messages_that_are_explained_are_said() -> None:
    sources = [*ROOT.glob("bmzoo/**/*.py"), ROOT / "doit", ROOT / "tools/bootstrap.py"]
    said = re.sub(r'"\n\s*f?"', "", "\n".join(path.read_text() for path in sources))
    messages = re.findall(r"^\| ([^`|]+?) \| .+ \|$", text_of("docs/failures.md"), re.MULTILINE)
    messages = [message for message in messages if message not in ("path", "message", "---")]
    assert len(messages) > 10
    assert [message for message in messages if message not in said] == []
