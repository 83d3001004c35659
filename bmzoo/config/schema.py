"""A model's config: every key that its YAML file in `configs/` may hold, its type, range and default.

What the network is fed is here, the other sections are in modules of their own beside it.
`configs/schema.json` is this as JSON Schema, for editors.
"""

import json
import sys
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from bmzoo.config.accuracy import Evaluate, Verify
from bmzoo.config.decoding import Decoder
from bmzoo.config.descriptions import described_schema
from bmzoo.config.fields import Section, as_tuple
from bmzoo.config.inputs import Input, TensorInput
from bmzoo.config.quantization import Calibration, Quantization
from bmzoo.config.targets import Exclusion, Selection
from bmzoo.config.weights import Weights

TensorName = Annotated[str, Field(min_length=1, max_length=500)]


def each_once(names: tuple[str, ...]) -> tuple[str, ...]:
    """The names themselves. Raises ValueError for one that is there twice."""
    if twice := [name for index, name in enumerate(names) if name in names[:index]]:
        raise ValueError(f"names a tensor twice: {twice[0]}")
    return names


class ModelConfig(Section):
    """One model and the targets wanted of it; the model's name is the file's."""

    weights: Annotated[tuple[Weights, ...], BeforeValidator(as_tuple), Field(min_length=1)]
    """Where the model can come from; the first that is available is used."""
    input: Input | None = None
    """The picture that the network is fed; left out where it takes none."""
    inputs: dict[str, TensorInput] = Field(default_factory=dict)
    """What else it is fed, by the names of its inputs."""
    outputs: Annotated[tuple[TensorName, ...], BeforeValidator(as_tuple), AfterValidator(each_once)] = ()
    """Tensors at which the network is cut, by their names in the given file: they are its outputs then. The file's
    own when left out.
    """
    contract: Literal["onnx_1_6", "toolchain"] = "onnx_1_6"
    """What an ONNX file is held to: `onnx_1_6` (IR version 6, opset 11, converted down where needed), or what the
    installed TPU-MLIR reads, `toolchain`, for operators that came later.
    """
    decoder: Decoder
    """What its outputs mean."""
    calibration: Calibration | None = None
    """Needed where a target is `int8` or `int4`."""
    quantization: Quantization = Field(default_factory=Quantization)
    """Which layers of INT8 networks stay in float."""
    verify: Verify
    """When an artifact is near enough to the ONNX model."""
    evaluate: Evaluate | None = None
    """Ground truth, for the metric of the field."""
    targets: Annotated[tuple[Selection, ...], BeforeValidator(as_tuple), Field(min_length=1)]
    """What is wanted; a target asked for twice is made once."""
    exclude: Annotated[tuple[Exclusion, ...], BeforeValidator(as_tuple)] = ()
    """Targets to leave out of the above."""


def json_schema() -> str:
    """`ModelConfig` as JSON Schema, for editors that check YAML while it is written."""
    return json.dumps(described_schema(ModelConfig), indent=1, sort_keys=True) + "\n"


if __name__ == "__main__":  # python -m bmzoo.config.schema > configs/schema.json
    sys.stdout.write(json_schema())
