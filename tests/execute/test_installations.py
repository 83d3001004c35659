"""Other installations: asked once what they know, failures of the installing script in its own words."""

import json
from pathlib import Path

import pytest

from bmzoo.config.model import load_all
from bmzoo.errors import ToolFailed
from bmzoo.execute.dialect import translated
from bmzoo.execute.installations import SCRIPT, Provenance, install, knowing, provenance
from bmzoo.execute.layout import Layout
from bmzoo.execute.toolchain import Installation, find_installation
from bmzoo.plan.build import recipe
from bmzoo.system.hashing import Digests

ROOT = Path(__file__).resolve().parents[2]
TOOL = """\
import argparse, pathlib
with (pathlib.Path(__file__).parent / "asked").open("a") as asked: asked.write("once ")
parser = argparse.ArgumentParser()
parser.add_argument("--a_flag_with_a_name_so_long_that_a_line_would_be_broken_after_it", choices=["one", "two"])
parser.add_argument("--chip", "--processor", required=True, choices=["bm1684", "bm1688"], help="of --them")
parser.parse_args()
"""


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(tmp_path / "zoo")


@pytest.fixture
def installation(layout: Layout) -> Installation:
    root = layout.toolchain("1.22.3") / "tpu_mlir"
    (root / "python/tools").mkdir(parents=True)
    (root / "python/tools/run_qtable.py").write_text(TOOL)
    return Installation(root, "1.22.3", external=True)


def script(layout: Layout, text: str) -> None:
    path = layout.root / SCRIPT
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_tools_are_asked_once_and_again_when_they_change(layout: Layout, installation: Installation) -> None:
    asked = installation.root / "python/tools/asked"
    for _ in range(2):
        knows = knowing(installation, layout, Digests(layout.memory)).knows
        assert knows is not None and asked.read_text() == "once "
        assert knows.tools.keys() == {"run_qtable.py"}
        flags = knows.tools["run_qtable.py"]
        assert flags["--chip"] == flags["--processor"] == ("bm1684", "bm1688")
        assert set(flags) - {"-h", "--help", "--chip", "--processor"} == {
            "--a_flag_with_a_name_so_long_that_a_line_would_be_broken_after_it"
        }
    assert layout.capabilities("1.22.3").name == "1.22.3.json"
    (installation.root / "python/tools/run_qtable.py").write_text(TOOL.replace('"bm1684", ', ""))
    knows = knowing(installation, layout, Digests(layout.memory)).knows
    assert knows is not None and knows.tools["run_qtable.py"]["--chip"] == ("bm1688",)
    layout.capabilities("1.22.3").write_text("[]")
    assert knowing(installation, layout, Digests(layout.memory)).knows == knows


def test_an_installation_that_does_not_run_is_said_with_its_cause(
    layout: Layout, installation: Installation
) -> None:
    (installation.root / "python/tools/run_qtable.py").write_text("import not_there_at_all\n")
    with pytest.raises(ToolFailed) as caught:
        knowing(installation, layout, Digests(layout.memory))
    assert caught.value.message.startswith("TPU-MLIR 1.22.3 does not run here: run_qtable.py: ")
    assert "not_there_at_all" in caught.value.message
    assert Path(caught.value.hint.removeprefix("log: ")).is_file()


def test_the_script_installs_what_is_not_there_and_its_last_words_are_the_error(layout: Layout) -> None:
    script(layout, f"import sys, pathlib\n(pathlib.Path({str(layout.root)!r}) / sys.argv[1]).touch()\n")
    assert install(layout, "1.26", {}) == Installation(layout.toolchain("1.26") / "tpu_mlir", "1.26", external=True)
    assert (layout.root / "1.26").is_file()
    said = "bmzoo: installing\nbmzoo: the package index has no TPU-MLIR 1.29\nhint: near it there are: 1.28.1"
    script(layout, f"import sys\nsys.stderr.write({said!r})\nsys.exit(1)\n")
    with pytest.raises(ToolFailed) as caught:
        install(layout, "1.29", {})
    assert (caught.value.message, caught.value.hint) == (
        "the package index has no TPU-MLIR 1.29",
        "near it there are: 1.28.1",
    )
    script(layout, "raise SystemExit(1)")
    with pytest.raises(ToolFailed, match=r"TPU-MLIR 1\.29 could not be installed"):
        install(layout, "1.29", {})
    layout.toolchain("1.29").mkdir(parents=True)  # there: the script is not asked
    assert install(layout, "1.29", {}).version == "1.29"


def test_where_a_version_is_from_is_read_and_nothing_is_made_up(layout: Layout) -> None:
    assert provenance(layout, "1.26") == Provenance()
    layout.toolchain("1.26").mkdir(parents=True)
    path = layout.toolchain("1.26") / "bmzoo.json"
    path.write_text("{")
    assert provenance(layout, "1.26") == Provenance()
    path.write_text(json.dumps({"url": "u", "sha256": "s", "libraries": ["onnx 2, here 1"]}))
    assert provenance(layout, "1.26") == Provenance("u", "s", ("onnx 2, here 1",))


@pytest.mark.toolchain
def test_the_installed_version_knows_every_word_of_every_plan(layout: Layout) -> None:
    installed = find_installation({})
    assert installed is not None, "start the tests with ./doit test"
    known = knowing(installed, layout, Digests(layout.memory)).knows
    assert known is not None and "--disable_affine" in known.tools["model_deploy.py"]
    models, broken = load_all(ROOT / "configs", ROOT)
    plans = [recipe(m, target, w) for m in models.values() for w in m.config.weights for target in m.targets]
    commands = {command for plan in plans for step in plan.steps for command in step.commands}
    assert not broken and len(commands) > 50
    assert [command for command in commands if translated(command, known) != command] == []
