"""A step on its way to another machine, and what comes back. Pure data: it is pickled."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from bmzoo.errors import BmzooError
from bmzoo.plan.step import Step

TRANSFERS = 8  # files at a time, to and from the channel


@dataclass(frozen=True)
class Wanted:
    """A file that the step reads, and where a worker may find it; whether it has is decided by the sha256.

    A file of an earlier step's result is `name` in the entry of that fingerprint. Any other file lies at `path`
    on the sender's machine, perhaps as `name` below a data folder of the worker's, or in the channel.
    """

    sha256: str
    name: str
    entry: str = ""
    path: str = ""


@dataclass(frozen=True)
class RemoteJob:
    """One step for a worker.

    `inputs` and `pictures`: by name in the step's folder. `material`: as in `fingerprint`, with the identities of
    the sender's tools. `channel`: URL of the store through which inputs and results travel. `witness`: a folder
    that a worker must see when the channel is a plain folder on the sender's machine, else empty. `facts`: what a
    decision is derived from.
    """

    step: Step
    fingerprint: str
    material: Mapping[str, object]
    inputs: Mapping[str, Wanted]
    pictures: Mapping[str, str]
    channel: str
    witness: str = ""
    facts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Outcome:
    """What became of a job. Without `error` and `lacks` the result is in the channel.

    `lacks`: inputs that the worker found nowhere; nothing was run. `warnings`: of the step. `trouble`: with the
    channel. `files`: the log, and after a failure what else lay in the step's folder: name -> content.
    """

    worker: str
    seconds: float = 0.0
    error: BmzooError | None = None
    lacks: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    trouble: tuple[str, ...] = ()
    files: Mapping[str, bytes] = field(default_factory=dict)
