import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from tiny_models import lower_tiny

from bmzoo.commands.drift import told
from bmzoo.measure.drift import Drift, Row, compare_layers, first_drift, layer_inputs
from bmzoo.results.verify import _layer
from bmzoo.runtime.engines.mlir import MlirSession

ORDER = ["in", "a", "b", "c", "d"]
CHAIN = {"in": (), "a": ("in",), "b": ("a",), "c": ("b",), "d": ("c",)}
EXACT = {name: np.full((1, 100), 1 + i, np.float32) for i, name in enumerate(ORDER)}


def noisy(decibels: Mapping[str, float]) -> dict[str, NDArray[Any]]:
    """Tensors whose SQNR against EXACT is as given, exact where none is."""
    signs = np.resize(np.array([1, -1], np.float32), (1, 100))
    return {
        n: v * (1 + signs * 10 ** (-decibels.get(n, math.inf) / 20)).astype(np.float32) for n, v in EXACT.items()
    }


def test_the_layer_that_adds_the_noise_is_named() -> None:
    drift = first_drift(EXACT, noisy({"a": 40, "b": 38, "c": 12, "d": 11}), ORDER, CHAIN, limit_sqnr=20)
    assert (drift.layer, drift.gradual) == ("c", False)
    assert drift.sqnr_db == pytest.approx(12, abs=0.01) and 0.9 < drift.cosine < 1
    assert [row.layer for row in drift.rows] == ORDER
    assert [round(row.lost_db) if math.isfinite(row.lost_db) else row.lost_db for row in drift.rows] == [
        *(0, math.inf, 2, 26, 1)
    ]


def test_noise_that_is_only_passed_on_is_not_blamed() -> None:
    """c is the first under the limit by a hair, and no worse than b; d is what goes wrong."""
    drift = first_drift(EXACT, noisy({"a": 21, "b": 20.5, "c": 19.5, "d": 8}), ORDER, CHAIN, limit_sqnr=20)
    assert (drift.layer, drift.gradual) == ("d", False)


def test_a_limit_crossed_bit_by_bit() -> None:
    drift = first_drift(EXACT, noisy({"a": 23, "b": 21, "c": 19, "d": 18}), ORDER, CHAIN, limit_sqnr=20)
    assert (drift.layer, drift.gradual) == ("c", True)


def test_nothing_drifts() -> None:
    drift = first_drift(EXACT, noisy({"a": 30, "b": 28}), ORDER, CHAIN, limit_sqnr=20, limit_cosine=0.9)
    assert drift.layer is None and not drift.gradual
    assert drift.sqnr_db == pytest.approx(28, abs=0.01), "of the worst layer"
    empty = first_drift({}, {}, [])
    assert empty.layer is None and empty.rows == () and math.isnan(empty.sqnr_db)


def test_the_cosine_limit_alone() -> None:
    assert first_drift(EXACT, noisy({"b": 5, "c": 5}), ORDER, CHAIN, limit_cosine=0.9).layer == "b"
    assert first_drift(EXACT, noisy({"b": 5, "c": 5}), ORDER, CHAIN, limit_cosine=0.8).layer is None


def test_branches_are_told_apart() -> None:
    """d reads a, not the spoiled c before it: it is worse than its own input, so it is to blame."""
    inputs = {**CHAIN, "b": ("in",), "c": ("b",), "d": ("a",)}
    test = noisy({"a": 40, "b": 40, "c": 21, "d": 19})
    assert first_drift(EXACT, test, ORDER, inputs, limit_sqnr=20).gradual is False
    assert first_drift(EXACT, test, ORDER, limit_sqnr=20).gradual is True, "without inputs: the layer before"
    joined = {**CHAIN, "d": ("a", "c")}
    assert first_drift(EXACT, test, ORDER, joined, limit_sqnr=20).gradual is True, "the worst of its inputs counts"


