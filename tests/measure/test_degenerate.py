"""Outputs that agree with anything are no agreement."""

import numpy as np
import pytest
from numpy.typing import NDArray

from bmzoo.errors import VerifyFailed
from bmzoo.measure.degenerate import check_alive, check_reference

Head = NDArray[np.float32]


def noise(*shape: int, low: float = 0.0, high: float = 1.0) -> Head:
    return np.random.default_rng(0).uniform(low, high, shape).astype(np.float32)


PICTURES = noise(3, 2, 4, 4)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_values_that_are_no_numbers_are_no_outputs(bad: float) -> None:
    broken = noise(3, 5)
    broken[2, 4] = bad
    with pytest.raises(VerifyFailed, match="output b: the ONNX model gives NaN or infinity"):
        check_reference({"a": noise(3, 5), "b": broken}, PICTURES)
    with pytest.raises(VerifyFailed, match="output b: the simulator gives NaN or infinity"):
        check_alive({"b": noise(3, 5)}, {"b": broken}, "the simulator")


def test_no_values_are_no_outputs() -> None:
    with pytest.raises(VerifyFailed, match=r"output a: the ONNX model gives no values: \[3, 0\]"):
        check_reference({"a": noise(3, 0)}, PICTURES)


@pytest.mark.parametrize(
    ("heads", "said"),
    [
        ({"a": np.zeros((3, 5), np.float32)}, "one value everywhere"),
        ({"a": np.full((1, 5), 0.7, np.float32)}, "one value everywhere"),
        ({"a": np.zeros((3, 5), np.float32), "b": np.ones((3, 1), np.float32)}, "one value everywhere"),
        ({"a": np.repeat(noise(1, 5), 3, axis=0)}, "the same for 3 pictures"),
        ({"a": np.repeat(noise(1, 5), 3, axis=0), "b": np.zeros((3, 5), np.float32)}, "the same for 3 pictures"),
    ],
)
def test_a_model_that_does_not_look_at_its_picture_is_no_reference(heads: dict[str, Head], said: str) -> None:
    with pytest.raises(VerifyFailed, match=f"^nothing was compared: the ONNX model gives {said}"):
        check_reference(heads, PICTURES[: len(heads["a"])])


@pytest.mark.parametrize(
    "heads",
    [
        {"a": noise(3, 5), "priors": np.repeat(noise(1, 5), 3, axis=0), "offsets": np.zeros((3, 5), np.float32)},
        {"a": noise(3, 1)},
        {"a": noise(1, 5)},
        {"a": noise(1, 1)},  # one value of one picture: nobody can tell
    ],
)
def test_one_output_that_moves_is_a_reference(heads: dict[str, Head]) -> None:
    check_reference(heads, PICTURES[: len(heads["a"])])


def test_one_picture_fed_twice_gives_the_same_twice() -> None:
    check_reference({"a": np.repeat(noise(1, 5), 2, axis=0)}, np.repeat(PICTURES[:1], 2, axis=0))


@pytest.mark.parametrize("value", [0.0, 0.5, 1.0])
def test_a_constant_does_not_agree_with_what_moves(value: float) -> None:
    scores, constant = noise(3, 50, low=0.8), np.full((3, 50), value, np.float32)
    said = rf"output a: the simulator gives {value:g} everywhere, the ONNX model 0\.8"
    with pytest.raises(VerifyFailed, match=said):
        check_alive({"a": scores}, {"a": constant}, "the simulator")


def test_one_result_for_all_pictures_does_not_agree_with_one_for_each() -> None:
    scores = noise(3, 50, low=0.8)
    said = "output a: its MLIR gives the same for 3 pictures, the ONNX model does not"
    with pytest.raises(VerifyFailed, match=said):
        check_alive({"a": scores}, {"a": np.repeat(scores[:1], 3, axis=0)}, "its MLIR")


def test_what_hardly_moves_may_stand_still_in_few_bits() -> None:
    sure = noise(3, 50, low=0.99)
    check_alive({"a": sure}, {"a": np.ones((3, 50), np.float32)}, "the simulator")
    still = {"offsets": np.zeros((3, 50), np.float32)}
    check_alive(still, still, "the simulator")
