"""The loss of outputs that no decoder knows."""

import numpy as np
import pytest

from bmzoo.quantization.loss import Reference, total
from bmzoo.runtime.decoders.spec import DecoderSpec

NONE = DecoderSpec("none")


def test_outputs_of_a_model_without_a_decoder_are_only_tensors() -> None:
    """An output named `scores` has no anchors to weigh, and `landmarks` counts like any other."""
    heads = {name: np.ones((1, 4, 2), np.float32) for name in ("scores", "landmarks", "boxes")}
    reference = Reference(heads, NONE, (8, 8))
    worse = {name: head + 0.5 for name, head in heads.items()}
    noise = reference.noise(worse)
    assert noise == {f"output {name}": pytest.approx(2.0) for name in heads}
    assert total(noise, reference.signal) == pytest.approx(3 * 0.25)


def test_integers_and_flags_differ_without_wrapping_around() -> None:
    heads = {
        "index": np.array([[3, 250]], np.uint8),
        "flag": np.array([[True, False]]),
        "large": np.array([[2**40]], np.int64),
    }
    test = {"index": np.array([[4, 251]], np.uint8), "flag": np.array([[True, True]]), "large": heads["large"]}
    reference = Reference(heads, NONE, (8, 8))
    noise = reference.noise(test)
    assert noise == {"output index": 2.0, "output flag": 1.0, "output large": 0.0}
    assert reference.cosines(test)["large"] == pytest.approx(1)


def test_an_output_of_zeros_agrees_with_itself() -> None:
    heads = {"empty": np.zeros((1, 3), np.float32)}
    reference = Reference(heads, NONE, (8, 8))
    assert reference.cosines(heads) == {"empty": 1.0}
    assert reference.cosines({"empty": np.ones((1, 3), np.float32)}) == {"empty": 0.0}
