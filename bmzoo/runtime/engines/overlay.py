"""A private view of an installed TPU-MLIR package, set up for the simulator of one chip.

The package has one `lib/libcmodel.so` for all chips, which its own tools re-point under a global lock. A
process with an overlay of links instead can run beside others, and nothing installed is touched.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Dict, Mapping, Sequence

from bmzoo.errors import SessionError
from bmzoo.runtime.engines.pyruntime import PYRUNTIME

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class Simulator:
    """What the simulator of a chip consists of: files below `lib`, and the `pyruntime_*` module that drives it.

    `custom`: firmware for custom layers, which not every package has. `variables`: further ones that the runtime
    reads, `{lib}` for the overlay's folder of libraries.
    """

    cmodel: str
    runtime: str = "bm"
    custom: str = ""
    bmlib: str = "libbmlib_bm1684x.so.0"
    variables: Mapping[str, str] = field(default_factory=dict)


# Of chips whose simulators run what is compiled for them.
# Source: get_cmodel_so, link_custom_so, link_bmlib_so in TPU-MLIR 1.30, python/tools/model_runner.py. Not here:
# that of sg2380 lacks a symbol (tpu_vector_computility), and the runtime crashes as it loads a network for sg2262.
SIMULATORS: Dict[str, Simulator] = {
    "bm1684": Simulator("libcmodel_bm1684.so"),
    "bm1684x": Simulator("libcmodel_bm1684x.so", custom="libcmodel_custom_1684x.so"),
    "bm1688": Simulator("libcmodel_bm1688.so", custom="libcmodel_custom_1688.so"),
    "cv186x": Simulator("libcmodel_bm1688.so", custom="libcmodel_custom_1684x.so"),
    "bm1684x2": Simulator("libcmodel_bm1684x2.so", bmlib="libbmlib_bm1684x2.so.0"),
    "bm1690": Simulator("libtpuv7_emulator.so", "tpuv7"),
    "bm1690e": Simulator(
        "libtpuv7.1_emulator.so",
        "tpuv7",
        variables={"TPU_EMULATOR_PATH": "{lib}/libtpuv7.1_emulator.so", "TPU_RT_CORE_NUM": "4"},
    ),
    "cv184x": Simulator("libcmodel_cv184x.so"),
    "sgtpuv8": Simulator("libcmodel_sgtpuv8.so"),
    **{chip: Simulator("libcvicmodel.so", "cvi") for chip in ("cv180x", "cv181x", "cv182x", "cv183x")},
}
# Ubuntu 22.04's C library, shipped in lib/third_party: breaks every process on a host with another one.
FOREIGN_LIBC = ("libc.so.6", "libm.so.6", "libpthread.so.0")


def overlay(tpuc_root: Path, chip: str, folder: Path) -> Dict[str, str]:
    """Fill the new `folder` with links to the TPU-MLIR package at `tpuc_root`, set up for `chip`.

    Returns the environment that a child process needs to use it; the caller adds nothing but its own
    Python path. Raises SessionError for a chip without a simulator and for an incomplete package.
    """
    if chip not in SIMULATORS:
        raise SessionError(
            f"simulator: none that runs for this chip: {chip}", f"there are for: {', '.join(SIMULATORS)}"
        )
    source, lib = tpuc_root.resolve() / "lib", folder / "lib"
    row = SIMULATORS[chip]
    cmodel, custom = _cmodel(source, row), row.custom
    if not cmodel.is_file():
        raise SessionError(f"{tpuc_root}: not a TPU-MLIR package, or incomplete: lib/{row.cmodel} is missing")
    third_party = lib / "third_party"
    third_party.mkdir(parents=True)
    own = ("libcmodel.so", "libcmodel_custom.so", "libbmlib.so.0", "third_party")
    _link_entries(source, lib, own)
    _link_entries(source / "third_party", third_party, FOREIGN_LIBC)
    _link_entries(tpuc_root.resolve(), folder, ("lib",))
    (lib / "libcmodel.so").symlink_to(cmodel)
    bmlib = source / row.bmlib  # releases before 1.30 have one variant, under the plain name
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
        PYRUNTIME: row.runtime,
        **{key: value.format(lib=lib) for key, value in row.variables.items()},
    }


def _cmodel(source: Path, row: Simulator) -> Path:
    """The simulator's library; up to 1.24 those of the BM chips have shorter names, as `libcmodel_1688.so`."""
    short = source / row.cmodel.replace("libcmodel_bm", "libcmodel_")
    return short if short.is_file() else source / row.cmodel


def _link_entries(source: Path, folder: Path, leave_out: Sequence[str]) -> None:
    for entry in source.iterdir():
        if entry.name not in leave_out:
            (folder / entry.name).symlink_to(entry)
