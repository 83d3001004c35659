"""bmzoo's own commands inside steps: the module of each, and the sources that its result depends on.

A command is a function `run(folder, args)` that reads and writes files of the step's folder only. To add one, add a
module here and a row to the table.
"""

from collections.abc import Mapping
from dataclasses import dataclass

_WORDS = ("runtime/normalisation.py", "runtime/picture_words.py")
_PREPROCESSING = (
    *("runtime/preprocess.py", "runtime/resizing.py", "runtime/orientation.py", "runtime/bmcv.py"),
    *_WORDS,
)
_PREPARING = (
    *("commands/prepare.py", "commands/tensor_samples.py", "commands/requests.py", "measure/model_facts.py"),
    *("system/hashing.py", "runtime/engines/simulate.py", "runtime/engines/pyruntime.py", *_PREPROCESSING),
)
_DECODING = ("runtime/decoders/*.py", "runtime/predictions/*.py", "runtime/nms.py", *_PREPROCESSING)
_TENSOR = ("runtime/engines/tensor_info.py",)
_SESSION = ("runtime/engines/session.py", "runtime/engines/onnx_ir.py", *_TENSOR)
_INFO = ("runtime/engines/bmodel.py", "runtime/engines/cvimodel.py", "runtime/engines/pyruntime.py", *_TENSOR)
# Which engine runs a file is the business of the registry, which imports them all.
_ENGINES = ("runtime/engines/*.py",)
_QUANTIZATION = ("quantization/*.py", "system/partial.py", "measure/degenerate.py", *_DECODING)
_MEASURING = (
    *("commands/measure.py", "commands/requests.py", "measure/model_facts.py"),
    *("measure/npz.py", "measure/tensors.py", "measure/matching.py", "measure/poses.py", "measure/specs.py"),
    *("measure/comparisons/*.py", "measure/nouns.py", "measure/agreement.py", "measure/sureness.py"),
    *("measure/given_names.py", "measure/degenerate.py"),
    *_SESSION,
    *_DECODING,
)
_ARRANGING = (
    *("commands/arrange.py", "quantization/budgets/sets.py", "quantization/budgets/prices.py"),
    *("config/time_limit.py", "measure/latency.py", "measure/fitted.py", "measure/chip_constants.py"),
    *("target.py", "chips.py"),
)


@dataclass(frozen=True)
class OwnCommand:
    """A command: its module below bmzoo.commands, and its sources, as patterns below the package.

    The sources are part of the fingerprint: editing one invalidates cached results of the command. So is the
    installed TPU-MLIR when `installation` is set, for commands that use its programs or engines.
    """

    module: str
    sources: tuple[str, ...]
    installation: bool = False


