"""The vendor's module is not here: a module of its name stands in. See TestCard for what all sessions do."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fake_sail import FakeEngine, install_sail
from numpy.typing import NDArray

from bmzoo.errors import SessionError
from bmzoo.runtime.engines.card import CardSession, has_card, real_sail
from bmzoo.runtime.engines.registry import open_session
from bmzoo.runtime.engines.tensor_info import TensorInfo


class Heads(FakeEngine):
    """Two outputs, network order b, a; process sorts them by name as SAIL does. Half of the values are odd."""

    def __init__(self, path: str, device: int, mode: str) -> None:
        if "bad" in path:
            raise RuntimeError("invalid bmodel\nmore")

    def get_output_names(self, graph: str) -> list[str]:
        return ["b", "a"]

    def get_input_shape(self, graph: str, name: str) -> list[int]:
        return [2, 3]

    get_output_shape = get_input_shape

    def process(self, graph: str, feeds: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        assert feeds["x"].shape == (2, 3) and feeds["x"].flags.c_contiguous
        if feeds["x"].max() > 100:
            raise RuntimeError("launch failed\nstack")
        return {"a": feeds["x"].astype(np.float64), "b": feeds["x"] * 2}


Install = Callable[..., None]


@pytest.fixture
def install() -> Iterator[Install]:
    patches: list[pytest.MonkeyPatch] = []
    yield lambda engine=Heads, **more: patches.append(install_sail(engine, **more))
    for patch in reversed(patches):
        patch.undo()


@pytest.fixture
def bmodel(tmp_path: Path) -> Path:
    path = tmp_path / "m.bmodel"
    path.touch()
    return path


def test_heads_come_in_network_order_batch_after_batch(install: Install, bmodel: Path) -> None:
    install()
    session = CardSession(bmodel)
    assert session.outputs == (TensorInfo("b", (2, 3), "float32"), TensorInfo("a", (2, 3), "float32"))
    x = np.arange(12, dtype=np.float32).reshape(4, 3)
    results = session.run({"x": x})
    assert list(results) == ["b", "a"]
    assert {value.dtype for value in results.values()} == {np.dtype(np.float32)}
    np.testing.assert_array_equal(results["a"], x)
    np.testing.assert_array_equal(results["b"], x * 2)
    with pytest.raises(SessionError, match=r"m\.bmodel: input does not fit `x` .*: float32 \[3, 3\]"):
        session.run({"x": x[:3]})
    with pytest.raises(SessionError, match=r"m\.bmodel: the card failed: launch failed$"):
        session.run({"x": x * 100})


def test_models_and_cards_that_are_not_there(install: Install, bmodel: Path, tmp_path: Path) -> None:
    with pytest.raises(SessionError, match=r"none\.bmodel: no such bmodel"):
        CardSession(tmp_path / "none.bmodel")
    install()
    bad = tmp_path / "bad.bmodel"
    bad.touch()
    with pytest.raises(SessionError, match=r"bad\.bmodel: card 0 refuses the model: invalid bmodel$"):
        CardSession(bad)
    install(FakeEngine)
    with pytest.raises(SessionError, match=r"card 3 refuses the model: no such device: 3$"):
        CardSession(bmodel, device=3)


def test_the_emulation_is_never_taken_for_a_card(install: Install, bmodel: Path) -> None:
    install(__bmzoo__=True)
    assert real_sail() is None and not has_card()
    with pytest.raises(SessionError, match="needs a card and `sophon.sail`") as caught:
        CardSession(bmodel)
    assert "simulator" in caught.value.hint


def broken() -> Any:
    raise RuntimeError("driver not loaded")


@pytest.mark.parametrize(("count", "expected"), [(lambda: 2, True), (lambda: 0, False), (broken, False)])
def test_a_card_counts_when_the_driver_finds_one(install: Install, count: Any, expected: bool) -> None:
    install(get_available_tpu_num=count)
    assert has_card() is expected
    assert real_sail() is not None


def test_a_bmodel_goes_to_the_card_where_there_is_one(install: Install, bmodel: Path) -> None:
    install()
    assert isinstance(open_session(bmodel), CardSession)
    assert isinstance(open_session(bmodel, engine="card"), CardSession)
