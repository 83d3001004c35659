"""Inputs that are no pictures: audio, token ids, a state. What to feed them, no file says."""

from collections.abc import Mapping, Sequence
from typing import Any

from bmzoo.config_import.draft import Draft
from bmzoo.config_import.facts import known
from bmzoo.onnx_import.onnx_file import ValueInfo

_SAMPLES = 32  # to calibrate with: as many as scales of channels are found from


_SAMPLED = "a .npy or .npz of samples, or a folder of these; or `random: {distribution: integers, high: N}` instead"


def put_tensors(
    draft: Draft, ports: Sequence[ValueInfo], stated: Mapping[str, Sequence[int]] | None = None
) -> None:
    """Write a section for each of the ports: values drawn where they are floats, else what is missing.

    `stated`: shapes that the source says, by name, where a file leaves them free.
    """
    for port in ports:
        shape = (stated or {}).get(port.name)
        section = _values(draft, port)
        section |= {"shape": list(shape)} if shape else _shape(draft, f"inputs.{port.name}", port.shape or ())
        draft.put("inputs", {**draft.config.get("inputs", {}), port.name: section})


def put_counts(draft: Draft) -> None:
    """How many samples, for networks that take no pictures."""
    draft.put("calibration.count", _SAMPLES, "samples of `inputs`")
    draft.put("verify.floats", 2)


def _values(draft: Draft, port: ValueInfo) -> dict[str, Any]:
    path, shape = f"inputs.{port.name}", list(port.shape or ())
    said = f"{port.dtype} [{', '.join(map(str, shape))}]"
    if port.dtype.startswith("float") and port.shape != ():
        drawn = "drawn, so that it builds: figures mean little before `samples` are named"
        draft.comments[("inputs", port.name)] = drawn
        draft.say("guessed", f"{path}: {drawn}; {said}")
        return {"random": {"distribution": "normal"}}
    key, what = ("value", "its value") if port.shape == () else ("samples", _SAMPLED)
    draft.say("unknown", f"{path}.{key}: {what}: {said}")
    return {key: f"TODO {what}: {said}"}


def _shape(draft: Draft, path: str, shape: Sequence[int | str]) -> dict[str, Any]:
    """The shape for a batch of 1, where the file leaves dimensions free; only the batch is known to become 1."""
    free = [at for at, side in enumerate(shape) if known(side) is None]
    if not free:
        return {}
    if free == [0] or [str(shape[at]).lower().startswith("batch") for at in free] == [True]:
        return {"shape": [known(side) or 1 for side in shape]}
    what = f"its shape for a batch of 1, of which the file says [{', '.join(map(str, shape))}]"
    draft.say("unknown", f"{path}.shape: {what}")
    return {"shape": f"TODO {what}"}
