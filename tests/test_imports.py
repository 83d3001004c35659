"""Who may import what, and what nobody may do. Imports go down or sideways, never up."""

import ast
import subprocess
import sys
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FILES = sorted((ROOT / "bmzoo").rglob("*.py"))
MODULES = [str(path.relative_to(ROOT)) for path in FILES]

# The rooms of the house, lower ones first. An import goes down, or stays in its room. `runtime` and `sail` stand
# alone: all that they may know of the rest is `errors`.
LAYERS = (
    *("errors", "chips", "target", "system", "runtime", "sail", "scenes", "config", "measure", "quantization"),
    *("onnx_import", "plan", "commands", "store", "sources", "execute", "cluster", "workspace", "results"),
    *("export", "tuning", "release", "report", "explain", "config_import", "tasks"),
)
# Outside package -> the only files that import it, at module level or inside functions.
ONLY = {
    "subprocess": {
        "bmzoo/system/process.py",
        "bmzoo/system/supervisor.py",
        "bmzoo/runtime/engines/worker.py",
        "bmzoo/onnx_import/onnx16.py",
    },
    "yaml": {"bmzoo/config/yamlfile.py"},
    "pydantic": {
        "bmzoo/config/model.py",
        "bmzoo/config/messages.py",
        "bmzoo/release/manifest.py",
        "bmzoo/config/schema.py",
        "bmzoo/config/accuracy.py",
        "bmzoo/config/decoding.py",
        "bmzoo/config/images.py",
        "bmzoo/config/inputs.py",
        "bmzoo/config/quantization.py",
        "bmzoo/config/targets.py",
        "bmzoo/config/weights.py",
        "bmzoo/config/fields.py",
        "bmzoo/config/project.py",
    },
    "doit": {
        "bmzoo/tasks/registry.py",
        "bmzoo/tasks/guard.py",
        "bmzoo/tasks/reporter.py",
        "bmzoo/tasks/run_command.py",
        "bmzoo/tasks/command_line.py",
    },
    "filelock": {"bmzoo/store/scratch.py"},
    "fsspec": {"bmzoo/store/urls.py", "bmzoo/store/remote_files.py", "bmzoo/sources/fetch.py"},
    "aiohttp": {"bmzoo/store/urls.py"},
    "psutil": {"bmzoo/tasks/actions/doctor.py"},
    "rich": {"bmzoo/tasks/progress.py"},
    "plotly": {"bmzoo/tuning/plot.py"},
    "distributed": {"bmzoo/cluster/client.py", "bmzoo/cluster/worker.py"},
    "flatbuffers": {"bmzoo/system/flatbuffer.py"},
    "cryptography": {"bmzoo/export/envelope.py"},
}
# They decide what would be run, from values alone.
PURE = (
    *("chips", "target", "errors", "config.schema", "quantization.tables", "measure.verdict", "cluster.job"),
    *(
        "config.time_limit",
        "measure.sureness",
        "measure.normalisations",
        "measure.audit.alternatives",
        "measure.audit.sure",
        "measure.audit.loudness",
        "quantization.budgets.prices",
        "quantization.budgets.sets",
        "quantization.budgets.choice",
    ),
    *("plan.step", "plan.fingerprint", "plan.shared", "plan.lowering", "plan.build", "plan.verify", "plan.audit"),
    *(
        "plan.float_layers",
        "plan.float_decision",
        "plan.own_search",
        "plan.goal_search",
        "plan.vendor_search",
        "plan.selftest",
    ),
    *("plan.resources", "release.manifest", "release.outcomes", "release.figures", "release.diff"),
    *("release.diff_report", "release.upgrade", "release.upgrade_report", "system.markdown"),
    *("execute.failures", "execute.dialect"),
    *(
        "report.markup",
        "report.profiles",
        "report.layer_hints",
        "report.rows",
        "report.index_page",
        "report.terminal",
    ),
)
IMPURE = {
    *("os", "time", "datetime", "random", "socket", "subprocess", "tempfile", "shutil", "platform"),
    *("bmzoo.system.process", "bmzoo.store.local", "bmzoo.execute.toolchain", "bmzoo.execute.builder"),
    *("bmzoo.workspace", "bmzoo.tasks.row", "bmzoo.system.hashing"),
}
# What also runs on the board, where Python is 3.8 and nothing else of bmzoo is.
STANDS_ALONE = ("bmzoo/runtime/", "bmzoo/sail/", "bmzoo/errors.py", "bmzoo/export/check.py")
BOARD = [name for name in MODULES if name.startswith(STANDS_ALONE)]
FORBIDDEN = {
    "os.system",
    "os.popen",
    "os.chdir",
    "eval",
    "exec",
    "pickle.load",
    "pickle.loads",
    "pickle.Unpickler",
    "torch.load",
    "yaml.unsafe_load",
}


