"""Whether a model's batch is really free: each batch must give what its pictures give one by one.

TPU-MLIR 1.30.2 compiles a model with a batch size baked into a reshape without an error for bm1684x and bm1688,
to outputs of the wrong length.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bmzoo.errors import SessionError, SourceError
from bmzoo.onnx_import.ports import picture_shape
from bmzoo.runtime.engines.session import OnnxSession

# In a batch an engine may sum in another order; results may differ by that rounding and no more.
BATCH_TOLERANCE = 1e-4
Outputs = Mapping[str, NDArray[np.float32]]


def check_batches(
    data: bytes,
    spec: Mapping[str, Any],
    batches: Sequence[int],
    shown: str,
    given: Mapping[str, str] | None = None,
) -> None:
    """Run single pictures, then each batch. Raises SourceError.

    `given`: names of outputs as people know them, where those in the model are others.
    """
    try:
        session = OnnxSession(data)
    except SessionError as error:
        raise SourceError(f"{shown}: {_reason(error)}", error.hint) from None
    names = {info.name: (given or {}).get(info.name, info.name) for info in session.outputs}
    _check_fixed(session.inputs[0].shape[0], batches, shown)
    pictures = network_inputs(spec, max(batches))
    alone = [_alone(session, picture[None], names, shown) for picture in pictures]
    for batch in batches:
        if batch > 1:
            _compare(_together(session, pictures[:batch], names, shown), alone[:batch], shown)


def network_inputs(spec: Mapping[str, Any], count: int) -> NDArray[np.float32]:
    """Pictures of noise as the network sees them: with the config's mean and scale."""
    channels, *sides = picture_shape(spec)
    pixels = np.random.default_rng(0).integers(0, 256, (count, channels, *sides))
    mean, scale = (np.array(spec[key][:channels]).reshape(-1, 1, 1) for key in ("mean", "scale"))
    return np.asarray((pixels - mean) * scale, np.float32)


def _check_fixed(size: int, batches: Sequence[int], shown: str) -> None:
    others = [batch for batch in batches if size > 0 and batch != size]
    if others:
        asked = "single pictures always are fed" if others == [1] else f"targets ask for {max(others)}"
        raise _fixed(shown, f"its size is {size}, and {asked}")


def _alone(session: OnnxSession, picture: NDArray[np.float32], names: Mapping[str, str], shown: str) -> Outputs:
    try:
        found = session.run({session.inputs[0].name: picture})
    except SessionError as error:
        size = f"{picture.shape[3]}x{picture.shape[2]}"
        raise SourceError(
            f"{shown}: cannot be run on a picture of {size}: {_reason(error)}",
            "does it take pictures of this size? See height and width below `input` in the config",
        ) from None
    for key, value in found.items():
        if not value.shape or value.shape[0] != 1:
            what = "is a scalar" if not value.shape else f"is {list(value.shape)} for one picture"
            raise SourceError(
                f"{shown}: output `{names[key]}` {what}, so its first dimension is not the batch",
                "leave that output out of the export, or give it a batch dimension in front",
            )
    return {names[key]: value for key, value in found.items()}


def _together(session: OnnxSession, pictures: NDArray[np.float32], names: Mapping[str, str], shown: str) -> Outputs:
    try:
        found = session.run({session.inputs[0].name: pictures})
    except SessionError as error:
        raise _fixed(shown, f"{len(pictures)} pictures: {_reason(error)}") from None
    return {names[key]: value for key, value in found.items()}


def _compare(together: Outputs, alone: Sequence[Outputs], shown: str) -> None:
    batch = len(alone)
    for key, value in together.items():
        if not value.shape or value.shape[0] != batch:
            raise _fixed(shown, f"{batch} pictures give {list(value.shape)} in `{key}`")
        for i, single in enumerate(alone):
            if value[i].shape != single[key][0].shape:
                sizes = f"{list(value[i].shape)} and not {list(single[key][0].shape)}"
                raise _fixed(shown, f"picture {i} of {batch} gives {sizes} as alone in `{key}`")
            if not _equal(value[i], single[key][0]):
                raise _fixed(shown, f"picture {i} of {batch} differs from the same picture alone in `{key}`")


def _equal(one: NDArray[np.float32], other: NDArray[np.float32]) -> bool:
    """NaN is what NaN is equal to here: it says nothing about batches."""
    return np.allclose(one, other, rtol=BATCH_TOLERANCE, atol=BATCH_TOLERANCE, equal_nan=True)


def _reason(error: SessionError) -> str:
    """The session names the bytes that it was given, of which people know nothing."""
    return error.message.removeprefix("onnx model: ")[:200]


def _fixed(shown: str, what: str) -> SourceError:
    return SourceError(
        f"{shown}: the batch dimension is not free: {what}",
        "export the model with a symbolic batch, or ask for the batch that it has",
    )