COMMANDS: Mapping[str, OwnCommand] = {
    "import": OwnCommand("import_", ("commands/import_.py", "onnx_import/*.py", *_WORDS, *_SESSION)),
    "prepare": OwnCommand("prepare", _PREPARING),
    "raw": OwnCommand("raw", ("commands/raw.py", "config/fused.py", "measure/npz.py", *_PREPARING)),
    "shapes": OwnCommand("shapes", ("commands/shapes.py",)),
    "calibrate": OwnCommand(
        "calibrate",
        (
            *("commands/calibrate.py", "commands/table.py", "quantization/certainty.py"),
            *(f"quantization/{name}.py" for name in ("observing", "histogram_files", "histograms", "thresholds")),
            *(
                f"quantization/{name}.py"
                for name in ("table_tensors", "folding", "lowered_layers", "relu_concat", "session", "tables")
            ),
            *("system/partial.py", "measure/npz.py", "measure/given_names.py", "measure/picture_statistics.py"),
            *(*_PREPROCESSING, *_ENGINES),
        ),
        installation=True,
    ),
    "table": OwnCommand("table", ("commands/table.py", "quantization/tables.py")),
    "check-tables": OwnCommand(
        "check_tables",
        (
            *("commands/check_tables.py", "measure/given_names.py", "chips.py"),
            *("quantization/tables.py", "quantization/hand_tables.py"),
        ),
    ),
    "normalize": OwnCommand(
        "normalize",
        ("commands/normalize.py", "system/flatbuffer.py", *_INFO),
        installation=True,
    ),
    "finish": OwnCommand("finish", ("commands/finish.py", *_INFO)),
    "profile": OwnCommand(
        "profile", ("commands/profile.py", "measure/profile.py", "measure/profile_document.py", "measure/replay.py")
    ),
    "measure": OwnCommand("measure", _MEASURING),
    "audit": OwnCommand(
        "audit",
        (
            *("commands/audit.py", "measure/audit/*.py", "measure/normalisations.py", "measure/sureness.py"),
            *(
                "measure/picture_statistics.py",
                "system/parallel.py",
                "measure/specs.py",
                "onnx_import/first_layer.py",
                "system/partial.py",
            ),
            *(*_PREPARING, *_DECODING, *_SESSION),
        ),
    ),
    "golden": OwnCommand("golden", ("commands/golden.py",)),
    "lowered": OwnCommand("lowered", ("commands/lowered.py",)),
    "infer": OwnCommand("infer", ("commands/infer.py", *_ENGINES), installation=True),
    "compare": OwnCommand(
        "compare", ("commands/compare.py", "measure/found.py", "measure/lowered_floats.py", *_MEASURING)
    ),
    "drift": OwnCommand(
        "drift", ("commands/drift.py", "measure/drift.py", *_MEASURING, *_ENGINES), installation=True
    ),
    "evaluate": OwnCommand(
        "evaluate",
        (
            *("commands/evaluate.py", "config/fused.py", "measure/evaluate.py", "measure/average_precision.py"),
            *("measure/groundtruth.py", "measure/picture.py", "measure/listed.py", "measure/wider.py"),
            *("measure/metrics/*.py", "measure/truths/*.py", "runtime/listing.py"),
            *("runtime/settings.py", *_PREPARING, *_MEASURING, *_ENGINES),
        ),
        installation=True,
    ),
    "ranges": OwnCommand(
        "ranges",
        (
            *("commands/ranges.py", "quantization/equalize.py", "quantization/folding.py"),
            *("quantization/session.py", "measure/npz.py", "measure/degenerate.py"),
        ),
    ),
    "scales": OwnCommand("scales", ("commands/scales.py", "quantization/equalize.py", "quantization/folding.py")),
    "equalize": OwnCommand(
        "equalize",
        (
            *("commands/equalize.py", "quantization/equalize.py", "quantization/folding.py"),
            "quantization/session.py",
        ),
    ),
    "rank": OwnCommand("rank", ("commands/rank.py", *_MEASURING, *_QUANTIZATION)),
    "choose": OwnCommand(
        "choose", ("commands/choose.py", "quantization/budgets/prices.py", *_MEASURING, *_QUANTIZATION)
    ),
    "refine": OwnCommand(
        "refine", ("commands/refine.py", "commands/table.py", *_MEASURING, *_QUANTIZATION, *_ENGINES)
    ),
    "head": OwnCommand("head", ("commands/head.py", *_MEASURING, *_QUANTIZATION)),
    "cut": OwnCommand("cut", ("commands/cut.py", "quantization/select.py")),
    "arrange": OwnCommand("arrange", _ARRANGING),
    "pick": OwnCommand(
        "pick",
        (
            *(
                "commands/pick.py",
                "quantization/budgets/choice.py",
                "quantization/select.py",
                "measure/sureness.py",
            ),
            *_ARRANGING,
        ),
    ),
    "vendor-start": OwnCommand("vendor_start", ("commands/vendor_start.py",)),
    "vendor-read": OwnCommand(
        "vendor_read",
        (
            *("commands/vendor_read.py", "quantization/vendor_output.py", "config/search_methods.py"),
            *("commands/table.py", "quantization/tables.py"),
        ),
    ),
    "vendor-cut": OwnCommand(
        "vendor_cut", ("commands/vendor_cut.py", "quantization/vendor_select.py", "quantization/select.py")
    ),
    "agree": OwnCommand(
        "agree",
        (
            "commands/agree.py",
            "quantization/loss.py",
            *_MEASURING,
        ),
    ),
    # Not a module of this package but a program of the runtime, which must also work without the rest of bmzoo.
    "simulate": OwnCommand(
        "", (*(f"runtime/engines/{name}.py" for name in ("simulate", "pyruntime", "overlay")),), installation=True
    ),
}
