"""`reproduce`: a target compiled twice more, in folders of other names and lengths, and compared byte for byte."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np

from bmzoo.errors import VerifyFailed
from bmzoo.execute.builder import Builder
from bmzoo.plan.build import Recipe
from bmzoo.plan.step import Step
from bmzoo.store.local import Entry, Store
from bmzoo.system import files
from bmzoo.system.hashing import sha256
from bmzoo.target import Target
from bmzoo.workspace import Workspace

# Paths of other lengths move everything that a program has in its memory.
PLACES = ("a", "another-place-whose-path-is-longer")
# Made again. Everything else that the compiler reads, as the calibration table, is taken as it is.
COMPILE = ("import", "transform", "deploy")


@dataclass(frozen=True)
class Difference:
    """How two files differ: bytes that do, counting those that only one has, and the offset of the first."""

    count: int
    first: int

    def __str__(self) -> str:
        return f"{self.count} bytes differ, the first at offset {self.first}"


def build_twice(at: Workspace, target: Target) -> str:
    """Compile twice and compare. Returns what was found in a line; raises VerifyFailed when bytes differ.

    The target must have been built: its results other than the compiled ones are taken from the store.
    """
    steps = at.recipe(target)
    published, made = at.layout.artifact(target), target.compiled
    with ExitStack() as stack:
        builders = [stack.enter_context(_elsewhere(at, target, place)) for place in PLACES]
        one, two = (builder.run(steps.deploy) for builder in builders)
        if one.files[made] != two.files[made]:
            raise _differs(at, target, steps, builders)
        if one.files[made] != sha256(published):
            folder = _keep(at, target, {"again": one.path(made), "published": published})
            raise VerifyFailed(
                f"the same bytes twice, {one.files[made][:16]}, but not the published ones: "
                f"{compare(one.path(made), published)}",
                "what was published may be older than the tools, or changed",
                at.layout.shown(folder),
            )
    return f"made twice more, the same bytes as published, sha256 {one.files[made]}"


def compare(one: Path, two: Path) -> Difference:
    """Byte by byte. Raises OSError."""
    a, b = (np.frombuffer(path.read_bytes(), np.uint8) for path in (one, two))
    common = min(a.size, b.size)
    differing = np.flatnonzero(a[:common] != b[:common])
    first = int(differing[0]) if differing.size else common
    return Difference(int(differing.size) + abs(a.size - b.size), first)


@contextmanager
def _elsewhere(at: Workspace, target: Target, place: str) -> Iterator[Builder]:
    """A builder with an empty store of its own below a scratch folder, for the compiling steps only."""
    model = at.models[target.model]
    usual = at.builder(model)
    with at.store.scratch() as folder:

        def given(step: Step) -> Entry | None:
            return None if step.kind in (*COMPILE, "simulate") else usual.run(step)

        # Logs and evidence of a failure go where those of a build go: the folder is removed.
        builder = replace(
            usual, store=Store(folder / place), executor=None, on_result=lambda step, resolved: None, given=given
        )
        yield builder


def _differs(at: Workspace, target: Target, steps: Recipe, builders: list[Builder]) -> VerifyFailed:
    """Which step differed first, by how much, and whether it matters to what the simulator gives."""
    made = target.compiled
    one, two = (builder.run(steps.deploy) for builder in builders)
    difference = compare(one.path(made), two.path(made))
    outputs = [builder.run(steps.simulate) for builder in builders]
    agree = _same_arrays(*(entry.path("outputs.npz") for entry in outputs))
    folder = _keep(at, target, {"first": one.path(made), "second": two.path(made)})
    earlier = next((text for step in steps.steps if (text := _first_file(step, builders))), "")
    ran = "nothing here runs them" if target.unverified else "on the simulator their outputs "
    ran += "" if target.unverified else "agree" if agree else "DIFFER"
    text = f"{difference}; {ran}; {one.files[made][:16]} and {two.files[made][:16]}"
    facts: dict[str, Any] = {
        "bytes": difference.count,
        "first": difference.first,
        "outputs_agree": agree,
        "differs_from": earlier,
        "sha256": [one.files[made], two.files[made]],
    }
    files.write(files.json_text(facts), folder / "difference.json")
    hint = f"the first file that differs is {earlier}"
    return VerifyFailed(f"not reproducible: {text}", hint, at.layout.shown(folder))


def _first_file(step: Step, builders: list[Builder]) -> str:
    if step.kind not in COMPILE:
        return ""
    one, two = (builder.run(step) for builder in builders)
    return next((f"{name} of {step}" for name in step.outputs if one.files[name] != two.files[name]), "")


def _same_arrays(one: Path, two: Path) -> bool:
    with np.load(one) as a, np.load(two) as b:
        return all(
            x is not None and x == y and np.array_equal(a[x], b[x]) for x, y in zip_longest(sorted(a), sorted(b))
        )


def _keep(at: Workspace, target: Target, kept: Mapping[str, Path]) -> Path:
    """Copies of the files that differ, for a look."""
    folder = at.layout.irreproducible(target)
    for name, path in kept.items():
        files.copy(path, folder / f"{name}{path.suffix}")
    return folder
