"""Every command of every target as text, from the configs alone: no toolchain, no images, no weights needed."""

import sys
from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from functools import lru_cache

from bmzoo.errors import ConfigError
from bmzoo.plan.build import Recipe, recipe
from bmzoo.plan.step import ExternalData, File, Input, Output, Pictures, Tree
from bmzoo.target import Target
from bmzoo.tasks.variables import belongs_in_front
from bmzoo.workspace import Workspace


def run_plan(at: Workspace, names: Sequence[str]) -> None:
    """Print `render_plan`. Raises ConfigError."""
    sys.stdout.write(render_plan(at, names))


def render_plan(at: Workspace, names: Sequence[str]) -> str:
    """The plan of the targets that names or patterns stand for (all when empty). Raises ConfigError."""
    weights = lru_cache(maxsize=None)(at.weights.likely)  # looks at files, once for all targets of a model
    targets = ((at.models[target.model], target) for target in select(at, names))
    recipes = (recipe(model, target, weights(model)) for model, target in targets)
    return "\n".join(render_recipe(one, one.target.qualified(at.default_model)) for one in recipes)


def select(at: Workspace, names: Sequence[str]) -> list[Target]:
    """Targets by name or pattern, with or without a task in front, in listing order. Raises ConfigError."""
    everything = [target for model in at.models.values() for target in model.targets]
    if not names:
        return everything
    chosen: set[Target] = set()
    for name in names:
        if hint := belongs_in_front(name):
            raise ConfigError(f"{name}: names no target", hint)
        pattern = name.rpartition(":")[2]
        if any(sign in pattern for sign in "*?["):
            found = {t for t in everything if fnmatchcase(t.qualified(at.default_model), pattern)}
            if not found:
                raise ConfigError(f"{name}: matches no target", "./doit list --all shows every target")
            chosen |= found
        else:
            chosen.add(at.target(pattern))
    return [target for target in everything if target in chosen]


def render_recipe(steps: Recipe, name: str) -> str:
    """One target's steps: what each reads, its commands, what it writes."""
    lines = [f"{name} -> build/{steps.target.artifact}"]
    for step in steps.steps:
        lines.append(f"  {step}")
        lines += [f"    < {text}" for text in _reads(step.inputs)]
        lines += [f"    $ {command}" for command in step.commands]
        lines += [f"    > {output}" for output in step.outputs]
    return "\n".join(lines) + "\n"


def _reads(inputs: Iterable[tuple[str, Input]]) -> list[str]:
    return [f"{name} from {_where(ref)}" for name, ref in inputs]


def _where(ref: Input) -> str:
    if isinstance(ref, Output):
        return f"{ref.step}"
    if isinstance(ref, Pictures):
        return f"{ref.folder} ({ref.count or 'all'} pictures)"
    if isinstance(ref, Tree):
        return f"{ref.folder} (all files)"
    if isinstance(ref, ExternalData):
        return f"what {ref.model.path} keeps beside it, if anything"
    assert isinstance(ref, File)
    return ref.path
