"""The table of searches for float layers: bmzoo's own, and TPU-MLIR's by what an installation has. Pure.

To add one: a module that plans its steps, one that reads what it found, and a row here. TPU-MLIR's searches are
programs of their own up to 1.24; later there is one, as an option of run_calibration.py. Read in the sources of
sophgo/tpu-mlir and of the wheel 1.30.2.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

RUN_QTABLE = "run_qtable.py"
RUN_SENSITIVE_LAYER = "run_sensitive_layer.py"
SEARCH_QTABLE = "search_qtable"  # run_calibration.py --search search_qtable
SEARCHES = (RUN_QTABLE, RUN_SENSITIVE_LAYER, SEARCH_QTABLE)
# What the locked version has: plans are printed for it where no toolchain is installed.
LOCKED = frozenset({SEARCH_QTABLE})


@dataclass(frozen=True)
class Method:
    """How float layers are searched.

    `plan`: a module with `ranking_step(model, chip, weights, search)`, whose result has `ranking.json`, and
    `cut_step` of the same, with `mixed.qtable` and `choice.json`. `selection`: a module with
    `explained(ranking, path, settings)`, which says which layers a setting takes, and why.
    `programs`: of TPU-MLIR, the first that is installed is run; none for a search of our own.
    `shared`: what is found for one chip serves all with its quantizer. `lacks`: settings that mean nothing to it.
    `unfit`: chips that it cannot be used for, with the reason.
    """

    plan: str
    selection: str
    programs: tuple[str, ...] = ()
    shared: bool = True
    lacks: tuple[str, ...] = ()
    unfit: Mapping[str, str] = field(default_factory=dict)
    counted: bool = True  # whether max_float_layers or keep says how many; else it is enough to name the method

    def program(self, installed: frozenset[str]) -> str | None:
        """Which of SEARCHES it runs; None for one of our own, and where none is installed."""
        return next((name for name in self.programs if name in installed), None)


def _vendor(*programs: str, unfit: Mapping[str, str] | None = None) -> Method:
    plan, selection = "bmzoo.plan.vendor_search", "bmzoo.quantization.vendor_select"
    return Method(plan, selection, programs, shared=False, lacks=("gain", "metric", "goal"), unfit=unfit or {})


DEFAULT = "bmzoo"
HEAD_METHOD = "head"  # no search: what follows the last layers with weights, and these
VENDOR_QTABLE = "vendor_qtable"
VENDOR_SENSITIVE_LAYER = "vendor_sensitive_layer"
METHODS: dict[str, Method] = {
    DEFAULT: Method("bmzoo.plan.own_search", "bmzoo.quantization.select"),
    HEAD_METHOD: Method(
        "bmzoo.plan.head_search",
        "bmzoo.quantization.select",
        lacks=("max_float_layers", "keep", "expected_cos", "gain", "metric", "goal"),
        counted=False,
    ),
    VENDOR_QTABLE: _vendor(
        RUN_QTABLE,
        SEARCH_QTABLE,
        unfit={chip: f"run_calibration.py does not know {chip}" for chip in ("bm1684x2", "bm1690e", "sg2380")},
    ),
    VENDOR_SENSITIVE_LAYER: _vendor(
        RUN_SENSITIVE_LAYER,
        unfit={
            chip: f"{RUN_SENSITIVE_LAYER} does not know {chip}"
            for chip in ("bm1688", "cv184x", "bm1684x2", "bm1690", "bm1690e", "sgtpuv8", "sg2380", "sg2262")
        },
    ),
}


def method_of(name: str | None) -> Method:
    """The row of a name in a checked config; bmzoo's own where there is none."""
    return METHODS[name or DEFAULT]


def why_not(name: str | None, chip: str, installed: frozenset[str]) -> tuple[str, str] | None:
    """Why a method cannot be used for a chip, and what to do instead; None when it can."""
    method = method_of(name)
    usable = ", ".join(other for other, row in METHODS.items() if _usable(row, chip, installed))
    if method.programs and method.program(installed) is None:
        old = "TPU-MLIR 1.6 to 1.24 have it, and $TPUC_ROOT names an installation"
        return f"the installed TPU-MLIR has no {' or '.join(method.programs)}", f"{old}; here: {usable}"
    if chip in method.unfit:
        return method.unfit[chip], f"allowed: {usable}"
    return None


def _usable(method: Method, chip: str, installed: frozenset[str]) -> bool:
    return chip not in method.unfit and (not method.programs or method.program(installed) is not None)