def test_layers_that_cannot_be_compared_are_passed_by() -> None:
    test = noisy({"a": 30, "b": 12, "c": 12, "d": 5})
    test["c_f32"] = test.pop("c")[:, :50]
    test["d_f32"] = test.pop("d")
    drift = first_drift(EXACT, test, ORDER, CHAIN, limit_sqnr=10)
    assert [row.layer for row in drift.rows] == ["in", "a", "b", "d"]
    assert drift.layer == "d" and round(drift.rows[-1].lost_db) == 7, "against b, past c"


def test_values_that_are_not_finite_are_under_every_limit() -> None:
    test = noisy({"a": 30})
    for name in ("b", "c", "d"):
        test[name] = np.full((1, 100), np.nan, np.float32)
    drift = first_drift(EXACT, test, ORDER, CHAIN, limit_sqnr=-50)
    assert drift.layer == "b" and drift.sqnr_db == -math.inf and math.isnan(drift.cosine)
    assert drift.rows[3].lost_db == 0
    assert first_drift(EXACT, test, ORDER, CHAIN).layer == "b"


MLIR = """
module @t {
  func.func @main(%arg0: tensor<1xf32> loc(unknown)) -> tensor<1xf32> {
    %0 = "top.None"() : () -> none loc(#loc)
    %1 = "top.Input"(%arg0) {a = "b"} : (tensor<1xf32>) -> tensor<1xf32> loc(#loc1)
    %2 = "top.Weight"() : () -> tensor<8xf32> loc(#loc2)
    %3:2 = "top.Split"(%1, %2, %0) {n = 2 : i64} : (tensor<1xf32>) -> (tensor<1xf32>, tensor<1xf32>) loc(#loc3)
    %4 = "top.Add"(%3#1, %3#0, %1, %1) : (tensor<1xf32>) -> tensor<1xf32> loc(#loc6)
    return %4 : tensor<1xf32> loc(#loc)
  } loc(#loc)
} loc(#loc)
#loc = loc(unknown)
#loc1 = loc("in")
#loc2 = loc("w")
#loc4 = loc("half, 1")
#loc5 = loc("half 2")
#loc6 = loc("sum")
#loc3 = loc(fused[#loc4, #loc5])
"""


def test_inputs_are_read_from_the_file(tmp_path: Path) -> None:
    (tmp_path / "m.mlir").write_text(MLIR)
    found = layer_inputs(tmp_path / "m.mlir")
    assert list(found) == ["in", "half, 1", "half 2", "sum"]
    assert found["half 2"] == ("in",) and found["sum"] == ("half 2", "half, 1", "in")


class Tensors:
    def __init__(self, values: Mapping[str, NDArray[Any]]) -> None:
        self.values = dict(values)
        self.tensor_names = tuple(values)
        self.asked: Sequence[str] | None = None

    def tensors(
        self, feeds: Mapping[str, NDArray[Any]], names: Sequence[str] | None = None
    ) -> dict[str, NDArray[np.float32]]:
        self.asked = names
        return {name: self.values[name] for name in names or self.values}


def test_only_what_can_be_compared_is_fetched() -> None:
    test = noisy({"c": 5})
    lowered = Tensors({**test, "in_a_si8": test["a"], "d_f32": test["d"]})
    drift = compare_layers(Tensors(EXACT), lowered, {}, limit_sqnr=10)
    assert drift.layer == "c"
    assert lowered.asked == [*ORDER, "d_f32"]


def four_layers() -> onnx.ModelProto:
    """x -> conv -> relu, four times; the last has no relu."""
    random = np.random.RandomState(0)
    nodes, weights, last = [], [], "x"
    for i, channels in enumerate((3, 8, 8, 8)):
        weights.append(numpy_helper.from_array(random.randn(8, channels, 3, 3).astype(np.float32) * 0.15, f"w{i}"))
        nodes.append(helper.make_node("Conv", [last, f"w{i}"], [f"c{i}"], kernel_shape=[3, 3], pads=[1] * 4))
        last = f"c{i}"
        if i < 3:
            nodes.append(helper.make_node("Relu", [last], [f"r{i}"]))
            last = f"r{i}"
    shapes = (("x", 3), (last, 8))
    x, y = (helper.make_tensor_value_info(n, TensorProto.FLOAT, ["N", c, 32, 32]) for n, c in shapes)
    return helper.make_model(
        helper.make_graph(nodes, "g", [x], [y], weights),
        opset_imports=[helper.make_opsetid("", 11)],
        ir_version=6,
    )


