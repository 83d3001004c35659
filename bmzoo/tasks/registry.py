"""The table of tasks: names, one-line docs, subtasks, and the functions that make the dictionaries for doit.

A task is one row here and one function in the module of its family. dodo.py, the usage, `explain`, the check of
task names on the command line and the tests of the documentation read this table.
"""

from collections.abc import Callable, Iterator

from doit.exceptions import InvalidDodoFile

from bmzoo.errors import BmzooError, ConfigError, nearest
from bmzoo.tasks import (
    development,
    inspection,
    models,
    report,
    search,
    store,
    subjects,
    targets,
    zoo,
)
from bmzoo.tasks.guard import Task
from bmzoo.tasks.later import later
from bmzoo.tasks.row import Context, Group, Row, Single
from bmzoo.workspace import Workspace

# In the order of the usage.
TASKS = (
    Group(
        "build",
        "Compile a target, run it on the chip simulator, and publish it if it agrees with ONNX.",
        subjects.TARGETS,
        targets.build,
        order=subjects.longest_first,
        goal=later("explain.goals:of_build"),
    ),
    Group(
        "verify",
        "Compare an artifact with ONNX on more pictures, with its MLIR, and with its siblings.",
        subjects.VERIFIABLE,
        targets.verify,
        order=subjects.longest_first,
        goal=later("explain.goals:of_verify"),
    ),
    Group(
        "eval",
        "Average precision where there is ground truth, and the difference to the ONNX model.",
        subjects.EVALUATED,
        targets.evaluate,
        goal=later("explain.goals:of_eval"),
    ),
    Group(
        "bench",
        "Time preprocessing, inference and postprocessing per image, of the ONNX model or of an artifact.",
        subjects.TIMED,
        targets.bench,
    ),
    Single(
        "detect",
        "Find things: detect TARGET|MODEL PICTURE|FOLDER|VIDEO... [--out DIR and more, see detect --help]",
        inspection.detect,
    ),
    Single(
        "plan",
        "Print every command of every target, or of those named: plan build:bm1684_int8_1b",
        inspection.plan,
    ),
    Single(
        "new",
        "Write a config: new MODEL.onnx|URL sha256=...|SCRIPT.sh|config.yaml|FOLDER [more, see new --help]",
        inspection.new,
    ),
    Single("doctor", "Check the machine, the data and the compiler; each problem with its fix.", inspection.doctor),
    Group(
        "model",
        "Import the checkpoint or ONNX file into models/onnx/, checked and converted if need be.",
        subjects.MODELS,
        models.model,
        goal=later("explain.goals:of_model"),
    ),
    Group(
        "transform",
        "Convert the ONNX model to MLIR, once for each batch.",
        subjects.BATCHES,
        models.transform,
        goal=later("explain.goals:of_transform"),
    ),
    Group(
        "calibrate",
        "Derive equalization scales and activation thresholds over pictures: calibration/<model>.<weights>.table",
        subjects.CALIBRATIONS,
        models.calibrate,
        goal=later("explain.goals:of_calibrate"),
        by_model=True,
    ),
    Group(
        "quantize",
        "Find INT8 settings that agree with ONNX, where the config has none: calibration/<model>.<weights>.int8",
        subjects.CLIMBING,
        models.quantize,
    ),
    Group(
        "audit",
        "Ask the network whether its pictures are fed as it was trained: channels, mean, scale, resize, padding.",
        subjects.MODELS,
        models.audit,
    ),
    Group(
        "rank",
        "Rank the layers by their sensitivity to INT8, measured on the selection pictures.",
        subjects.SEARCHABLE_CHIPS,
        search.rank,
    ),
    Group(
        "qtable",
        "Choose and check the layers that stay in float: qtables/<model>.<weights>.<chip>.qtable",
        subjects.SEARCHABLE_CHIPS,
        search.qtable,
        goal=later("explain.goals:of_qtable"),
        explained=later("explain.goals:is_searched"),
    ),
    Single(
        "decisions",
        "List committed scales, thresholds and float layers: current, or stale and why; locked=yes fails on those",
        inspection.decisions,
    ),
    Group(
        "tune",
        "Try INT8 settings one axis at a time; writes a table, a plot and the lines for the config.",
        subjects.INT8_CHIPS,
        search.tune,
    ),
    Single(
        "zoo",
        "Build, verify and evaluate every target of every config: build/zoo.json, SHA256SUMS, RESULTS.md",
        zoo.zoo,
    ),
    Single(
        "diff",
        "Compare two manifests, files or URLs: diff OLD NEW [--allow-removed]; regressions fail",
        zoo.diff,
    ),
    Single(
        "upgrade",
        "Make the zoo with two versions of TPU-MLIR and say what changes: upgrade 1.28.1 1.30.2 [PATTERN...]",
        zoo.upgrade,
    ),
    Single(
        "report",
        "Write build/report/index.html: the zoo to sort, filter and look at [since=OLD/zoo.json]; builds nothing",
        report.report,
    ),
    Single(
        "tables",
        "Write the published tables with ours beside them: build/TABLES.md, in two languages [see tables --help]",
        report.tables,
    ),
    Single(
        "why-slow",
        "Name the ten costliest layers of a built target, and what would help: why-slow bm1688_int8_1b",
        report.why_slow,
    ),
    Group(
        "combine",
        "Put all batches of a chip, precision and number of cores into one bmodel: combine:bm1688_int8_2core",
        subjects.COMBINED,
        targets.combine,
    ),
    Group(
        "export",
        "Pack a verified target for a board, with a check to run there: build/export/ [key=PRIVATE.pem signs it]",
        subjects.EXPORTABLE,
        targets.export,
        order=subjects.longest_first,
    ),
    Single(
        "attest",
        "Verify an archive of export offline, to the last bit: attest ARCHIVE [key=PUBLIC.pem]",
        inspection.attest,
    ),
    Single(
        "prune",
        "List results whose target is in no config any more; prune yes=1 removes them.",
        zoo.prune,
    ),
    Single(
        "explain",
        "Say what would run and why, and run nothing: explain build:bm1684_int8_1b, explain 'verify:*'",
        inspection.explain,
    ),
    Group(
        "reproduce",
        "Compile a target twice more, in other folders, and compare the bytes.",
        subjects.TARGETS,
        targets.reproduce,
    ),
    Single(
        "gc",
        "Remove the least recently used results until build/store is within its limit [--dry-run]",
        store.gc,
    ),
    Single(
        "fsck",
        "Check every stored result against its digests; quarantine damaged ones [--remote: in the shared store]",
        store.fsck,
    ),
    Single("test", "All tests: the fast ones, then those on the real compiler.", development.test),
    Single("lint", "Style and types: ruff and mypy.", development.lint),
    Single("usage", "How to start.", inspection.usage, shown=False),
)


def creators(context: Context) -> dict[str, Callable[[], Iterator[Task]]]:
    """Functions named `task_<name>`, as doit looks for them in dodo.py, one for each row of the context.

    Raises InvalidDodoFile where nothing can be done at all: no build folder, or a broken zoo.yaml.
    """
    try:
        context.workspace.layout.make_build()
        _ = context.workspace.default_model
        _check_weights(context.workspace)
    except BmzooError as error:
        raise InvalidDodoFile(error.render()) from None
    return {f"task_{row.name}": _creator(row, context) for row in context.rows}


def _check_weights(at: Workspace) -> None:
    """Refuse weights that no config has: plans and listings would show others."""
    wanted, names = at.options.weights, {w.name for model in at.models.values() for w in model.config.weights}
    if wanted is not None and wanted not in names and not at.configs.broken:
        guess = nearest(wanted, names)
        hint = f"did you mean {guess}?" if guess else f"there are: {', '.join(sorted(names)) or 'none'}"
        raise ConfigError(f"weights={wanted}: no config has weights of this name", hint)


def _creator(row: Row, context: Context) -> Callable[[], Iterator[Task]]:
    def create() -> Iterator[Task]:  # doit takes functions only, so not a partial
        return row.dictionaries(context)

    return create