@cache
def tree(module: str) -> ast.Module:
    return ast.parse((ROOT / module).read_text(encoding="utf-8"), module)


def imported(node: ast.AST, module: str) -> Iterator[str]:
    """Full names that an import statement asks for: `bmzoo.store.local`, `bmzoo.store.local.Store`."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    if isinstance(node, ast.ImportFrom):
        parents = Path(module).with_suffix("").parts
        base = ".".join([*parents[: len(parents) - node.level], node.module or ""]).strip(".") if node.level else ""
        base = base or node.module or ""
        yield base
        yield from (f"{base}.{alias.name}" for alias in node.names)


def imports(module: str, top_level: bool = False) -> set[str]:
    nodes = _run_at_import(tree(module)) if top_level else ast.walk(tree(module))
    return {name for node in nodes for name in imported(node, module)}


def _run_at_import(node: ast.AST) -> Iterator[ast.AST]:
    """Statements that run when the module is imported: not bodies of functions, not `if TYPE_CHECKING`."""
    for child in ast.iter_child_nodes(node):
        types_only = isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test)
        if not types_only and not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield child
            yield from _run_at_import(child)


def module_of(name: str) -> str | None:
    """The file that a name in bmzoo comes from."""
    path = name.replace(".", "/")
    return next((m for m in (f"{path}.py", f"{path}/__init__.py") if m in MODULES), None)


def of_bmzoo(module: str, top_level: bool = False) -> set[str]:
    return {found for name in imports(module, top_level) if (found := module_of(name)) and found != module}


def outside(module: str) -> set[str]:
    return {name.partition(".")[0] for name in imports(module)} - {"bmzoo"}


@pytest.mark.parametrize("package", ONLY)
def test_an_outside_package_has_its_few_doors(package: str) -> None:
    users = {module for module in MODULES if package in outside(module)}
    assert users <= ONLY[package]
    assert users, "the rule has nobody left to rule: remove it"


def test_the_task_file_only_ties_things_together() -> None:
    names = {n for node in ast.walk(ast.parse((ROOT / "dodo.py").read_text())) for n in imported(node, "dodo.py")}
    impure = {"bmzoo.execute.builder", "bmzoo.store.local", "bmzoo.system.process"}
    assert not names & {"subprocess", "yaml", "shutil", *impure}


@pytest.mark.parametrize("name", PURE)
def test_a_pure_module_neither_runs_nor_reads_anything(name: str) -> None:
    module = f"bmzoo/{name.replace('.', '/')}.py"
    assert imports(module) & IMPURE == set()
    reached = {module}
    while more := {other for known in reached for other in of_bmzoo(known)} - reached:
        reached |= more
    assert not reached & {f"{n.replace('.', '/')}.py" for n in IMPURE}
    calls = {ast.unparse(n.func) for n in ast.walk(tree(module)) if isinstance(n, ast.Call)}
    assert not [c for c in calls if c == "open" or c.endswith((".read_text", ".read_bytes", ".open", ".exists"))]


def test_the_runtime_stands_alone() -> None:
    for module in BOARD:
        used = of_bmzoo(module)
        assert not {m for m in used if not m.startswith(STANDS_ALONE)}, module
        # The runtime knows nothing of the emulation on top of it.
        assert module.startswith("bmzoo/sail/") or not {m for m in used if m.startswith("bmzoo/sail/")}, module
    standard = set(sys.stdlib_module_names) | {"__future__"}
    third = {name for module in BOARD for name in outside(module)} - standard
    assert third <= {"numpy", "cv2", "onnxruntime", "pymlir", "sophon"}


def test_the_runtime_loads_engines_only_when_used() -> None:
    for module in BOARD:
        names = {name.partition(".")[0] for name in imports(module, top_level=True)}
        assert not names & {"onnxruntime", "pymlir", "sophon"}, module


# What a zoo in which nothing is to be done asks whether results are current, and writes its tables by.
ASKED = (
    "results.artifact",
    "results.decisions",
    "results.verify",
    "results.eval",
    "results.qtable",
    "results.calibration",
)


@pytest.mark.parametrize("names", [("tasks.registry",), (*ASKED, "tasks.actions.zoo", "tasks.actions.search")])
def test_what_every_run_asks_for_loads_nothing_that_computes(names: Sequence[str]) -> None:
    heavy = {"numpy", "onnx", "cv2", "plotly", "boto3"}
    modules = ", ".join(f"bmzoo.{name}" for name in names)
    code = f"import sys, {modules}; print(sorted({heavy} & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert found.stdout == "[]\n"


@pytest.mark.parametrize("module", BOARD)
def test_the_boards_python_can_read_the_runtime(module: str) -> None:
    ast.parse((ROOT / module).read_text(encoding="utf-8"), module, feature_version=(3, 8))
    if "annotations" not in {a.name for n in tree(module).body if isinstance(n, ast.ImportFrom) for a in n.names}:
        unions = [
            ast.unparse(a)
            for n in ast.walk(tree(module))
            if isinstance(n, ast.arg | ast.AnnAssign) and (a := n.annotation) is not None
            for part in ast.walk(a)
            if isinstance(part, ast.BinOp)
            or (isinstance(part, ast.Subscript) and ast.unparse(part.value) in {"list", "dict", "tuple", "set"})
        ]
        assert unions == [], "evaluated when the module is imported"


@pytest.mark.parametrize("module", MODULES)
def test_nobody_does_what_is_forbidden(module: str) -> None:
    for node in ast.walk(tree(module)):
        if isinstance(node, ast.Call):
            assert ast.unparse(node.func) not in FORBIDDEN, f"{module}:{node.lineno}"
            shell = [k for k in node.keywords if k.arg == "shell" and ast.unparse(k.value) != "False"]
            assert not shell, f"{module}:{node.lineno}: a shell"
        if isinstance(node, ast.ImportFrom):
            assert "*" not in [alias.name for alias in node.names], f"{module}:{node.lineno}"


def test_imports_go_round_in_no_circle() -> None:
    graph = {module: of_bmzoo(module, top_level=True) for module in MODULES}
    done: set[str] = set()

    def visit(module: str, path: tuple[str, ...]) -> None:
        assert module not in path, " -> ".join([*path[path.index(module) :], module])
        if module not in done:
            for other in sorted(graph[module]):
                visit(other, (*path, module))
            done.add(module)

    for module in MODULES:
        visit(module, ())
    assert len(done) == len(MODULES) > 50


def room(module: str) -> str:
    return Path(module).with_suffix("").parts[1]


def test_every_room_has_its_place() -> None:
    assert {room(module) for module in MODULES} - {"__init__"} == set(LAYERS)


@pytest.mark.parametrize("layer", LAYERS)
def test_imports_go_down_or_stay_in_their_room(layer: str) -> None:
    below = LAYERS[: LAYERS.index(layer) + 1]
    for module in MODULES:
        if room(module) == layer:
            up = {other for other in of_bmzoo(module) if room(other) not in (*below, "__init__")}
            assert not up, f"{module} imports {', '.join(sorted(up))}"


@pytest.mark.parametrize("name", ["utils", "common", "helpers", "base", "misc"])
def test_no_module_is_named_after_nothing(name: str) -> None:
    assert [m for m in MODULES if Path(m).stem == name] == []
