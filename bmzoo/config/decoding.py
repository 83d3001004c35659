"""The section of a model's config that says what its outputs mean."""

from typing import Annotated, Any

from pydantic import BeforeValidator, Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from bmzoo.config.fields import OneOf, Pixels, Ratio, Section, as_tuple
from bmzoo.runtime.decoders.registry import DECODERS, unread
from bmzoo.runtime.decoders.spec import DecoderSpec, unlike

Sizes = Annotated[tuple[Pixels, ...], Field(min_length=1)]
Variance = Annotated[float, Field(gt=0, le=10)]


class Decoder(Section):
    """What the outputs mean. A decoder reads some of the keys, and refuses the others."""

    kind: Annotated[str, OneOf(DECODERS)]
    """What the outputs are; `none` where nobody knows, and only tensors are compared."""
    strides: Annotated[Sizes, BeforeValidator(as_tuple)] = DecoderSpec.strides
    """Pixels of the input for each cell of a head, by level."""
    min_sizes: Annotated[tuple[Sizes, ...], BeforeValidator(as_tuple)] = DecoderSpec.min_sizes
    """Sides of the anchors in pixels, by level."""
    variance: Annotated[tuple[Variance, Variance], BeforeValidator(as_tuple)] = DecoderSpec.variance
    """Scales of the offsets of centres and of sizes."""
    nms: Ratio = 0.4
    """Largest overlap (IoU) of two objects of a class that both stay."""

    @model_validator(mode="after")
    def _read(self) -> "Decoder":
        for key in sorted(self.model_fields_set):
            if problem := unread(self.kind, key):
                raise ValueError(problem)
        if problem := unlike(self.kind, self.strides, self.min_sizes, DecoderSpec.anchors):
            raise ValueError(problem)
        return self

    @model_serializer(mode="wrap")
    def _told(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """What the decoder reads, and no more: a key that is new to another one changes nothing here."""
        told: dict[str, Any] = handler(self)
        return {key: value for key, value in told.items() if not unread(self.kind, key)}
