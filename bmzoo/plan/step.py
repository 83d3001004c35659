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
class Output:
    """A file that another step writes."""

    step: "Step"
    file: str


@dataclass(frozen=True)
class Tree:
    """Every file below a folder, as `<name in the step>/<path below the folder>`."""

    folder: str


Input = File | Pictures | Tree | Output


@dataclass(frozen=True)
class Step:
    """Commands, what they read (name in the folder -> where from), literal documents, and what they write."""

    kind: str
    subject: str
    commands: tuple[Command, ...]
    inputs: tuple[tuple[str, Input], ...]
    outputs: tuple[str, ...]
    documents: tuple[tuple[str, str], ...] = ()
    timeout: float = field(default=HOUR, compare=False)  # seconds for each command; not part of the result
    # A slow step with a deterministic result: it stands for its result in fingerprints, so that those who read it
    # can be found without running it.
    deferred: bool = field(default=False, compare=False)
    # Keeps finished pieces in `partial/`, which outlives a kill.
    resumable: bool = field(default=False, compare=False)

    def __str__(self) -> str:
        return f"{self.kind} {self.subject}"

    def __hash__(self) -> int:
        return self._hash

    # Remembered, as it takes the hashes of all steps before this one, and steps are looked up by it all the time.
    @cached_property
    def _hash(self) -> int:
        return hash((self.kind, self.subject, self.commands, self.inputs, self.outputs, self.documents))

    def __getstate__(self) -> dict[str, Any]:
        """Without what is remembered: hashes of text differ from one process to the next."""
        return {one.name: getattr(self, one.name) for one in fields(self)}

    def needs(self) -> tuple["Step", ...]:
        """The steps whose outputs are read, each once."""
        return self._needs

    @cached_property
    def _needs(self) -> tuple["Step", ...]:
        return tuple(dict.fromkeys(ref.step for _, ref in self.inputs if isinstance(ref, Output)))

    def grounds(self) -> tuple["Step", ...]:
        """The steps whose results must be there before this one can be recognised: `needs`, past deferred ones."""
        return self._grounds

    @cached_property
    def _grounds(self) -> tuple["Step", ...]:
        found = (each for step in self.needs() for each in (step.grounds() if step.deferred else (step,)))
        return tuple(dict.fromkeys(found))
