"""A bmodel of several batches on the simulator: which of them runs, and that each gives what ONNX gives."""

from pathlib import Path

import numpy as np
import pytest

from bmzoo.errors import SessionError
from bmzoo.execute.toolchain import Installation, LocalToolchain
from bmzoo.plan.step import Command
from bmzoo.runtime.engines.bmodel import BModelInfo, BModelNetwork, BModelStage
from bmzoo.runtime.engines.registry import open_session
from bmzoo.runtime.engines.session import OnnxSession
from bmzoo.runtime.engines.stages import StagedSession, is_of_batches
from bmzoo.runtime.engines.tensor_info import TensorInfo
from bmzoo.system.hashing import Digests


def stage(*shape: int) -> BModelStage:
    return BModelStage(1, (TensorInfo("x", shape, "float32"),), (), {})


def model(*stages: BModelStage, dynamic: bool = False, networks: int = 1) -> BModelInfo:
    return BModelInfo("bm1688", (BModelNetwork("t", dynamic, stages),) * networks)


def test_only_stages_that_differ_in_batch_alone_are_batches_of_one_network() -> None:
    both = stage(1, 3, 8, 8), stage(4, 3, 8, 8)
    assert is_of_batches(model(*both))
    assert not is_of_batches(model(both[0])) and not is_of_batches(model(*both, dynamic=True))
    assert not is_of_batches(model(both[0], stage(4, 3, 8, 9))) and not is_of_batches(model(*both, networks=2))


@pytest.mark.toolchain
def test_the_largest_batch_that_fits_runs(tiny_onnx: Path, tpuc_root: Path, tmp_path: Path) -> None:
    toolchain = LocalToolchain(Installation(tpuc_root, "under test", external=False), Digests(tmp_path / "memory"))
    (tmp_path / "t.onnx").write_bytes(tiny_onnx.read_bytes())

    def tool(name: str, *arguments: str) -> None:
        toolchain.run(Command(name, arguments), tmp_path, tmp_path / "log.txt", timeout=120)

    for batch in (4, 1):
        shape = ("--model_name", "t", "--model_def", "t.onnx", "--input_shapes", f"[[{batch},3,32,32]]")
        tool("model_transform.py", *shape, "--mlir", f"{batch}.mlir")
        deploy = ("--mlir", f"{batch}.mlir", "--quantize", "F32", "--chip", "bm1688", "--skip_validation")
        tool("model_deploy.py", *deploy, "--model", f"{batch}.bmodel")
    tool("model_tool", "--combine", "4.bmodel", "1.bmodel", "-o", "both.bmodel")
    session = open_session(tmp_path / "both.bmodel", engine="simulator", tpuc_root=tpuc_root)
    reference = OnnxSession(tiny_onnx, 1)
    try:
        assert isinstance(session, StagedSession) and session.inputs[0].shape == (1, 3, 32, 32)
        for count in (1, 4, 3):
            x = np.random.default_rng(count).standard_normal((count, 3, 32, 32)).astype(np.float32)
            (found,) = session.run({"x": x}).values()
            np.testing.assert_allclose(found, reference.run({"x": x})["y"], atol=1e-4)
        with pytest.raises(SessionError):
            session.run({"x": np.zeros((0, 3, 32, 32), np.float32)})
    finally:
        session.close()
