"""Something shaped like the TPU-MLIR package, and like the engine in it."""

import stat
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bmzoo.runtime.engines.overlay import FOREIGN_LIBC, SIMULATORS

INFO = """bmodel version: B.2.2+v1.30.2
chip: BM1688
kernel mode: normal
==========================================
net 0: [t]  static
------------
stage 0, core num: 2
input: x, y, [1, 3, 8, 8], float32, scale: 1, zero_point: 0
output: y_Conv, [1, 4, 8, 8], int8, scale: 0.0113941, zero_point: -3
output: z, [1], float32, scale: 1, zero_point: 0
stage 1, core num: 2
input: x, y, [4, 3, 8, 8], float32, scale: 1, zero_point: 0
"""


def make_package(root: Path) -> Path:
    """Something shaped like the TPU-MLIR package, with a `model_tool` that answers INFO."""
    libs = [row.cmodel for row in SIMULATORS.values()] + [
        "libcmodel.so",
        "libbmrt.so",
        "libbmlib_bm1684x.so.0",
    ]
    names = [f"lib/{name}" for name in [*libs, "libbmlib.so.0", "libcmodel_custom_1688.so"]]
    names += [f"lib/third_party/{name}" for name in (*FOREIGN_LIBC, "libomp.so.5")]
    for name in [*names, "python/pyruntime_bm.so", "customlayer/readme"]:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    (root / "bin").mkdir()
    script(root / "bin" / "model_tool", f"cat <<'END'\n{INFO}END")
    return root


def script(path: Path, body: str) -> Path:
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(stat.S_IRWXU)
    return path


class DoublingNet:
    """Stands in for `pyruntime_bm`: one input, outputs in an order that is not the alphabet's."""

    runtime = "bm"

    def __init__(self) -> None:
        def tensor(name: str, dtype: str, array: type) -> SimpleNamespace:
            data: NDArray[Any] = np.zeros((2, 3), array)
            return SimpleNamespace(name=name, dtype=dtype, data=data, qscale=0.5, qzero_point=0)

        self.inputs = [tensor("x", "f32", np.float32)]
        self.outputs = [tensor("z", "i8", np.int8), tensor("file", "f32", np.float32)]

    def forward(self) -> None:
        self.outputs[0].data[:] = self.outputs[1].data[:] = self.inputs[0].data * 2
