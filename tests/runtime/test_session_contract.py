"""What every session does, whichever engine is behind it. A new session inherits SessionContract."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fake_sail import install_sail
from numpy.typing import NDArray
from tiny_models import lower_tiny, with_batch

from bmzoo.errors import SessionError
from bmzoo.measure.tensors import cosine
from bmzoo.runtime.engines.card import CardSession
from bmzoo.runtime.engines.mlir import MlirSession
from bmzoo.runtime.engines.session import OnnxSession, Session
from bmzoo.runtime.engines.simulator import SimulatorSession

Open = Callable[[], Session]


def pictures(count: int = 2) -> NDArray[Any]:
    return np.random.RandomState(1).randn(count, 3, 32, 32).astype(np.float32)


class SessionContract:
    """`open_tiny` opens a new session of the tiny model: x [1 or N,3,32,32] -> y [.,4,32,32]."""

    near = 0.9999  # smallest cosine with the float model
    nan_comes_through = False  # integers have none, and simulators turn some into numbers

    @pytest.fixture(scope="class")
    @classmethod
    def session(cls, open_tiny: Open) -> Iterator[Session]:
        made = open_tiny()
        yield made
        made.close()

    def test_names_shapes_and_types(self, session: Session) -> None:
        (given,), (made,) = session.inputs, session.outputs
        assert (given.name, given.dtype, given.shape[1:]) == ("x", "float32", (3, 32, 32))
        assert given.shape[0] in (1, -1)
        assert made.name.startswith("y") and made.dtype == "float32"
        assert made.shape[1:] == (4, 32, 32) and made.shape[0] in (1, -1)

    def test_outputs_are_float32_in_network_order(self, session: Session, tiny_onnx: Path) -> None:
        x = pictures()
        expected = OnnxSession(tiny_onnx, threads=1).run({"x": x})["y"]
        results = session.run({"x": x})
        assert list(results) == [info.name for info in session.outputs]
        (value,) = results.values()
        assert value.dtype == np.float32 and value.shape == expected.shape
        assert cosine(expected, value) > self.near

    def test_a_batch_is_its_singles(self, session: Session) -> None:
        x = pictures(3)
        (together,) = session.run({"x": x}).values()
        for i in range(3):
            (alone,) = session.run({"x": x[i : i + 1]}).values()
            np.testing.assert_allclose(alone, together[i : i + 1], atol=1e-6)

    def test_results_are_kept(self, session: Session) -> None:
        (first,) = session.run({"x": pictures()}).values()
        copy = first.copy()
        session.run({"x": -pictures()})
        np.testing.assert_array_equal(first, copy)

    def test_memory_layout_does_not_matter(self, session: Session) -> None:
        x = pictures()
        (expected,) = session.run({"x": x}).values()
        turned = np.ascontiguousarray(x.transpose(0, 3, 2, 1)).transpose(0, 3, 2, 1)
        kept = turned.copy()
        (value,) = session.run({"x": turned}).values()
        np.testing.assert_array_equal(value, expected)
        np.testing.assert_array_equal(turned, kept)

    @pytest.mark.parametrize(
        ("feeds", "message"),
        [
            ({}, "inputs do not match: nothing"),
            ({"z": pictures()}, "inputs do not match: z"),
            ({"x": pictures(), "z": pictures()}, "inputs do not match: x, z"),
            ({"x": pictures()[:, :2]}, r"input does not fit `x` float32 \[.*: float32 \[2, 2, 32, 32\]"),
            ({"x": pictures()[0]}, r"input does not fit .*: float32 \[3, 32, 32\]"),
            ({"x": np.array(1, np.float32)}, r"input does not fit .*: float32 \[\]"),
            ({"x": pictures().astype(np.float64)}, r"input does not fit .*: float64 \[2, 3, 32, 32\]"),
            ({"x": pictures().astype(np.uint8)}, r"input does not fit .*: uint8"),
        ],
    )
    def test_inputs_that_do_not_fit(self, session: Session, feeds: dict[str, NDArray[Any]], message: str) -> None:
        with pytest.raises(SessionError, match=message):
            session.run(feeds)

    def test_values_that_are_not_finite(self, session: Session) -> None:
        x = pictures()
        (expected,) = session.run({"x": x}).values()
        broken = x.copy()
        broken[0, :, :8, :8] = np.nan
        broken[0, :, 20, 20] = np.inf
        (value,) = session.run({"x": broken}).values()
        assert value.shape == expected.shape
        np.testing.assert_array_equal(value[1], expected[1], "nothing of it stays")
        if self.nan_comes_through:
            assert np.isnan(value[0, :, :7, :7]).all()

    def test_closing(self, open_tiny: Open) -> None:
        for runs in (0, 1):
            session = open_tiny()
            for _ in range(runs):
                session.run({"x": pictures(1)})
            session.close()
            session.close()
            with pytest.raises(SessionError, match="the session is closed"):
                session.run({"x": pictures(1)})

    def test_two_at_once(self, session: Session, open_tiny: Open) -> None:
        other = open_tiny()
        x = pictures(1)
        (a,), (b,) = session.run({"x": x}).values(), other.run({"x": x}).values()
        other.close()
        (c,) = session.run({"x": x}).values()
        np.testing.assert_array_equal(a, b)
        np.testing.assert_array_equal(a, c)


class TestOnnx(SessionContract):
    nan_comes_through = True

    @pytest.fixture(scope="class")
    @classmethod
    def open_tiny(cls, tiny_onnx: Path) -> Open:
        return lambda: OnnxSession(tiny_onnx, threads=1)


class TestOnnxOfOnePicture(TestOnnx):
    """Its batch is fixed, as in most exports."""

    @pytest.fixture(scope="class")
    @classmethod
    def open_tiny(cls, tiny_onnx: Path) -> Open:
        return lambda: OnnxSession(with_batch(tiny_onnx, 1), threads=1)

    def test_a_fixed_batch_takes_multiples_only(self, tiny_onnx: Path) -> None:
        two = OnnxSession(with_batch(tiny_onnx, 2), threads=1)
        expected = OnnxSession(tiny_onnx, threads=1).run({"x": pictures(4)})["y"]
        np.testing.assert_allclose(two.run({"x": pictures(4)})["y"], expected, atol=1e-5)
        for number in (0, 1, 3):
            with pytest.raises(SessionError, match=rf"input does not fit .*: float32 \[{number}, 3, 32, 32\]"):
                two.run({"x": pictures(number)})


class TestCard(SessionContract):
    nan_comes_through = True

    @pytest.fixture(scope="class")
    @classmethod
    def open_tiny(cls, tiny_onnx: Path) -> Iterator[Open]:
        patch = install_sail()
        yield lambda: CardSession(tiny_onnx)
        patch.undo()


@pytest.mark.toolchain
class TestMlir(SessionContract):
    nan_comes_through = True

    @pytest.fixture(scope="class")
    @classmethod
    def open_tiny(cls, tiny_onnx: Path, tpuc_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Open:
        path = lower_tiny(tmp_path_factory.mktemp("top"), tiny_onnx, tpuc_root, [])["top"]
        return lambda: MlirSession(path, tpuc_root)


@pytest.mark.toolchain
class TestLoweredMlir(SessionContract):
    near = 0.99

    @pytest.fixture(scope="class")
    @classmethod
    def open_tiny(cls, tiny_onnx: Path, tpuc_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Open:
        folder = tmp_path_factory.mktemp("lowered")
        path = lower_tiny(folder, tiny_onnx, tpuc_root, ["bm1684_int8"])["bm1684_int8"]
        return lambda: MlirSession(path, tpuc_root)


@pytest.mark.toolchain
class TestSimulator(SessionContract):
    near = 0.99

    @pytest.fixture(scope="class", params=["bm1684_fp32", "bm1688_int8"])
    @classmethod
    def open_tiny(cls, request: pytest.FixtureRequest, tiny_bmodels: dict[str, Path], tpuc_root: Path) -> Open:
        return lambda: SimulatorSession(tiny_bmodels[request.param], tpuc_root)
