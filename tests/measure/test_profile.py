"""The compiler's profile: read whole or not at all, and told by core and layer."""

from pathlib import Path

import pytest
from tiny_models import lower_tiny

from bmzoo.commands.profile import run
from bmzoo.measure.profile import layer_names, parse_profile, profile_document

PROFILE = """\
--------------------------------------
s: start time, b: bd_id, g: gdma_id, e: end time, t: cmd cost time, dr: direction, sz: memsize, bw: bandwidth
--------------------------------------
ENGINE_BD                                          ENGINE_GDMA
|BD_SEND_MSG|s:0|b:1|g:0|e:-1|t:0
                                                   Load_2|GDMA_TENSOR|s:0|b:2|g:3|e:99|t:100|dr:0|sz:4096|bw:15.13
Conv2D_3|LANE_BC|s:100|b:3|g:3|e:399|t:300         Load_2|GDMA_TENSOR|s:100|b:2|g:4|e:149|t:50|dr:0|sz:768|bw:2.04
Conv2D_3|PorD|s:400|b:4|g:4|e:499|t:100
                                                   Store_4|GDMA_TENSOR|s:500|b:4|g:5|e:999|t:500|dr:1|sz:80|bw:0.1
--------------------------------------
API_END total_cycle:1000|b:4|g:5
TCYC : 1000. (bdc_cycle:400, gdma_cycle:650)
GDMA SUMMARY : |dr[0] S2L:4864|dr[1] L2S:80|dr[2] S2S:0|dr[3] L2L:0
DDR DATASIZE(MB) : 0.1
DDR BW USAGE : 1.5%
#######################################


flops: 2000, runtime: 0.5ms, ComputationAbility: 0.1T
"""
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
    told = profile_document([core], layer_names(MLIR))
    assert told["milliseconds"] == 0.5
    assert told["cores"] == [
        {
            "cycles": 1000, "milliseconds": 0.5, "arithmetic": 0.2, "memory": 0.325, "idle": 0.175,
            "bytes": 4944, "commands": 6, "flops": 2000,
        }
    ]  # fmt: skip
    rows = [(r["layer"], r["operation"], r["milliseconds"], r["bound"], r["bytes"]) for r in told["layers"]]
    assert rows == [
        ("Store_4", "Store", 0.25, "memory", 80),  # its place in the MLIR has no name
        ("body.conv", "Conv2D", 0.2, "arithmetic", 0),
        ("data", "Load", 0.075, "memory", 4864),
    ]


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
    told = profile_document([parse_profile(PROFILE)], layer_names(MLIR))["timeline"]
    assert told["layers"] == ["body.conv", "data", "Store_4"]
    assert told["cores"] == [
        [
            [0, 0, 0.05, 0.25],  # three commands of the convolution, one after the other
            [1, 1, 0.0, 0.075],
            [1, 2, 0.25, 0.5],  # the engine waited before it
        ]
    ]


def test_layers_say_how_often_they_move_memory() -> None:
    rows = profile_document([parse_profile(PROFILE)], layer_names(MLIR))["layers"]
    assert {row["layer"]: row["transfers"] for row in rows} == {"Store_4": 1, "body.conv": 0, "data": 2}
