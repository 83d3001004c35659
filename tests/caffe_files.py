"""Caffe files for tests: a prototxt of one input and some layers, and weights in protobuf's wire format."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from bmzoo.onnx_import.caffe import load_caffe

Array = NDArray[np.float32]
Weights = Mapping[str, Sequence[Array]]


def varint(number: int) -> bytes:
    made = bytearray()
    while number > 0x7F:
        made.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*made, number])


def wire(number: int, content: bytes) -> bytes:
    """A field of bytes."""
    return varint(number << 3 | 2) + varint(len(content)) + content


def blob(values: Array) -> bytes:
    dims = b"".join(varint(n) for n in values.shape)
    return wire(7, wire(1, dims)) + wire(5, values.astype("<f4").tobytes())


def caffemodel(weights: Weights) -> bytes:
    """The layers with their weights, and around them what a reader has to pass over."""
    layers = (
        wire(1, name.encode()) + wire(2, b"Some") + b"\x50\x01" + b"".join(wire(7, blob(one)) for one in blobs)
        for name, blobs in weights.items()
    )
    return wire(1, b"a network") + b"".join(wire(100, layer) for layer in layers)


def prototxt(layers: str, shape: Sequence[int]) -> str:
    dims = " ".join(f"dim: {n}" for n in shape)
    return (
        f'name: "n" layer {{ name: "data" type: "Input" top: "x" input_param {{ shape: {{ {dims} }} }} }}\n{layers}'
    )


def written(folder: Path, text: str, weights: Weights | bytes) -> tuple[Path, Path]:
    network, model = folder / "a.prototxt", folder / "a.caffemodel"
    network.write_text(text)
    model.write_bytes(weights if isinstance(weights, bytes) else caffemodel(weights))
    return network, model


def run_layers(folder: Path, layers: str, x: Array, weights: Weights) -> dict[str, Array]:
    """What the imported network gives for `x`, whatever its batch."""
    files = written(folder, prototxt(layers, (1, *x.shape[1:])), weights)
    size = dict(zip(("height", "width"), x.shape[2:], strict=False))
    model = load_caffe(*files, ("a.prototxt", "a.caffemodel"), size)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), options)
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(None, {"x": x}), strict=True))
