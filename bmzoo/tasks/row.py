"""Rows of the table of tasks, and the dictionaries that they give doit."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from enum import Enum
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from bmzoo.config.model import Model
from bmzoo.release.outcomes import Outcomes
from bmzoo.tasks.guard import Task
from bmzoo.workspace import Workspace

if TYPE_CHECKING:
    from bmzoo.explain.goals import Goal

T = TypeVar("T")


class Kind(Enum):
    """What the names of a task's subtasks are made of."""

    SINGLE = "no subtasks"
    MODEL = "a model, or a model and a batch"
    TARGET = "a target, or the ONNX model in its place"
    FAMILY = "a chip, a precision and cores, with the model in front unless it is the default one"
    CHIP = "a chip, with the model in front unless it is the default one"


@dataclass(frozen=True)
class TaskSubject(Generic[T]):
    """What one subtask works on: a model, and its target, chip or batch. `name`: what follows the task's."""

    name: str
    model: Model
    of: T


@dataclass(frozen=True)
class By(Generic[T]):
    """What a task has one subtask each for."""

    kind: Kind
    subjects: Callable[[Workspace], Iterator[TaskSubject[T]]]  # in the order of the configs


@dataclass(frozen=True)
class Single:
    """A task without subtasks. `make`: its dictionary, without `basename` and `doc`."""

    name: str
    doc: str
    make: Callable[["Context"], Task]
    shown: bool = True  # in the usage

    kind = Kind.SINGLE

    def dictionaries(self, context: "Context") -> Iterator[Task]:
        """The task as doit takes it."""
        yield {"basename": self.name, "doc": self.doc, **self.make(context)}


@dataclass(frozen=True)
class Group(Generic[T]):
    """A task with subtasks. `make`: the dictionary of one, without `basename` and `name`."""

    name: str
    doc: str
    by: By[T]
    make: Callable[["Context", TaskSubject[T]], Task]
    order: Callable[[Iterable[TaskSubject[T]]], Iterable[TaskSubject[T]]] = tuple  # in which they start
    # The steps and files of a subtask, for `explain`. Raises BmzooError where unknown, as without weights.
    goal: Callable[[Workspace, Model, T], "Goal"] | None = None
    explained: Callable[[Model, T], bool] = lambda model, of: True  # whether `explain` lists this one
    shown: bool = True  # in the usage
    by_model: bool = False  # a model's name stands for all its subtasks

    @property
    def kind(self) -> Kind:
        return self.by.kind

    def dictionaries(self, context: "Context") -> Iterator[Task]:
        """The task that stands for all its subtasks, then each of these, as doit takes them.

        The first carries the context, by which run_command.py finds it.
        """
        yield {"basename": self.name, "name": None, "doc": self.doc, "meta": {"context": context}}
        subjects = list(self.order(self.by.subjects(context.workspace)))
        for subject in subjects:
            yield {"basename": self.name, "name": subject.name, **self.make(context, subject)}
        for model, names in _by_model(subjects) if self.by_model else ():
            needs = [f"{self.name}:{name}" for name in names]
            yield {"basename": self.name, "name": model, "doc": None, "actions": None, "task_dep": needs}


def _by_model(subjects: Iterable[TaskSubject[Any]]) -> Iterator[tuple[str, list[str]]]:
    """Each model's name with the subtasks that it stands for; not where it is itself a subtask's name."""
    for name, own in groupby(subjects, key=lambda subject: subject.model.name):
        names = [subject.name for subject in own]
        if name not in names:
            yield name, names


Row = Single | Group[Any]


@dataclass(frozen=True, repr=False)  # `doit info` prints it, and it holds the environment
class Context:
    """What the tasks of one run share: the workspace, the table itself, failures, and a confirmation."""

    workspace: Workspace
    rows: tuple[Row, ...]
    outcomes: Outcomes = field(default_factory=Outcomes)  # of all tasks of the run
    confirmed: bool = False  # `yes=1` on the command line
    start: Path = field(default_factory=Path.cwd)  # where relative paths on the command line begin
    key: Path | None = None  # the private key that `key=` names

    def kind(self, task: str) -> Kind | None:
        """What the task has subtasks for; None for a name that is no task."""
        return next((row.kind for row in self.rows if row.name == task), None)
