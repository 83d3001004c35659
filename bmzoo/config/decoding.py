"""The section of a model's config that says what its outputs mean."""

from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from bmzoo.config.fields import MAX_SIDE, OneOf, PathText, Pixels, Ratio, Section, as_tuple
from bmzoo.runtime.decoders.registry import DECODERS, unread
from bmzoo.runtime.decoders.spec import POINT_UNITS, DecoderSpec, not_pairs, unlike

Sizes = Annotated[tuple[Pixels, ...], Field(min_length=1)]
Variance = Annotated[float, Field(gt=0, le=10)]


def _pairs(anchors: tuple[float, ...]) -> tuple[float, ...]:
    if problem := not_pairs(anchors):
        raise ValueError(problem)
    return anchors


def _names(value: Any) -> Any:
    """A list of names, or the path of a file. One check for both, as a union would name its branches in errors."""
    listed = isinstance(value, list | tuple) and value and all(isinstance(v, str) and v for v in value)
    if not (listed or (isinstance(value, str) and value)):
        raise ValueError(f"must be a list of names, or the path of a text file with one a line: {value!r:.60}")
    return as_tuple(value)


Names = Annotated[
    tuple[str, ...] | str, BeforeValidator(_names, json_schema_input_type=list[str] | str), Field(max_length=65536)
]
AnchorSizes = Annotated[tuple[Annotated[float, Field(gt=0, le=MAX_SIDE)], ...], AfterValidator(_pairs)]


class Decoder(Section):
    """What the outputs mean. A decoder reads some of the keys, and refuses the others."""

    kind: Annotated[str, OneOf(DECODERS)] = "plugin"
    """What the outputs are; `none` where nobody knows, and only tensors are compared. `plugin` goes without it."""
    strides: Annotated[Sizes, BeforeValidator(as_tuple)] = DecoderSpec.strides
    """Pixels of the input for each cell of a head, by level."""
    min_sizes: Annotated[tuple[Sizes, ...], BeforeValidator(as_tuple)] = DecoderSpec.min_sizes
    """Sides of the anchors in pixels, by level."""
    variance: Annotated[tuple[Variance, Variance], BeforeValidator(as_tuple)] = DecoderSpec.variance
    """Scales of the offsets of centres and of sizes."""
    anchors: Annotated[tuple[AnchorSizes, ...], BeforeValidator(as_tuple)] = DecoderSpec.anchors
    """Widths and heights of the anchors in pixels, in turn, by level."""
    classes: Names = DecoderSpec.classes
    """Names of the classes in their order, or a text file with one a line; without them classes are numbers."""
    characters: Names = DecoderSpec.characters
    """The characters after the blank, or a text file with one a line; left out, the model's own, if it has them."""
    points: Annotated[str, OneOf(POINT_UNITS)] = DecoderSpec.points
    """The unit of landmarks: shares of the input's width and height, or its pixels."""
    binarize: Annotated[float, Field(gt=0, lt=1)] = DecoderSpec.binarize
    """Lowest probability of a pixel of text."""
    unclip: Annotated[float, Field(gt=0, le=10)] = DecoderSpec.unclip
    """How far the outline of text is moved out: times its area, divided by its length."""
    plugin: PathText | None = None
    """A Python file with a decoder of your own; it runs with your rights, as a step of the build."""
    nms: Ratio = 0.4
    """Largest overlap (IoU) of two objects of a class that both stay."""

    @model_validator(mode="after")
    def _read(self) -> "Decoder":
        for key in sorted(self.model_fields_set):
            if problem := unread(self.kind, key):
                raise ValueError(problem)
        if problem := unlike(self.kind, self.strides, self.min_sizes, self.anchors):
            raise ValueError(problem)
        if (self.kind == "plugin") != (self.plugin is not None):
            raise ValueError("plugin is missing: the Python file that has the decoder")
        return self

    @model_serializer(mode="wrap")
    def _told(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """What the decoder reads, and no more: a key that is new to another one changes nothing here."""
        told: dict[str, Any] = handler(self)
        return {key: value for key, value in told.items() if not unread(self.kind, key)}
