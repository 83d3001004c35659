"""The messages between client and worker: a job, and its outcome. Pure data, which is pickled."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from bmzoo.errors import BmzooError
from bmzoo.plan.step import Step

TRANSFERS = 8  # files at a time, to and from the channel


@dataclass(frozen=True)
class Wanted:
    """An input file, and where a worker may find it; a candidate must match the sha256.

    A result of an earlier step is file `name` of the entry with fingerprint `entry`. A source file is at `path` on
    the client's machine, and may be `name` below a data folder of the worker's, or in the channel.
    """

    sha256: str
    name: str
    entry: str = ""
    path: str = ""


@dataclass(frozen=True)
class RemoteJob:
    """One step for a worker.

    `inputs` and `pictures`: by name in the step's folder. `material`: as in `fingerprint`, with the identities of
    the client's tools. `channel`: URL of the store that transfers inputs and results. `witness`: where the channel
    is a plain folder on the client's machine, a folder whose presence proves that the worker sees the same disk;
    else empty. `facts`: what a decision is derived from.
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
    """The outcome of a job. Without `error` and `lacks` the result is in the channel.

    `lacks`: inputs that the worker could not find; nothing was run. `warnings`: of the step. `trouble`: errors of
    the channel. `files`: the log, and after a failure the other files of the step's folder: name -> content.
    """

    worker: str
    seconds: float = 0.0
    error: BmzooError | None = None
    lacks: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    trouble: tuple[str, ...] = ()
    files: Mapping[str, bytes] = field(default_factory=dict)
