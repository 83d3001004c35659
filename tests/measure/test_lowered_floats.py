"""What of a lowered integer network is float, and what that allows between engines."""

import pytest

from bmzoo.config.model import DEFAULT_THRESHOLDS, FLOATS_INSIDE
from bmzoo.measure.lowered_floats import Floats, floats_of
from bmzoo.measure.verdict import between_engines

INT = "tensor<1x4x!quant.uniform<i8:f32, 0.01>>"
INT2 = "tensor<1x4x!quant.uniform<u8:f16, 0.02>>"
HALF = "tensor<1x4x!quant.calibrated<f16<-1.0:1.0>>>"
GIVEN = "tensor<1x4x!quant.calibrated<f32<-1.0:1.0>>>"


def mlir(*layers: tuple[str, str, str]) -> str:
    """Layers one after another: operation, type of what it reads, type of what it gives."""
    lines = [
        f'    %{i + 1} = "{kind}"(%{i}) {{a = 1 : i64}} : ({before}) -> {after} loc(#loc{i})'
        for i, (kind, before, after) in enumerate(layers)
    ]
    return "\n".join(
        ['    %0 = "top.None"() : () -> none loc(#loc)', *lines, "    return %9 : tensor<1x4xf32> loc(#loc)"]
    )


INPUT = ("top.Input", "tensor<1x4xf32>", GIVEN)
START = (INPUT, ("tpu.Cast", GIVEN, INT), ("tpu.Conv2D", INT, INT))
TO_HALF, BACK = ("tpu.Cast", INT, "tensor<1x4xf16>"), ("tpu.Cast", HALF, INT2)
SOFTMAX = ("tpu.Softmax", "tensor<1x4xf16>", HALF)
END = ("tpu.Cast", INT, "tensor<1x4xf32>")
NETWORKS = [
    ("all integers", mlir(*START, END), Floats()),
    ("at the end", mlir(*START, TO_HALF, SOFTMAX, ("tpu.Cast", HALF, "tensor<1x4xf32>")), Floats(("f16",))),
    ("inside", mlir(*START, TO_HALF, SOFTMAX, BACK, END), Floats(("f16",), 1)),
    (
        "by way of another type",
        mlir(*START, TO_HALF, SOFTMAX, ("tpu.Cast", HALF, "tensor<1x4xf32>"), ("tpu.Cast", "tensor<1x4xf32>", INT)),
        Floats(("f16",), 1),
    ),
    ("from the input on", mlir(INPUT, ("tpu.Conv2D", GIVEN, "tensor<1x4xf32>"), BACK, END), Floats(("f32",), 1)),
]


@pytest.mark.parametrize(("text", "found"), [row[1:] for row in NETWORKS], ids=[row[0] for row in NETWORKS])
def test_what_is_float(text: str, found: Floats) -> None:
    assert floats_of(text) == found


def test_limits_follow_from_what_is_float() -> None:
    assert between_engines({"equal": True}).model_dump(exclude_none=True) == {}
    assert between_engines({"floats": ["f16"]}).engines == DEFAULT_THRESHOLDS["fp16"].engines
    assert between_engines({"floats": ["bf16", "f16"]}).engines == DEFAULT_THRESHOLDS["bf16"].engines
    assert between_engines({"floats": ["f16"], "requantized": 2}) == FLOATS_INSIDE
