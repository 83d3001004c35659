"""Import of checkpoints and ONNX files as models within the onnx 1.6.0 contract, with a dynamic batch dimension.

Files from outside are untrusted. Nothing here knows chips or quantization.
"""
