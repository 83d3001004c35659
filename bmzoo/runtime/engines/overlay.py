"""A private view of an installed TPU-MLIR package, set up for the simulator of one chip.

The package has one `lib/libcmodel.so` for all chips, which its own tools re-point under a global lock. A
process with an overlay of links instead can run beside others, and nothing installed is touched.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Dict, Sequence

from bmzoo.errors import SessionError

if TYPE_CHECKING:
    from pathlib import Path

# Chip -> simulator, and the firmware for custom layers where the package has one.
# Source: get_cmodel_so and link_custom_so in TPU-MLIR 1.30, python/tools/model_runner.py.
CMODELS = {
    "bm1684": ("libcmodel_bm1684.so", ""),
    "bm1684x": ("libcmodel_bm1684x.so", "libcmodel_custom_1684x.so"),
    "bm1688": ("libcmodel_bm1688.so", "libcmodel_custom_1688.so"),
    "cv186x": ("libcmodel_bm1688.so", "libcmodel_custom_1684x.so"),
}
# Ubuntu 22.04's C library, shipped in lib/third_party: breaks every process on a host with another one.
FOREIGN_LIBC = ("libc.so.6", "libm.so.6", "libpthread.so.0")


def overlay(tpuc_root: Path, chip: str, folder: Path) -> Dict[str, str]:
    """Fill the new `folder` with links to the TPU-MLIR package at `tpuc_root`, set up for `chip`.

    Returns the environment that a child process needs to use it; the caller adds nothing but its own
    Python path. Raises SessionError for a chip without a simulator and for an incomplete package.
    """
    if chip not in CMODELS:
        raise SessionError(f"simulator: no such chip: {chip}", hint=f"allowed: {', '.join(CMODELS)}")
    source, lib = tpuc_root.resolve() / "lib", folder / "lib"
    cmodel, custom = CMODELS[chip]
    if not (source / cmodel).is_file():
        raise SessionError(f"{tpuc_root}: not a TPU-MLIR package, or incomplete: lib/{cmodel} is missing")
    third_party = lib / "third_party"
    third_party.mkdir(parents=True)
    own = ("libcmodel.so", "libcmodel_custom.so", "libbmlib.so.0", "third_party")
    _link_entries(source, lib, own)
    _link_entries(source / "third_party", third_party, FOREIGN_LIBC)
    _link_entries(tpuc_root.resolve(), folder, ("lib",))
    (lib / "libcmodel.so").symlink_to(source / cmodel)
    bmlib = source / "libbmlib_bm1684x.so.0"  # releases before 1.30 have one variant, under the plain name
    (lib / "libbmlib.so.0").symlink_to(bmlib if bmlib.exists() else source / "libbmlib.so.0")
    if custom and (source / custom).exists():
        (lib / "libcmodel_custom.so").symlink_to(source / custom)
    return {
        "TPUC_ROOT": str(folder),
        "PATH": os.pathsep.join([str(folder / "bin"), str(folder / "python" / "tools"), os.defpath]),
        "LD_LIBRARY_PATH": os.pathsep.join(str(path) for path in (lib, lib / "capi", third_party)),
        "PYTHONPATH": os.pathsep.join(str(folder / path) for path in ("python", "customlayer/python")),
        "TPUKERNEL_CUSTOM_FIRMWARE_PATH": str(lib / "libcmodel_custom.so"),
        "CUSTOM_LAYER_UNITTEST_DIR": str(folder / "customlayer" / "test_if" / "unittest"),
    }


def _link_entries(source: Path, folder: Path, leave_out: Sequence[str]) -> None:
    for entry in source.iterdir():
        if entry.name not in leave_out:
            (folder / entry.name).symlink_to(entry)
