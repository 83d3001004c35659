"""A Caffe network, `.prototxt` and `.caffemodel`, as ONNX; neither Caffe nor its schema is needed."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from onnx.onnx_ml_pb2 import ModelProto

from bmzoo.errors import SourceError, nearest
from bmzoo.onnx_import.caffe_graph import CaffeGraph
from bmzoo.onnx_import.caffe_layers import CONVERSIONS
from bmzoo.onnx_import.caffe_net import DEPLOY, CaffeLayer, network
from bmzoo.onnx_import.caffe_text import read_text
from bmzoo.onnx_import.caffe_wire import read_blobs

_TRAINING = ("Accuracy", "Data", "EuclideanLoss", "HDF5Data", "ImageData", "SmoothL1Loss", "SoftmaxWithLoss")


def load_caffe(prototxt: Path, weights: Path, shown: tuple[str, str], spec: Mapping[str, Any]) -> ModelProto:
    """The network as ONNX (opset 11, IR version 6) with a free batch, BatchNorm and Scale folded where they can be.

    `shown`: what errors call the two files. Height and width are those of a config's input section `spec`, else
    the file's. Inputs and outputs, the blobs that nobody reads, are float32 and keep their names. Raises
    SourceError for what is damaged or cannot be converted, naming the layer.
    """
    try:
        content = prototxt.read_bytes()
    except OSError as err:
        raise SourceError(f"{shown[0]}: cannot be read: {err.strerror or err}", "check the path") from None
    net = network(read_text(content, shown[0]), read_blobs(weights, shown[1]), shown[0])
    inputs = {name: _sized(shape, spec) for name, shape in net.inputs.items()}
    graph = CaffeGraph(inputs, net.readers)
    for layer in net.layers:
        if layer.kind not in CONVERSIONS:
            raise _unknown(layer)
        if layer not in graph.taken:
            CONVERSIONS[layer.kind](graph, layer)
    if not net.outputs:
        raise SourceError(f"{shown[0]}: no outputs: every blob is read by a layer", DEPLOY)
    outputs = {name: graph.shapes[name][1:] for name in net.outputs}
    return graph.model("caffe", {name: shape[1:] for name, shape in inputs.items()}, outputs)


def _sized(shape: tuple[int, ...], spec: Mapping[str, Any]) -> tuple[int, ...]:
    """The shape of an input with a batch of 1, a picture in the config's height and width."""
    if len(shape) != 4:
        return (1, *shape[1:])
    return (1, shape[1], spec.get("height") or shape[2], spec.get("width") or shape[3])


def _unknown(layer: CaffeLayer) -> SourceError:
    if layer.kind in _TRAINING:
        return layer.wrong("only for training", DEPLOY)
    guess = nearest(layer.kind, CONVERSIONS)
    near = f"did you mean {guess}? " if guess else ""
    return layer.wrong("a layer that cannot be converted", f"{near}known: {', '.join(CONVERSIONS)}")
