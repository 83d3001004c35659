"""How a program comes to sophon.sail: `python -m bmzoo.sail`, and the hook."""

import subprocess
import sys
from pathlib import Path

import pytest
from sail_samples import ROOT, run


def test_arguments_path_and_exit_code_are_pythons(tmp_path: Path) -> None:
    (tmp_path / "beside.py").write_text("VALUE = 3\n")
    script = tmp_path / "script.py"
    script.write_text(
        "import sys, beside\nfrom sophon import sail\nimport sophon.sail\n"
        "assert sail is sophon.sail and __name__ == '__main__' and __file__ == sys.argv[0]\n"
        "print(sys.argv[1:])\nsys.exit(beside.VALUE)\n"
    )
    argv = [sys.executable, "-m", "bmzoo.sail", str(script), "--shadow", "x"]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (3, "['--shadow', 'x']\n", "")


def test_an_installed_sail_is_used_unless_shadowed(tmp_path: Path) -> None:
    (tmp_path / "sophon").mkdir()
    (tmp_path / "sophon" / "__init__.py").touch()
    (tmp_path / "sophon" / "sail.py").write_text("Engine = 'real'\n")
    script = tmp_path / "script.py"
    script.write_text("import sophon.sail as sail\nprint(sail.Engine)\n")
    argv = [sys.executable, "-m", "bmzoo.sail", str(script)]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "real\n"
    assert done.stderr.count("\n") == 1
    assert "--shadow" in done.stderr
    assert "bmzoo.sail" in run(script, options=("--shadow",))


def started_by_others(argv: list[str], *path: Path | str, **env: str) -> subprocess.CompletedProcess[str]:
    """A program that knows nothing of bmzoo, with the hook on its path."""
    hook = subprocess.run(
        [sys.executable, "-m", "bmzoo.sail", "--hook"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    paths = [hook.stdout.strip(), *map(str, path)]
    return subprocess.run(
        [sys.executable, *argv],
        cwd="/",
        env={"PYTHONPATH": ":".join(paths), "PATH": "", **env},
        capture_output=True,
        text=True,
        check=False,
    )


ASKS = "import sophon.sail as a; from sophon import sail as b; import sophon; assert a is b is sophon.sail; "


def test_programs_that_others_start_find_it_by_the_hook(tiny_onnx: Path, tmp_path: Path) -> None:
    script = tmp_path / "app.py"
    script.write_text(f"{ASKS}\nprint(a.Engine({str(tiny_onnx)!r}, 0, a.SYSIO).get_graph_names())\n")
    for argv in (
        ["-c", script.read_text()],
        [str(script)],
        ["-c", f"import runpy; runpy.run_path({str(script)!r})"],
    ):
        done = started_by_others(argv)
        assert (done.returncode, done.stdout, done.stderr) == (0, "['t']\n", ""), done.stderr
    script.write_text(
        f"{ASKS}\nimport multiprocessing as m\nif __name__ == '__main__':\n"
        "    p = m.get_context('spawn').Process(target=print, args=('x',))\n"
        "    p.start(); p.join(); print(p.exitcode)\n"
    )
    assert started_by_others([str(script)]).stdout == "x\n0\n"


def test_the_hook_gives_way_to_an_installed_sail(tmp_path: Path) -> None:
    (tmp_path / "sophon").mkdir()
    (tmp_path / "sophon" / "__init__.py").write_text("HERE = 'vendor'\n")
    (tmp_path / "sophon" / "sail.py").write_text("Engine = 'real'\n")
    (tmp_path / "sophon" / "other.py").write_text("VALUE = 3\n")
    ask = ["-c", f"{ASKS}print(a.Engine, sophon.HERE); import sophon.other; print(sophon.other.VALUE)"]
    done = started_by_others(ask, tmp_path)
    assert (done.returncode, done.stdout) == (0, "real vendor\n3\n"), done.stderr
    shadowed = started_by_others(["-c", f"{ASKS}print(a.Engine)"], tmp_path, BMZOO_SAIL_SHADOW="1")
    assert "bmzoo.sail" in shadowed.stdout, shadowed.stderr
    (tmp_path / "sophon" / "sail.py").unlink()
    assert "bmzoo.sail" in started_by_others(["-c", f"{ASKS}print(a.Engine)"], tmp_path).stdout


def test_the_hook_is_no_card(tmp_path: Path) -> None:
    ask = "from bmzoo.runtime.engines.card import has_card, real_sail; print(has_card(), real_sail())"
    assert started_by_others(["-c", ask], ROOT).stdout == "False None\n"


def test_an_attribute_that_sail_lacks_is_said_as_ever() -> None:
    done = started_by_others(["-c", "import sophon.sail, sophon.nothing"])
    assert "No module named 'sophon.nothing'" in done.stderr
    assert (
        "algo_yolox_post: not in bmzoo.sail"
        in started_by_others(["-c", "from sophon.sail import algo_yolox_post"]).stderr
    )


@pytest.mark.parametrize(("arguments", "code"), [([], 2), (["--help"], 0), (["/nowhere.py"], 2), (["--odd"], 2)])
def test_without_a_script(arguments: list[str], code: int, capsys: pytest.CaptureFixture[str]) -> None:
    from bmzoo.sail.__main__ import main

    assert main(arguments) == code
    said = capsys.readouterr()
    assert ("usage" in said.out) == (code == 0)
    assert bool(said.err) == (code != 0)
