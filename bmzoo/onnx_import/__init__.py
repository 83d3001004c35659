"""From checkpoints and ONNX files to a model within the onnx 1.6.0 contract, with a batch dimension that is free.

Files from outside are untrusted. Nothing here knows chips or quantization.
"""
