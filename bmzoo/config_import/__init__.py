"""Configs made from what people have: an ONNX file, a script that converts one, a `config.yaml` of tpu-perf."""
