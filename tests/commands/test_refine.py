"""`refine` over a small network: what it writes, that it resumes, and that it leaves alone what gains nothing."""

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from bmzoo.commands import refine
from bmzoo.quantization.tables import calibrated

NONE = {"kind": "none", "strides": [8], "min_sizes": [[16]], "variance": [0.1, 0.2]}
LOWERED = """\
    %90 = "top.Input"(%arg) {} : (none) -> tensor<1x2x6x6xf32> loc(#loc90)
    %1 = "tpu.Conv2D"(%90) {} : (none) -> tensor<1x!quant.uniform<i8:f32, %SCALE%>> loc(#loc1)
    %2 = "tpu.Conv2D"(%1) {} : (none) -> tensor<1x!quant.uniform<i8:f32, 0.016>> loc(#loc2)
#loc90 = loc("x")
#loc1 = loc("c_Conv")
#loc2 = loc("y_Conv")
"""


def step(folder: Path, threshold: float) -> Path:
    """x -> c -> y, both convolutions by one; values of x and so of c lie between -1 and 1."""
    folder.mkdir(exist_ok=True)
    nodes = [helper.make_node("Conv", ["x", "w"], ["c"]), helper.make_node("Conv", ["c", "w"], ["y"])]
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 2, 6, 6]) for name in "xy")
    weights = numpy_helper.from_array(np.eye(2, dtype=np.float32)[:, :, None, None], "w")
    graph = helper.make_graph(nodes, "g", [x], [y], [weights])
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 11)], ir_version=6),
        str(folder / "model.onnx"),
    )
    random, samples = np.random.default_rng(0), folder / "samples"
    samples.mkdir(exist_ok=True)
    for index in range(4):
        np.savez(samples / f"{index}.npz", x=random.uniform(-1, 1, (1, 2, 6, 6)).astype(np.float32))
    (folder / "samples.txt").write_text("".join(f"samples/{index}.npz\n" for index in range(4)))
    (folder / "lowered.mlir").write_text(LOWERED.replace("%SCALE%", repr(threshold / 127)))
    (folder / "model.mlir").write_text('#loc1 = loc("c_Conv")\n#loc2 = loc("y_Conv")\n')
    rows = ("x 1.0 -1.0 1.0", f"c_Conv {threshold} -1.0 1.0", "y_Conv 2.03 -1.0 1.0", "#int4_th", "c_Conv 0.5 0 0")
    (folder / "calibration.table").write_text("\n".join(("# thresholds", *rows)) + "\n")
    (folder / "refine.json").write_text(json.dumps({"decoder": NONE, "input": None, "layers": 2}))
    return folder


def test_a_threshold_that_clips_is_raised_to_the_largest_value(tmp_path: Path) -> None:
    folder = step(tmp_path / "first", 0.4)
    refine.run(folder, ("refine.json",))
    text = (folder / "calibration.table").read_text()
    row = next(line for line in text.splitlines() if line.startswith("c_Conv "))
    assert [float(number) for number in row.split()[1:]] == pytest.approx([1.0, -1.0, 1.0], rel=5e-3)
    assert "c_Conv 0.5 0 0" in text.partition("#int4_th")[2], "INT4 keeps its own"
    assert calibrated(text) == ("x", "c_Conv", "y_Conv")
    told = json.loads((folder / "refined.json").read_text())
    assert told["layers"]["c_Conv"] == pytest.approx(2.5)
    assert told["pictures"] == {"choosing": 2, "judging": 2}
    assert told["loss"]["after"] < told["loss"]["before"] / 5
    assert "on 2 other pictures" in told["said"]


def test_what_an_interrupted_run_has_scored_is_not_scored_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = step(tmp_path / "first", 0.4)
    refine.run(folder, ("refine.json",))
    kept = {path: path.stat().st_mtime_ns for path in (folder / "partial").glob("*.json")}
    table = (folder / "calibration.table").read_text()
    step(folder, 0.4)
    refine.run(folder, ("refine.json",))
    assert (folder / "calibration.table").read_text() == table
    assert {path: path.stat().st_mtime_ns for path in (folder / "partial").glob("*.json")} == kept


def test_moves_that_do_not_help_other_pictures_are_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = step(tmp_path / "first", 0.4)
    monkeypatch.setattr(refine, "moves", lambda order, loss: {order[0]: 0.1})
    refine.run(folder, ("refine.json",))
    told = json.loads((folder / "refined.json").read_text())
    assert told["layers"] == {} and "left as they are" in told["said"]
    assert "c_Conv 0.4 -1 1" in (folder / "calibration.table").read_text()
