"""INT8 without the compiler: an emulator in onnxruntime, rankings of layers by sensitivity, the tables of TPU-MLIR.

Works on networks, arrays and texts; which targets there are, and how steps run, is not known here.
"""
