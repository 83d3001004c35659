"""One name, one thing: a reader who has met a name in one module knows what it means in every other."""

import ast
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

ROOT = Path(__file__).parents[1]
FILES = sorted((ROOT / "bmzoo").rglob("*.py"))
MODULES = {str(path.relative_to(ROOT)): ast.parse(path.read_text(encoding="utf-8")) for path in FILES}

# Names that others gave: users of sophon.sail and torch write them, and a stand-in answers to them.
GIVEN = ("bmzoo/sail/", "bmzoo/execute/placeholders/")
# Names that make a module a member of a table: every command has `run(folder, args)`, every program `main`, every
# decoder some of the four that `runtime/decoders/heads.py` knows, every data set `load`, every search its two
# steps, every comparison and metric its row, and every module of `results` says whether its result is current.
SHAPES = {
    **{"run": ("bmzoo/commands/",), "main": ("bmzoo/",), "load": ("bmzoo/measure/",)},
    **dict.fromkeys(("candidates", "predictions", "parts", "DECODER"), ("bmzoo/runtime/decoders/",)),
    "COMPARISON": ("bmzoo/measure/comparisons/",),
    "METRIC": ("bmzoo/measure/metrics/",),
    **dict.fromkeys(("ranking_step", "cut_step"), ("bmzoo/plan/",)),
    **dict.fromkeys(("is_current", "outdated"), ("bmzoo/results/",)),
}


def named(statement: ast.stmt) -> Iterator[str]:
    """The names that an assignment binds."""
    targets = statement.targets if isinstance(statement, ast.Assign) else []
    targets = [statement.target] if isinstance(statement, ast.AnnAssign) else targets
    for target in targets:
        parts = target.elts if isinstance(target, ast.Tuple) else [target]
        yield from (part.id for part in parts if isinstance(part, ast.Name))


def classes(tree: ast.Module) -> Iterator[str]:
    """Public and private, also those inside functions."""
    return (node.name for node in ast.walk(tree) if isinstance(node, ast.ClassDef))


def functions(tree: ast.Module) -> Iterator[str]:
    """Public functions of the module."""
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return (node.name for node in tree.body if isinstance(node, kinds) and not node.name.startswith("_"))


def constants(tree: ast.Module) -> Iterator[str]:
    """Public constants of the module; a type variable (`T`) is none."""
    names = (name for statement in tree.body for name in named(statement))
    return (name for name in names if name.isupper() and not name.startswith("_") and len(name) > 1)


def homes(names_of: Callable[[ast.Module], Iterator[str]]) -> Mapping[str, list[str]]:
    """Name -> the modules that define it, once for each definition."""
    found: dict[str, list[str]] = defaultdict(list)
    for module, tree in MODULES.items():
        for name in names_of(tree):
            found[name].append(module)
    return found


def shared(
    names_of: Callable[[ast.Module], Iterator[str]], allowed: int, but_for: tuple[str, ...] = ()
) -> dict[str, list[str]]:
    """Names with more homes than allowed. Homes that are so by design, or lie in `but_for`, do not count."""
    found = {}
    for name, places in homes(names_of).items():
        counted = [place for place in places if not place.startswith((*but_for, *SHAPES.get(name, ())))]
        if len(counted) > allowed:
            found[name] = counted
    return found


def test_a_class_name_stands_for_one_thing() -> None:
    assert shared(classes, 1, but_for=GIVEN) == {}


def test_a_public_function_shares_its_name_with_one_other_at_most() -> None:
    assert shared(functions, 2) == {}


def test_a_public_constant_has_one_meaning() -> None:
    assert shared(constants, 1) == {}


def test_no_exception_outlives_its_reason() -> None:
    for name, design in SHAPES.items():
        places = homes(constants if name.isupper() else functions)[name]
        assert len([place for place in places if place.startswith(design)]) > 2, name
