"""A model tried at its import: pictures one by one and in batches, and where the two differ."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx.onnx_ml_pb2 import ModelProto

from bmzoo.errors import SessionError, SourceError
from bmzoo.onnx_import.samples import Feeds, stacked
from bmzoo.runtime.engines.session import OnnxSession

# In a batch an engine may sum in another order; results may differ by that rounding and no more.
BATCH_TOLERANCE = 1e-4
Outputs = Mapping[str, NDArray[np.float32]]


class Held(Exception):
    """A batch that is not free: the model that was run, on how many pictures, and what came of it."""

    def __init__(self, model: ModelProto, batch: int, problem: str) -> None:
        super().__init__(problem)
        self.model, self.batch, self.problem = model, batch, problem


@dataclass(frozen=True)
class ImportTrial:
    """What a model is tried on: pictures one by one. `names`: what people call what was renamed, and the model."""

    pictures: tuple[Feeds, ...]
    names: Mapping[str, str]
    shown: str

    def together(self, number: int) -> dict[str, NDArray[Any]]:
        """The first pictures as one batch."""
        return stacked(self.pictures[:number])

    def name(self, now: str) -> str:
        """What people call a tensor or a node."""
        return self.names.get(now, now)

    def opened(self, model: ModelProto) -> OnnxSession:
        """The model in onnxruntime. Raises SourceError where that refuses it."""
        try:
            return OnnxSession(model.SerializeToString())
        except SessionError as error:
            raise SourceError(f"{self.shown}: {reason(error)}", error.hint) from None

    def outputs(self, session: OnnxSession, feeds: Feeds) -> Outputs:
        """What must run, run. Raises SourceError."""
        try:
            return session.run(feeds)
        except SessionError as error:
            raise SourceError(
                f"{self.shown}: cannot be run on {_sizes(feeds)}: {reason(error)}",
                "does it take pictures of this size? See height and width below `input` in the config",
            ) from None


def one_by_one(model: ModelProto, number: int, trial: ImportTrial) -> list[Outputs]:
    """Outputs of each of the first pictures alone. Raises SourceError."""
    session = trial.opened(model)
    return [trial.outputs(session, picture) for picture in trial.pictures[:number]]


def check_batches(model: ModelProto, alone: Sequence[Outputs], batches: Sequence[int], trial: ImportTrial) -> None:
    """Raises Held unless every batch gives what its pictures give alone."""
    session = trial.opened(model)
    for batch in sorted(batches):
        try:
            found = session.run(trial.together(batch))
        except (SessionError, ValueError) as error:  # numpy's, where rows of an input cannot be put together
            raise Held(model, batch, f"{batch} pictures: {reason(error)}") from None
        if problem := differs(found, alone[:batch], trial):
            raise Held(model, batch, problem)


def differs(together: Outputs, alone: Sequence[Outputs], trial: ImportTrial) -> str:
    """How a batch differs from its pictures alone; empty where it does not."""
    return next(_differences(together, alone, trial), "")


def _differences(together: Outputs, alone: Sequence[Outputs], trial: ImportTrial) -> Iterator[str]:
    batch = len(alone)
    for key, value in together.items():
        name, first = trial.name(key), alone[0][key]
        if first.shape[:1] != (1,):
            what = f"is {list(first.shape)} for one picture" if first.shape else "is a scalar"
            yield f"output `{name}` {what}, so its first dimension is not the batch"
        elif value.shape != (batch, *first.shape[1:]):
            yield f"{batch} pictures give {list(value.shape)} in `{name}`, one gives {list(first.shape)}"
        else:
            apart = (i for i, single in enumerate(alone) if not _equal(value[i : i + 1], single[key]))
            yield from (f"picture {i} of {batch} differs from the same picture alone in `{name}`" for i in apart)


def _equal(one: NDArray[np.float32], other: NDArray[np.float32]) -> bool:
    """NaN is what NaN is equal to here: it says nothing about batches."""
    return one.shape == other.shape and np.allclose(
        one, other, rtol=BATCH_TOLERANCE, atol=BATCH_TOLERANCE, equal_nan=True
    )


def reason(error: Exception) -> str:
    """The session names the bytes that it was given, of which people know nothing."""
    text = error.message if isinstance(error, SessionError) else str(error)
    return text.removeprefix("onnx model: ")[:200]


def _sizes(feeds: Feeds) -> str:
    """`a picture of 640x480`, or the shapes of what else was fed."""
    shapes = [value.shape for value in feeds.values()]
    if len(shapes) == 1 and len(shapes[0]) == 4 and shapes[0][0] == 1:
        sides = shapes[0][1:3] if shapes[0][3] in (1, 3, 4) else shapes[0][2:]
        return f"a picture of {sides[1]}x{sides[0]}"
    return ", ".join(str(list(shape)) for shape in shapes)