@pytest.mark.toolchain
def test_a_spoiled_threshold_is_found_in_a_real_network(tpuc_root: Path, tmp_path: Path) -> None:
    onnx.save(four_layers(), str(tmp_path / "four.onnx"))
    x = {"x": np.random.RandomState(1).randn(2, 3, 32, 32).astype(np.float32)}
    top_file = lower_tiny(tmp_path, tmp_path / "four.onnx", tpuc_root, [])["top"]
    top = MlirSession(top_file, tpuc_root)
    values = top.tensors(x)
    layers = list(values)
    assert layers == list(layer_inputs(top_file)) == ["x", "r0_Relu", "r1_Relu", "r2_Relu", "c3_Conv"]
    for target, spoiled in (("bm1684_int8", None), ("bm1684_int8", "r1_Relu"), ("bm1688_int8", "r2_Relu")):
        table = "# op_name    threshold    min    max\n"
        for name, value in values.items():
            high = float(abs(value).max()) / (20 if name == spoiled else 1)
            table += f"{name} {high} {-high if value.min() < 0 else 0} {high}\n"
        made = lower_tiny(tmp_path, tmp_path / "four.onnx", tpuc_root, [target], table)
        lowered = MlirSession(made[target], tpuc_root)
        drift = compare_layers(top, lowered, x, layer_inputs(made["top"]), limit_sqnr=15)
        lowered.close()
        assert [row.layer for row in drift.rows] == layers
        assert (drift.layer, drift.gradual) == (spoiled, False), describe(drift.rows)
    top.close()


def describe(rows: tuple[Row, ...]) -> str:
    return "; ".join(f"{row.layer} {row.sqnr_db:.1f} dB, lost {row.lost_db:.1f}" for row in rows)


def rows(*found: tuple[str, float]) -> tuple[Row, ...]:
    return tuple(Row(layer, 1.0, sqnr, 0.0) for layer, sqnr in found)


def test_an_exact_input_is_never_the_layer_that_goes_wrong() -> None:
    exact = Drift(None, 1.0, math.inf, False, rows(("in", math.inf), ("a", math.inf)))
    assert told(exact, {"in"}, 20)["layer"] is None
    quiet = Drift(None, 1.0, math.inf, False, rows(("in", math.inf), ("a", 50.0), ("b", 40.0)))
    assert (told(quiet, {"in"}, 20)["layer"], told(quiet, {"in"}, 20)["sqnr_db"]) == ("b", 40.0)
    changed = Drift(None, 1.0, 30.0, False, rows(("in", 30.0), ("a", 50.0)))
    assert told(changed, {"in"}, 20)["layer"] == "a", "the input is given, whatever lowering casts it to"
    bad = Drift("a", 1.0, 3.0, True, rows(("in", math.inf), ("a", 3.0), ("b", -math.inf)))
    assert told(bad, {"in"}, 20) | {"rows": []} == {
        **{"layer": "a", "sqnr_db": 3.0, "below_limit": True, "gradual": True, "limit_db": 20, "rows": []}
    }
    assert told(Drift(None, math.nan, math.nan, False, ()), {"in"}, 20)["layer"] is None


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ({"layer": None, "sqnr_db": None, "below_limit": False}, "no layer of its MLIR goes wrong"),
        (
            {"layer": "c", "sqnr_db": 30.0, "below_limit": False},
            "no layer alone goes wrong; most noise is in c",
        ),
        ({"layer": "c", "sqnr_db": 3.0, "below_limit": True}, "the first layer that goes wrong is c (SQNR 3.0 dB)"),
        ({"layer": "c", "sqnr_db": None, "below_limit": True}, "the first layer that goes wrong is c"),
    ],
)
def test_the_hint_says_what_was_found(found: dict[str, Any], said: str) -> None:
    assert _layer(found).startswith(said)
    assert _layer({"layer": None, "why": "no MLIR"}) == ""
