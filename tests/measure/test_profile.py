"""The compiler's profile: read whole or not at all, and told by core and layer."""

from pathlib import Path

import pytest
from compiler_profiles import PROFILE
from tiny_models import lower_tiny

from bmzoo.commands.profile import run
from bmzoo.measure.profile import layer_names, parse_profile, run_modes
from bmzoo.measure.profile_document import profile_document

MLIR = """\
#loc1 = loc("data")
    %1 = "tpu.Load"(%0) : () -> tensor<1xf32> loc(#loc1)
    %2 = "tpu.Conv2D"(%1) : () -> tensor<1xf32> loc(#loc2)
    %3 = "tpu.Store"(%2) : () -> tensor<1xf32> loc(#loc)
#loc2 = loc("body.conv")
"""


def test_a_profile_is_told_by_core_and_layer() -> None:
    core = parse_profile(PROFILE)
    assert (core.cycles, core.milliseconds, core.flops, len(core.commands)) == (1000, 0.5, 2000, 6)
    told = profile_document([core], layer_names(MLIR), "other")
    assert told["milliseconds"] == 0.5
    assert told["cores"] == [
        {
            "cycles": 1000, "milliseconds": 0.5, "arithmetic": 0.2, "memory": 0.325, "both": 0.025, "idle": 0.0,
            "bytes": 4944, "commands": 6, "transfers": 3, "joins": 0, "flops": 2000,
        }
    ]  # fmt: skip
    rows = [(r["layer"], r["operation"], r["milliseconds"], r["bound"], r["bytes"]) for r in told["layers"]]
    assert rows == [
        ("Store_4", "Store", 0.25, "launch", 80),  # its place in the MLIR has no name
        ("body.conv", "Conv2D", 0.2, "arithmetic", 0),
        ("data", "Load", 0.075, "launch", 4864),
    ]


def test_a_transfer_long_enough_bounds_by_memory() -> None:
    longer = PROFILE.replace("e:999|t:500", "e:1999|t:1500").replace("total_cycle:1000", "total_cycle:2000")
    rows = profile_document([parse_profile(longer)], {}, "other")["layers"]
    assert {row["layer"]: row["bound"] for row in rows} == {
        "Store_4": "memory", "Conv2D_3": "arithmetic", "Load_2": "launch",
    }  # fmt: skip


def stretched(chip: str, arithmetic: float, memory: float) -> float:
    """Milliseconds that are kept of a run with engines so much slower."""
    told = profile_document([parse_profile(PROFILE)], {}, chip)["stretched"]
    times: list[list[float]] = told["milliseconds"]
    row: int = told["arithmetic"].index(arithmetic)
    return times[row][int(told["memory"].index(memory))]


def test_slower_engines_move_the_end_of_a_run() -> None:
    assert stretched("other", 1.0, 1.0) == 0.5
    assert stretched("other", 2.0, 1.0) == 0.5 * (100 + 2 * (300 + 100) + 500) / 1000
    # The fastest transfer moves 4096 bytes in 100 cycles: 100 more for them, and 80 bytes more of the last.
    assert stretched("other", 1.0, 2.0) == pytest.approx(0.5 * (200 + 400 + 500 + 80 * 100 / 4096) / 1000, abs=1e-6)
    assert stretched("bm1684x", 1.0, 2.0) == pytest.approx(0.5 * (1000 + (4096 + 80) / 54) / 1000, abs=1e-6)


def test_a_line_that_is_missing_is_found() -> None:
    lost = "".join(line for line in PROFILE.splitlines(keepends=True) if "|PorD|" not in line)
    with pytest.raises(ValueError, match="^its commands take 650 cycles, not 1000: lines are missing"):
        profile_document([parse_profile(lost)], {}, "other")


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (PROFILE.replace("flops: 2000", "flops: 2001"), "flops of core 0 are 2000, of core 1 2001"),
        (PROFILE.replace("total_cycle:1000", "total_cycle:1001"), "cycles of core 0 are 1000, of core 1 1001"),
        (PROFILE.replace("runtime: 0.5ms", "runtime: 0.6ms"), "milliseconds of core 0 are 0.5, of core 1 0.6"),
    ],
)
def test_cores_of_different_runs_are_an_error(changed: str, said: str) -> None:
    with pytest.raises(ValueError, match=f"^cores disagree: {said}$"):
        profile_document([parse_profile(PROFILE), parse_profile(changed)], {}, "other")


