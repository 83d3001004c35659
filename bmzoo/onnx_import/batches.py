"""A model's batch: free and proven so, freed, or left at one picture.

TPU-MLIR 1.30.2 compiles a model with a batch size baked into a reshape without an error for bm1684x and bm1688,
to outputs of the wrong length. So each batch must give what its pictures give one by one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from onnx.onnx_ml_pb2 import ModelProto

from bmzoo.errors import SessionError, SourceError
from bmzoo.onnx_import.freeing import FREE_BATCH, freed, with_leading
from bmzoo.onnx_import.holders import holder
from bmzoo.onnx_import.leading import leading
from bmzoo.onnx_import.onnx_file import io_signature
from bmzoo.onnx_import.samples import network_feeds
from bmzoo.onnx_import.trial import Held, ImportTrial, Outputs, check_batches, differs, one_by_one, reason


@dataclass(frozen=True)
class Settled:
    """A model as it is built. `batch`: what it takes at a time, None where that is free.

    `freed`: it was not free in the file. `reshaped`: outputs that got a dimension for the picture in front.
    `seen`: its outputs for a picture of noise, or for a batch of them where it takes no less.
    """

    model: ModelProto
    batch: int | None = None
    freed: bool = False
    reshaped: tuple[str, ...] = ()
    seen: Outputs = field(default_factory=dict, compare=False, repr=False)


def settle(
    model: ModelProto,
    spec: Mapping[str, Any] | None,
    batches: Sequence[int],
    shown: str,
    given: Mapping[str, str] | None = None,
) -> Settled:
    """The model with the batch that its targets ask for. Raises SourceError, naming the node that holds another.

    `given`: names as people know them, where those in the model are others.
    """
    size = batch_of(model)
    ports = io_signature(model).inputs
    pictures = tuple(network_feeds(ports, spec, seed) for seed in range(max(2, size, *batches)))
    trial = ImportTrial(pictures, given or {}, shown)
    if size == 0:
        return _free_by_name(model, batches, trial)
    if set(batches) == {size}:
        return _as_it_is(model, size, trial)
    return _freed(model, size, batches, trial)


def batch_of(model: ModelProto) -> int:
    """The batch that a model's first input holds, 0 where it is free."""
    shape = io_signature(model).inputs[0].shape or (0,)
    return shape[0] if isinstance(shape[0], int) else 0


def _free_by_name(model: ModelProto, batches: Sequence[int], trial: ImportTrial) -> Settled:
    """A model whose batch has no size: verification feeds several pictures, so two must work in any case."""
    several = [batch for batch in batches if batch > 1]
    alone = one_by_one(model, max([2, *several]), trial)
    try:
        check_batches(model, alone, several or [2], trial)
    except Held:
        one = with_leading(model, 1)
        return _freed(one, 1, batches, trial) if several else _as_it_is(one, 1, trial)
    return Settled(model, seen=alone[0])


def _as_it_is(model: ModelProto, size: int, trial: ImportTrial) -> Settled:
    """The model at the batch that it holds; its outputs begin with a picture where that is one."""
    if size > 1:
        return Settled(model, size, seen=trial.outputs(trial.opened(model), trial.together(size)))
    found = one_by_one(model, 2, trial)
    for name, value in found[0].items():
        if value.shape != found[1][name].shape:
            sizes = f"{list(value.shape)} and {list(found[1][name].shape)}"
            raise SourceError(
                f"{trial.shown}: output `{trial.name(name)}` is of another shape for each picture: {sizes}",
                "a chip computes fixed shapes: cut the network before that: `outputs: [tensors]` in the config",
            )
    reshaped = {name: value.shape for name, value in found[0].items() if value.shape[:1] != (1,)}
    return Settled(leading(model, reshaped), 1, reshaped=tuple(reshaped), seen=found[0])


def _freed(model: ModelProto, size: int, batches: Sequence[int], trial: ImportTrial) -> Settled:
    """The model with its batch free, and the same outputs picture by picture. Raises SourceError."""
    result = freed(model, size)
    try:
        alone = _each(model, size, result, trial)
        check_batches(result, alone, [batch for batch in {2, size, *batches} if batch > 1], trial)
    except Held as held:
        raise _not_free(trial, size, max(batches), held) from None
    return Settled(_sized(result, alone[0]), freed=True, seen=alone[0])


def _each(model: ModelProto, size: int, result: ModelProto, trial: ImportTrial) -> list[Outputs]:
    """Outputs of each picture alone. Raises Held unless they are what the given model has for its batch."""
    wanted = trial.outputs(trial.opened(model), trial.together(size))
    session = trial.opened(result)
    alone: list[Outputs] = []
    for picture in trial.pictures:
        try:
            alone.append(session.run(picture))
        except SessionError as error:
            raise Held(result, 1, f"one picture alone: {reason(error)}") from None
    if problem := differs(wanted, alone[:size], trial):
        raise Held(result, max(size, 2), problem)
    return alone


def _sized(model: ModelProto, outputs: Outputs) -> ModelProto:
    """Outputs with the shapes that they have, in place."""
    for port in model.graph.output:
        shape = port.type.tensor_type.shape
        del shape.dim[:]
        shape.dim.add().dim_param = FREE_BATCH
        for side in outputs[port.name].shape[1:]:
            shape.dim.add().dim_value = side
    return model


def _not_free(trial: ImportTrial, size: int, asked: int, held: Held) -> SourceError:
    feeds = [] if held.batch < 2 else [trial.together(held.batch)]
    kind, name = holder(held.model, trial.pictures[: held.batch], *feeds) if feeds else ("", "")
    where = f", held by {kind} `{trial.name(name)}`" if kind else ""
    want = f"targets ask for {asked}" if asked > 1 else "single pictures always are fed"
    only = "ask for batch 1 only, or " if size == 1 else ""
    return SourceError(
        f"{trial.shown}: the batch dimension is not free{where}: its size is {size}, and {want}: {held.problem}",
        f"{only}export the model with a symbolic batch; `outputs` in the config cuts off what is not by picture",
    )
