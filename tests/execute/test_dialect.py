"""A plan in the words of another TPU-MLIR: every flag that plans use, every row of the table of translations."""

from pathlib import Path

import pytest

from bmzoo.config.search_methods import RUN_QTABLE, RUN_SENSITIVE_LAYER
from bmzoo.errors import ToolFailed
from bmzoo.execute.dialect import DIALECT_TOOLS, SYNONYMS, UNASKED, Capabilities, differences, flags_of, translated
from bmzoo.execute.toolchain import Installation, LocalToolchain
from bmzoo.plan.step import Command
from bmzoo.system.hashing import Digests

# As run_calibration.py of 1.22 prints it where no line is broken.
HELP = """TPU-MLIR v1.22-20250831
usage: run_calibration.py [-h] [--we] [--cali_method {use_mse,use_kl}] [-o CALIBRATION_TABLE] mlir_file

options:
  -h, --help            show this help message and exit
  --we                  weight equalization, see --sq
  --cali_method {use_mse,use_kl}  method of calibration
  --chip {bm1684x,bm1684}, --processor {bm1684x,bm1684}
                        chip platform name --not_a_flag
  --custom_operator [CUSTOM_OPERATOR ...]
  -o CALIBRATION_TABLE, --calibration_table CALIBRATION_TABLE
"""


def knowing(**flags: tuple[str, ...]) -> Capabilities:
    return Capabilities("1.22", {"run_calibration.py": {f"--{flag}": values for flag, values in flags.items()}})


def test_flags_and_their_values_are_read_from_a_help() -> None:
    assert flags_of(HELP) == {
        **{"-h": (), "--help": (), "--we": (), "--cali_method": ("use_mse", "use_kl")},
        **{"--chip": ("bm1684x", "bm1684"), "--processor": ("bm1684x", "bm1684"), "--custom_operator": ()},
        **{"-o": (), "--calibration_table": ()},
    }


@pytest.mark.parametrize(("flag", "value"), SYNONYMS)
def test_every_row_of_the_table_is_translated_where_only_the_other_word_is_known(flag: str, value: str) -> None:
    word, bare = SYNONYMS[flag, value], flag.removeprefix("--")
    command = Command("run_calibration.py", ("model.mlir", flag, value))
    assert translated(command, knowing(**{bare: (word, "else")})).args == ("model.mlir", flag, word)
    assert translated(command, knowing(**{bare: (value, word)})) == command
    assert translated(command, knowing(**{bare: ()})) == command
    with pytest.raises(ToolFailed, match=f"^run_calibration.py of TPU-MLIR 1.22 has no {flag} {value}$") as caught:
        translated(command, knowing(**{bare: ("else",)}))
    assert caught.value.hint == "it has: else"


def test_a_flag_a_value_and_a_tool_that_are_not_there_are_refused_by_name() -> None:
    known = knowing(cali_method=("use_kl",), chip=("bm1684",))
    with pytest.raises(ToolFailed, match="has no --cali_method aciq_gauss$"):
        translated(Command("run_calibration.py", ("--cali_method", "aciq_gauss")), known)
    with pytest.raises(ToolFailed, match="has no --chip bm1690$"):
        translated(Command("run_calibration.py", ("--chip", "bm1690")), known)
    with pytest.raises(ToolFailed, match="^run_calibration.py of TPU-MLIR 1.22 has no --smc$"):
        translated(Command("run_calibration.py", ("--smc",)), known)
    with pytest.raises(ToolFailed, match="has no -o$"):
        translated(Command("run_calibration.py", ("-o", "x")), known)
    for tool in (RUN_QTABLE, RUN_SENSITIVE_LAYER):
        with pytest.raises(ToolFailed, match=f"^TPU-MLIR 1.22 has no {tool}$"):
            translated(Command(tool, ("model.mlir",)), known)


def test_values_that_look_like_numbers_and_other_tools_are_left_alone() -> None:
    known = knowing(mean=())
    for command in (
        Command("run_calibration.py", ("--mean", "-1,2", "x y"), "out"),
        Command("model_tool", ("--info", "x")),
        Command("normalize", ("--anything",)),
    ):
        assert translated(command, known) == command


def test_what_only_one_version_has_and_does_unasked_is_told() -> None:
    flags = {"--help": ()}
    old = Capabilities(
        "1.22", {"model_deploy.py": {**flags, "--fast": (), "--enable_affine": ()}, RUN_QTABLE: flags}
    )
    new = Capabilities("1.30.2", {"model_deploy.py": {**flags, "--disable_affine": ()}})
    assert list(differences(old, new)) == [
        "model_deploy.py: only 1.22 has --enable_affine, --fast",
        "model_deploy.py: only 1.30.2 has --disable_affine",
        "only 1.22 has run_qtable.py",
        f"model_deploy.py of 1.30.2 {UNASKED['--disable_affine']} (--disable_affine)",
        f"model_deploy.py of 1.22 {UNASKED['--enable_affine']} (--enable_affine)",
    ]
    assert list(differences(old, old)) == []


def test_what_is_kept_of_a_version_is_read_back() -> None:
    known = Capabilities("1.22", {tool: {"--chip": ("a", "b"), "--we": ()} for tool in DIALECT_TOOLS})
    assert Capabilities.from_json(known.as_json()) == known
    for told in ({}, {"version": "1", "tools": {"x": 3}}, {"version": "1", "tools": {"x": {"--y": 3}}}):
        with pytest.raises((KeyError, TypeError, AttributeError)):
            Capabilities.from_json(told)


def test_a_toolchain_speaks_the_dialect_of_its_installation_and_no_other(tmp_path: Path) -> None:
    tool = tmp_path / "tpu_mlir/python/tools" / RUN_SENSITIVE_LAYER
    tool.parent.mkdir(parents=True)
    tool.write_text("import sys\nprint(*sys.argv[1:])\n")
    command = Command(RUN_SENSITIVE_LAYER, ("--cali_method", "kl"), "said.txt")
    known = Capabilities("1.22", {RUN_SENSITIVE_LAYER: {"--cali_method": ("use_kl",)}})
    identities = set()
    for knows, said in ((None, "--cali_method kl\n"), (known, "--cali_method use_kl\n")):
        installation = Installation(tmp_path / "tpu_mlir", "1.22", True, knows)
        tools = LocalToolchain(installation, Digests(tmp_path / "memory"))
        tools.run(command, tmp_path, tmp_path / "log", timeout=60)
        assert (tmp_path / "said.txt").read_text() == said
        identities.add(tools.identity(RUN_SENSITIVE_LAYER))
    assert len(identities) == 2