def test_a_transfer_that_takes_no_time_has_an_infinite_bandwidth() -> None:
    told = PROFILE.replace("Store_4|", "Add_3|GDMA_MATRIX|s:500|b:3|g:3|e:499|t:0|dr:0|sz:12|bw:inf\nStore_4|")
    told = told.replace("|b:3|g:3|e:999", "|b:3|g:4|e:999")
    assert profile_document([parse_profile(told)], {}, "bm1688")["milliseconds"] == 0.5


def test_how_parts_of_a_network_run() -> None:
    mlir = "attributes {mode = #tpu<run_mode TPU_STATIC>}\n{mode = #tpu<run_mode CPU>}\n#tpu<run_mode CPU>"
    assert run_modes(mlir) == ("CPU", "TPU_STATIC")
    assert run_modes("") == ()


@pytest.mark.parametrize(
    ("damaged", "said"),
    [
        (PROFILE.partition("API_END")[0], "cut short: no total and no runtime"),
        (PROFILE.partition("flops")[0], "cut short: no runtime"),
        ("", "cut short: no total and no runtime"),
        (PROFILE + PROFILE, "line 30: a second network in one profile"),
        (PROFILE.replace("|PorD|", "|PorD|x:1|"), "line 8 is not of commands: Conv2D_3"),
        (PROFILE.replace("|t:100\n", "|t:1e2\n"), "line 8 is not of commands: Conv2D_3"),
        ("a new form\n" + PROFILE, "line 1 is not of commands: a new form"),
    ],
)
def test_a_form_that_is_not_known_is_an_error(damaged: str, said: str) -> None:
    with pytest.raises(ValueError, match=f"^{said}"):
        parse_profile(damaged)


def written(folder: Path) -> str:
    run(folder, ("bm1688",))
    return (folder / "profile.json").read_text()


def test_where_there_is_none_it_is_said(tmp_path: Path) -> None:
    assert "the compiler writes no profile for bm1688" in written(tmp_path)
    (tmp_path / "compiler_profile_0.txt").write_text(PROFILE)
    assert '"known": true' in written(tmp_path)
    (tmp_path / "compiler_profile_1.txt").write_text(PROFILE.partition("flops")[0])
    assert '"why": "not of the known form: cut short' in written(tmp_path)
    assert "no profile" in (tmp_path / "warnings.json").read_text()


@pytest.mark.toolchain
def test_the_compiler_writes_what_is_read(tmp_path: Path, tiny_onnx: Path, tpuc_root: Path) -> None:
    targets = ["bm1684_fp32", "bm1684x_fp16", "bm1688_int8"]
    known = {}
    for target in targets:
        folder = tmp_path / target
        folder.mkdir()
        lower_tiny(folder, tiny_onnx, tpuc_root, [target], bmodels=True)
        known[target] = '"known": true' in written(folder)
    assert known == {"bm1684_fp32": False, "bm1684x_fp16": True, "bm1688_int8": True}


def test_the_timeline_joins_what_follows_without_a_pause() -> None:
    told = profile_document([parse_profile(PROFILE)], layer_names(MLIR), "other")["timeline"]
    assert told["layers"] == ["body.conv", "data", "Store_4"]
    assert told["cores"] == [
        [
            [0, 0, 0.05, 0.25],  # three commands of the convolution, one after the other
            [1, 1, 0.0, 0.075],
            [1, 2, 0.25, 0.5],  # the engine waited before it
        ]
    ]


def test_layers_say_how_often_they_move_memory() -> None:
    rows = profile_document([parse_profile(PROFILE)], layer_names(MLIR), "other")["layers"]
    assert {row["layer"]: row["transfers"] for row in rows} == {"Store_4": 1, "body.conv": 0, "data": 2}
