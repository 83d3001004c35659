"""What the text of a lowering says of each layer."""

from bmzoo.quantization.lowered_layers import Lowered, Quant, input_shapes, lowered_layers

TEXT = r"""
    %1 = "top.Input"(%arg0) {} : (tensor<1x3xf32>) -> tensor<1x3xf32> loc(#loc1)
    %2 = "tpu.Cast"(%1) {with_scale = true} : (tensor<1x3xf32>) -> \
tensor<1x3x!quant.uniform<u8:f16, 5.0E-1>> loc(#loc2)
    %3 = "top.Weight"() : () -> tensor<3x4xi8> loc(#loc3)
    %4 = "tpu.MatMul"(%2, %3, %0) {multipliers = [5226339], rshifts = [30]} : (tensor<1x3xi8>, none) -> \
tensor<1x4x!quant.uniform<i8:f32, 0.25>> loc(#loc4)
    %5:2 = "tpu.Split"(%4) {axis = 1 : si32} : (tensor<1x4xi8>) -> (tensor<1x2x!quant.uniform<i8:f32, 0.25>>, \
tensor<1x2x!quant.uniform<i8:f32, 0.125>>) loc(#loc7)
    %6 = "tpu.Add"(%5#1, %2) {multipliers = [64, 22]} : (tensor<1x2xi8>, tensor<1x3xi8>) -> \
tensor<1x2xf32> loc(#loc8)
    return %6 : tensor<1x2xf32> loc(#loc)
#loc = loc(unknown)
#loc1 = loc("x")
#loc2 = loc("x/a_MatMul_ui8")
#loc3 = loc("w")
#loc4 = loc("/a_MatMul")
#loc5 = loc("left_Split")
#loc6 = loc("r\C3\A9st_Split")
#loc7 = loc(fused[#loc5, #loc6])
#loc8 = loc("sum_Add")
""".replace("\\\n", "")


def test_several_results_and_what_is_read() -> None:
    assert lowered_layers(TEXT) == {
        "x/a_MatMul_ui8": Lowered("Cast", Quant(0.5, unsigned=True), reads=("x",)),
        "/a_MatMul": Lowered("MatMul", Quant(0.25), one_scale=True, reads=("x/a_MatMul_ui8",)),
        "left_Split": Lowered("Split", Quant(0.25), reads=("/a_MatMul",)),
        "rést_Split": Lowered("Split", Quant(0.125), reads=("/a_MatMul",)),
        "sum_Add": Lowered("Add", None, reads=("rést_Split", "x/a_MatMul_ui8")),
    }


def test_the_shapes_of_inputs() -> None:
    assert input_shapes(TEXT) == {"x": (1, 3)}
