"""TPU-MLIR's own searches for float layers, and which of them an installation has. Pure.

Up to 1.24 they are programs of their own; later there is one, as an option of run_calibration.py.
Read in the sources of sophgo/tpu-mlir and of the wheel 1.30.2.
"""

RUN_QTABLE = "run_qtable.py"
RUN_SENSITIVE_LAYER = "run_sensitive_layer.py"
SEARCH_QTABLE = "search_qtable"  # run_calibration.py --search search_qtable
SEARCHES = (RUN_QTABLE, RUN_SENSITIVE_LAYER, SEARCH_QTABLE)
# What the locked version has: plans are printed for it where no toolchain is installed.
LOCKED = frozenset({SEARCH_QTABLE})

VENDOR_QTABLE = "vendor_qtable"
VENDOR_SENSITIVE_LAYER = "vendor_sensitive_layer"
# Method in the config -> what it runs, the first that is installed.
METHODS = {
    VENDOR_QTABLE: (RUN_QTABLE, SEARCH_QTABLE),
    VENDOR_SENSITIVE_LAYER: (RUN_SENSITIVE_LAYER,),
}


def search_of(method: str | None, installed: frozenset[str]) -> str | None:
    """Which of SEARCHES a method of the config runs; None for bmzoo's own and where none is installed."""
    return next((name for name in METHODS.get(method or "", ()) if name in installed), None)


def why_not(method: str | None, chip: str, installed: frozenset[str]) -> tuple[str, str] | None:
    """Why a method cannot be used for a chip, and what to do instead; None when it can."""
    if method not in METHODS:
        return None
    if search_of(method, installed) is None:
        others = [name for name in METHODS if search_of(name, installed) and not why_not(name, chip, installed)]
        old = "TPU-MLIR 1.6 to 1.24 have it, and $TPUC_ROOT names an installation"
        missing = " or ".join(METHODS[method])
        return f"the installed TPU-MLIR has no {missing}", f"{old}; here: {', '.join(['bmzoo', *others])}"
    if method == VENDOR_SENSITIVE_LAYER and chip == "bm1688":
        return f"{RUN_SENSITIVE_LAYER} does not know {chip}", f"allowed: bmzoo, {VENDOR_QTABLE}"
    return None
