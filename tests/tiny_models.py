"""The tiny network of conftest.py, lowered and compiled by the real TPU-MLIR."""

from collections.abc import Sequence
from pathlib import Path

import onnx
from conftest import TABLE

from bmzoo.execute.toolchain import Installation, LocalToolchain
from bmzoo.plan.step import Command
from bmzoo.system.hashing import Digests

QUANTIZE = {"fp32": "F32", "fp16": "F16", "bf16": "BF16", "int8": "INT8"}


SUFFIX = {"fp32": "f32", "fp16": "f16", "bf16": "bf16", "int8": "int8_sym"}


def with_batch(model: Path, batch: int) -> bytes:
    """A model whose batch is free, with a fixed one."""
    loaded = onnx.load(str(model))
    for port in (*loaded.graph.input, *loaded.graph.output):
        port.type.tensor_type.shape.dim[0].dim_value = batch
    return bytes(loaded.SerializeToString())


def lower_tiny(
    folder: Path, model: Path, tpuc_root: Path, targets: Sequence[str], table: str = TABLE, bmodels: bool = False
) -> dict[str, Path]:
    """The tiny model's `top` MLIR and its lowering to `<chip>_<precision>`; with `bmodels` those as well."""
    toolchain = LocalToolchain(Installation(tpuc_root, "under test", external=False), Digests(folder / "memory"))
    (folder / "table").write_text(table)
    (folder / "t.onnx").write_bytes(model.read_bytes())

    def tool(name: str, *arguments: str) -> None:
        toolchain.run(Command(name, arguments), folder, folder / "log.txt", timeout=120)

    transform = ["--model_name", "t", "--model_def", "t.onnx", "--input_shapes", "[[1,3,32,32]]"]
    tool("model_transform.py", *transform, "--mlir", "t.mlir")
    found = {"top": folder / "t.mlir"}
    for target in targets:
        chip, precision = target.split("_")
        arguments = ["--mlir", "t.mlir", "--quantize", QUANTIZE[precision], "--chip", chip, "--skip_validation"]
        arguments += ["--calibration_table", "table"] if precision == "int8" else []
        tool(
            "model_deploy.py",
            *arguments,
            *(["--debug"] if bmodels else ["--not_gen_bmodel"]),
            *("--model", f"{target}.bmodel"),
        )
        found[target] = folder / f"t_{chip}_{SUFFIX[precision]}_tpu.mlir"
    return found
