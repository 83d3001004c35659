"""The compiler's self-test as a step: its result is kept under the toolchain's identity like any other."""

from bmzoo.plan.step import Command, Step, Subject

CHIP = "bm1688"


def selftest_step() -> Step:
    """Transform, calibrate, deploy and simulate a tiny network, float and INT8, against known values."""
    return Step(
        "selftest",
        Subject(chip=CHIP),
        (
            Command("golden", ("write",)),
            Command(
                "model_transform.py",
                ("--model_name", "golden", "--model_def", "model.onnx", "--mlir", "model.mlir"),
            ),
            Command("run_calibration.py", ("model.mlir", "--data_list", "samples.txt", "-o", "tool.table")),
            *_compile_and_run("F32", "float"),
            *_compile_and_run("INT8", "int8", "--calibration_table", "tool.table"),
            Command("golden", ("check",)),
        ),
        (),
        ("golden.json",),
        timeout=120.0,
    )


def _compile_and_run(quantize: str, name: str, *more: str) -> tuple[Command, Command]:
    model = f"{name}.bmodel"
    return (
        Command(
            "model_deploy.py",
            (
                *("--mlir", "model.mlir", "--chip", CHIP, "--quantize", quantize, *more),
                *("--skip_validation", "--model", model),
            ),
        ),
        Command("simulate", (CHIP, "--model", model, "--inputs", "inputs.npz", "--outputs", f"{name}.npz")),
    )
