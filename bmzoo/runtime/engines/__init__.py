"""What runs a network: onnxruntime, pymlir, the chip simulator, a card; `registry` lists them."""
