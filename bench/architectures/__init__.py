"""Published networks written as ONNX graphs with random weights, for what does not depend on weights: time."""
