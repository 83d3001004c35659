"""`import`: converts a pinned checkpoint or ONNX file to `model.onnx`, within the onnx 1.6.0 contract."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from bmzoo.errors import SourceError
from bmzoo.onnx_import import contract, retinaface
from bmzoo.onnx_import.checkpoint import load_state_dict
from bmzoo.runtime.engines.session import OnnxSession

# In a batch an engine may sum in another order; results may differ by that rounding and no more.
BATCH_TOLERANCE = 1e-4

# Below the step's folder: the external data of the source.
EXTERNAL = "external"


def run(folder: Path, args: tuple[str, ...]) -> None:
    """Write `model.onnx` and `model.json` (inputs, outputs). Raises SourceError."""
    request = json.loads((folder / args[0]).read_text(encoding="utf-8"))
    shown, spec = request["shown"], request["input"]
    source = folder / request["source"]
    if request["architecture"]:
        model = retinaface.build(load_state_dict(source, shown), spec["height"], spec["width"])
    else:
        model = contract.conform(contract.load_onnx(source, shown, folder / EXTERNAL), shown)
    name = check_input(model, spec, shown)
    data = model.SerializeToString(deterministic=True)
    check_batches(data, name, spec, request["batches"], shown)
    (folder / "model.onnx").write_bytes(data)
    signature = {"input": name, "outputs": [o.name for o in model.graph.output]}
    (folder / "model.json").write_text(json.dumps(signature, indent=1), encoding="utf-8")


def check_input(model: onnx.ModelProto, spec: Mapping[str, Any], shown: str) -> str:
    """The name of the model's only picture input, which must be what the config says. Raises SourceError."""
    weights = {i.name for i in model.graph.initializer}
    inputs = [i for i in model.graph.input if i.name not in weights]
    if len(inputs) != 1:
        names = ", ".join(i.name for i in inputs)
        raise SourceError(
            f"{shown}: exactly one input is expected: {names}",
            "models with several inputs cannot be fed pictures yet",
        )
    if spec["name"] not in (None, inputs[0].name):
        raise SourceError(f"{shown}: no such input: {spec['name']}", f"the model's input is {inputs[0].name}")
    dims = [d.dim_value if d.HasField("dim_value") else 0 for d in inputs[0].type.tensor_type.shape.dim]
    channels = 1 if spec["pixel_format"] == "gray" else 3
    wanted = [0, channels, spec["height"], spec["width"]]
    if len(dims) != 4 or any(d and w and d != w for d, w in zip(dims, wanted, strict=True)):
        raise SourceError(
            f"{shown}: input {inputs[0].name} is not [batch, {channels}, {spec['height']}, {spec['width']}]: "
            f"{[d or 'any' for d in dims]}",
            "correct height, width or pixel_format below `input` in the config",
        )
    return str(inputs[0].name)


def check_batches(data: bytes, name: str, spec: Mapping[str, Any], batches: list[int], shown: str) -> None:
    """Check that each batch gives the same results as its pictures one by one. Raises SourceError.

    TPU-MLIR 1.30.2 compiles a model with a batch size baked into a reshape without an error for bm1684x and bm1688,
    to outputs of the wrong length.
    """
    channels = 1 if spec["pixel_format"] == "gray" else 3
    most = max(batches)
    random = np.random.default_rng(0)
    pictures = random.uniform(0, 255, (most, channels, spec["height"], spec["width"])).astype(np.float32)
    session = OnnxSession(data)
    single = [_run(session, name, pictures[i : i + 1], shown) for i in range(most)] if most > 1 else []
    for batch in batches:
        together = _run(session, name, pictures[:batch], shown)
        for key, value in together.items():
            if value.shape[0] != batch:
                raise _fixed(shown, f"{batch} pictures give {list(value.shape)} in {key}")
            for i in range(batch if batch > 1 else 0):
                if not np.allclose(value[i], single[i][key][0], rtol=BATCH_TOLERANCE, atol=BATCH_TOLERANCE):
                    raise _fixed(shown, f"picture {i} of {batch} differs from the same picture alone in {key}")


def _run(
    session: OnnxSession, name: str, pictures: NDArray[np.float32], shown: str
) -> dict[str, NDArray[np.float32]]:
    try:
        return session.run({name: pictures})
    except Exception as error:  # whatever the engine raises, it could not run this batch
        raise _fixed(
            shown, f"onnxruntime refuses {len(pictures)} pictures: {str(error).splitlines()[0][:160]}"
        ) from None


def _fixed(shown: str, what: str) -> SourceError:
    return SourceError(
        f"{shown}: the batch dimension is not free: {what}",
        "export the model with a symbolic batch, or ask for the batch that it has",
    )
