import pytest

from bmzoo.commands.table import rounded
from bmzoo.errors import SourceError
from bmzoo.quantization.tables import calibrated, check_names, float_layers, tensors_of

TABLE = """\
# mlir version: v1.30.2-20260831 cali version 1.0
# mlir: model.mlir
# quantization threshold calculation method: kl
# generated time: 2026-11-21 08:44:47.514431
# sample number: 100
###
# tune number: 5
###
# op_name    threshold    min    max
input 151.0000000 -123.0000000 151.0000000
conv_Conv 4.0090202 -7.6950350 6.5216389
relu 2.5e-01 -1e-07 6.5

loc/Concat:0 1.0 -1.0 1.0
#int4_th
input 149.0 -123.0 151.0
conv_Conv 3.0 -7.7 6.5
"""
MLIR = """\
#loc = loc(unknown)
module @m attributes {module.chip = "ALL"} {
  func.func @main(%arg0: tensor<1x3x8x8xf32> loc(unknown)) -> (tensor<1x4x8x8xf32>) {
    %0 = "top.Input"(%arg0) : (tensor<1x3x8x8xf32>) -> tensor<1x3x8x8xf32> loc(#loc1)
    %1 = "top.Relu"(%0) {relu_limit = -1.0 : f64} : (tensor<1x3x8x8xf32>) -> tensor<1x3x8x8xf32> loc(#loc4)
    %2 = "top.Relu"(%1) : (tensor<1x3x8x8xf32>) -> tensor<1x3x8x8xf32> loc("in place")
    return %2 : tensor<1x3x8x8xf32> loc(#loc)
  } loc(#loc)
} loc(#loc)
#loc1 = loc("input")
#loc2 = loc("conv_Conv")
#loc3 = loc("part/1:0")
#loc4 = loc(fused[#loc2, #loc3])
"""


def test_a_calibration_table_names_its_tensors_in_order_without_later_sections() -> None:
    assert calibrated(TABLE) == ("input", "conv_Conv", "relu", "loc/Concat:0")


def test_an_old_table_with_thresholds_only_is_read() -> None:
    assert calibrated("# op_name threshold\nx 4.13\ny 1\n") == ("x", "y")


def test_a_table_without_tensors_is_empty() -> None:
    assert calibrated("") == calibrated("# op_name    threshold    min    max\n###\n#\n") == ()


@pytest.mark.parametrize(
    "line", ["x", "x 1.0 2.0", "x 1 2 3 4", "x one two three", "a name 1.0 -1.0 1.0", "\x00\x01", "x 1,0"]
)
def test_a_line_that_is_no_row_is_named(line: str) -> None:
    with pytest.raises(ValueError, match="^line 2 is not `name threshold min max`: ") as caught:
        calibrated(f"# op_name threshold min max\n{line}\ny 1.0 -1.0 1.0\n")
    assert line in str(caught.value)


def test_a_qtable_is_layers_and_modes() -> None:
    text = "# op_name   quantize_mode\n\nconv_Conv F32\nrelu bf16\n  last   INT8  \n"
    assert float_layers(text) == (("conv_Conv", "F32"), ("relu", "BF16"), ("last", "INT8"))


@pytest.mark.parametrize("line", ["conv_Conv", "conv_Conv F64", "conv Conv F32", "F32 conv_Conv"])
def test_a_line_that_is_no_layer_and_mode_is_named(line: str) -> None:
    with pytest.raises(ValueError, match=f"^line 1 is not `layer mode` .* F32, F16, BF16, INT8, INT4: {line}$"):
        float_layers(line)


def test_tensors_are_found_behind_every_kind_of_location() -> None:
    assert tensors_of(MLIR) == {"input", "conv_Conv", "part/1:0", "in place"}


def test_a_text_without_locations_has_no_tensors() -> None:
    assert tensors_of("") == tensors_of("#loc = loc(unknown)\n") == frozenset()


def test_names_of_this_model_pass() -> None:
    check_names("table", ["input", "conv_Conv"], frozenset({"input", "conv_Conv", "relu"}))
    check_names("table", [], frozenset())


def test_a_name_of_another_model_is_refused_with_the_nearest() -> None:
    with pytest.raises(SourceError) as caught:
        check_names("qtable", ["input", "conv_Con", *"abcdef"], frozenset({"input", "conv_Conv"}))
    assert caught.value.message == "qtable: 7 names are not in this model: conv_Con, a, b, c"
    assert caught.value.hint.startswith("nearest to conv_Con: conv_Conv; ")


def test_a_table_is_rounded_and_does_not_say_when_it_was_made() -> None:
    for word in ("generated", "genetated"):  # the tool's own spelling
        text = rounded(TABLE.replace("generated", word))
        assert text.splitlines()[0] == "# mlir version: v1.30.2-20260831 cali version 1.0"
        assert "time:" not in text and "# mlir:" not in text
        assert "# tune number: 5" in text and "#int4_th\ninput 149" in text
        assert calibrated(text) == calibrated(TABLE)


def test_numbers_keep_three_digits_and_their_sign() -> None:
    text = rounded("x 11.3659267 -11.3659277 0.00012345678\ny 1e-12 -0.0 99950.0\n")
    assert text == "x 11.4 -11.4 0.000123\ny 1e-12 -0 1e05\n"
    assert rounded(text) == text


def test_two_runs_of_the_tool_give_one_table() -> None:
    later = TABLE.replace("08:44:47.514431", "09:12:00.000001").replace("mlir: model", "mlir: /elsewhere/model")
    assert rounded(later) == rounded(TABLE)
