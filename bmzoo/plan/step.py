"""A step is one unit of work as data: commands in a folder of its own, from named inputs to named outputs.

Nothing here runs or reads anything, so that every command of every target can be printed and compared
with no toolchain installed.
"""

from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import Any

HOUR = 3600.0


@dataclass(frozen=True)
class Command:
    """One tool to run inside the step's folder. `stdout` names a file there for what it prints."""

    tool: str
    args: tuple[str, ...] = ()
    stdout: str = ""

    def __str__(self) -> str:
        redirect = f" > {self.stdout}" if self.stdout else ""
        return " ".join((self.tool, *self.args)) + redirect


@dataclass(frozen=True)
class File:
    """A file from outside the zoo, as written in a config; found at the edge, pinned when a digest is given."""

    path: str
    sha256: str = ""


@dataclass(frozen=True)
class Pictures:
    """The first `count` pictures of a folder (all when 0): those named, then the others in name order.

    In the step they are `<name>/00000.jpg`, `<name>/00001.png`, ...
    """

    folder: str
    count: int = 0
    first: tuple[str, ...] = ()


@dataclass(frozen=True)
class ExternalData:
    """What an ONNX file keeps in files beside it, as `<name in the step>/<path below its folder>`: mostly nothing.

    `files`: those that the config pins, by path below the folder of the ONNX file.
    """

    model: File
    files: tuple[File, ...] = ()


@dataclass(frozen=True)
class Output:
    """A file that another step writes."""

    step: "Step"
    file: str


@dataclass(frozen=True)
class Tree:
    """Every file below a folder, as `<name in the step>/<path below the folder>`."""

    folder: str


Input = File | Pictures | Tree | ExternalData | Output


@dataclass(frozen=True)
class Subject:
    """What a step is about: a model with some of its weights, then a chip or quantizer, and the rest for people."""

    model: str = ""
    weights: str = ""
    chip: str = ""
    detail: str = ""

    def __str__(self) -> str:
        named = f"{self.model}.{self.weights}" if self.model else ""
        return " ".join(part for part in (named, self.chip, self.detail) if part)


@dataclass(frozen=True)
class Decision:
    """What a step's result is recognised by where floats of this machine decide it: what it is derived from.

    A decision is a text file that is committed. The digests of intermediate results stay out of its fingerprint, as
    they differ in the last digits from processor to processor; see `decisions.py`.
    """

    kind: str
    settings: str  # canonical JSON
    sources: tuple[tuple[str, Input], ...]
    vendor: bool  # whether the version of TPU-MLIR counts

    def needs(self) -> tuple["Step", ...]:
        """The decisions that this one rests on."""
        return tuple(dict.fromkeys(ref.step for _, ref in self.sources if isinstance(ref, Output)))


@dataclass(frozen=True)
class Step:
    """Commands, what they read (name in the folder -> where from), literal documents, and what they write."""

    kind: str
    subject: Subject
    commands: tuple[Command, ...]
    inputs: tuple[tuple[str, Input], ...]
    outputs: tuple[str, ...]
    documents: tuple[tuple[str, str], ...] = ()
    # The first output is a decision; the others are taken for what it was derived with, and may be missing.
    decision: Decision | None = None
    timeout: float = field(default=HOUR, compare=False)  # seconds for each command; not part of the result
    # Keeps finished pieces in `partial/`, which outlives a kill.
    resumable: bool = field(default=False, compare=False)

    def __str__(self) -> str:
        return self._name

    @cached_property
    def _name(self) -> str:
        return f"{self.kind} {self.subject}".rstrip()

    def __hash__(self) -> int:
        return self._hash

    # Remembered, as it takes the hashes of all steps before this one, and steps are looked up by it all the time.
    @cached_property
    def _hash(self) -> int:
        return hash(
            (self.kind, self.subject, self.commands, self.inputs, self.outputs, self.documents, self.decision)
        )

    def __getstate__(self) -> dict[str, Any]:
        """Without what is remembered: hashes of text differ from one process to the next."""
        return {one.name: getattr(self, one.name) for one in fields(self)}

    @cached_property
    def needs(self) -> tuple["Step", ...]:
        """The steps whose outputs the commands read, each once."""
        return tuple(dict.fromkeys(ref.step for _, ref in self.inputs if isinstance(ref, Output)))

    @cached_property
    def grounds(self) -> tuple["Step", ...]:
        """The steps whose results are needed to compute the fingerprint: for a decision, other decisions only."""
        return self.needs if self.decision is None else self.decision.needs()
