"""Post-training quantization: an INT8 emulator in onnxruntime, sensitivity analysis, mixed-precision selection, and
the calibration tables and qtables of TPU-MLIR.

Works on networks, arrays and texts; knows nothing of targets, or of how steps run.
"""
