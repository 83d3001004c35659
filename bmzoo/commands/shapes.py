"""`shapes`: fixes the batch of a model, whose other sizes its import has fixed."""

from pathlib import Path

import onnx

from bmzoo.errors import ToolFailed


def run(folder: Path, args: tuple[str, ...]) -> None:
    """args: the model, the batch, the model to write. Raises ToolFailed for a size other than the batch's."""
    source, batch, result = args
    model = onnx.load(str(folder / source))
    weights = {tensor.name for tensor in model.graph.initializer}
    for port in model.graph.input:
        sizes = port.type.tensor_type.shape.dim
        if port.name in weights:
            continue
        if any(size.dim_value <= 0 for size in list(sizes)[1:]):
            raise ToolFailed(f"shapes: the import left sizes of input `{port.name}` free")
        if sizes[0].dim_value <= 0:
            sizes[0].dim_value = int(batch)
    onnx.save(model, str(folder / result))
