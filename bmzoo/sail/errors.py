"""sail's exceptions, under its own names. All derive from Exception; no error ends the process."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, FrozenSet

# Result of a failed call where sail returns codes; 0 is success. The reason is logged.
FAILED = 1


class SailError(Exception):
    """Base of this runtime's errors; the real module has no common base."""


class SailDeviceError(SailError):
    """No such device."""


class SailTensorError(SailError):
    """A tensor without the memory, shape or type that was asked for."""


class SailEngineError(SailError):
    """A model that cannot be loaded, or a call that does not fit it."""


class SailBMImageError(SailError):
    """An image operation that the formats or sizes do not allow."""


class SailDecoderError(SailError):
    """No frame could be read."""


class SailEncoderError(SailError):
    """Never raised here: there is no encoder."""


class SailUnknownError(SailError):
    """Never raised here."""


class MemoryError(SailError):  # sail's name
    """A copy outside of a tensor's memory."""


class NotSupport(SailError):
    """Part of the real sail, but not of this runtime."""


class DataTypeError(SailError):
    """A copy between tensors of different types."""


class Partial:
    """Base of classes that implement only part of sail's methods: the others raise NotSupport by name."""

    LEFT_OUT: ClassVar[FrozenSet[str]] = frozenset()

    if not TYPE_CHECKING:  # a type checker would accept any attribute

        def __getattr__(self, name: str) -> None:
            owner = type(self).__name__
            if name in self.LEFT_OUT:
                raise NotSupport(f"{owner}.{name}: not in bmzoo.sail, needs a real card")
            raise AttributeError(f"`{owner}` has no attribute: {name}")
