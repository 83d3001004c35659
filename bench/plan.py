"""What bmzoo itself costs: commands that find nothing to do, and planning, for 17 targets and for 1,000.

    python bench/plan.py [--json bench/plan.json] [--data ../shared/data] [--rounds 9] [--targets 1000]

The 17 targets are those of the default model, all built, verified and evaluated, with the real installation's
identity in every fingerprint; only what was run to make them were the tests' fake tools. The many are of tiny
models on the fake toolchain. Every time is that of a whole process, start of Python included, commands in turn.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

import cv2
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from bmzoo.measure.stages import machine  # noqa: E402
from bmzoo.tasks.actions.plan import render_plan  # noqa: E402
from bmzoo.tasks.progress import Progress  # noqa: E402
from bmzoo.workspace import Workspace  # noqa: E402

MODEL = "retinaface_mobilenet0.25"
# Appended to dodo.py: how everything is made, and how it is found.
DISGUISED = """

from fake_toolchain import FakeToolchain
from stand_ins import Disguised
WORKSPACE.toolchain = Disguised(WORKSPACE.toolchain, FakeToolchain())
"""
FAKE = """

from fake_toolchain import FakeToolchain
WORKSPACE.toolchain_override = FakeToolchain()
"""
IDLE = """

from stand_ins import Idle
WORKSPACE.toolchain_override = Idle()
"""
# Runs one command and says what it took. A small process of its own, as the peak of a child's memory is never told
# as less than what its parent had.
LAUNCH = """
import json, os, sys, time
start = time.perf_counter()
child = os.fork()
if child == 0:
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    os.dup2(1, 2)
    os.execv(sys.argv[1], sys.argv[1:])
_, status, used = os.wait4(child, 0)
print(json.dumps([status, time.perf_counter() - start, used.ru_utime + used.ru_stime, used.ru_maxrss]))
"""
PER_MODEL = 84  # targets: 21 combinations of chip, precision and cores below, each at all batches
CONFIG = """\
weights: [{{name: given, file: model.onnx, sha256: {digest}}}]
input: {{height: 32, width: 32}}
decoder: {{kind: none}}
calibration: {{images: {{folder: pictures/calibration}}, minimum: 2}}
verify: {{images: {{folder: pictures/selection}}, floats: 1, quantized: 1}}
evaluate: {{truth: truth/gt.json}}
targets:
  - {{chip: bm1684, precision: [fp32, int8], batch: [1, 2, 4, 8]}}
  - {{chip: [bm1684x, cv186x], precision: [fp32, fp16, bf16, int8], batch: [1, 2, 4, 8]}}
  - {{chip: cv186x, precision: int4, batch: [1, 2, 4, 8]}}
  - {{chip: bm1688, precision: [fp32, fp16, bf16, int8, int4], batch: [1, 2, 4, 8], cores: [1, 2]}}
"""


@dataclass
class Cost:
    """Of one command, run again and again: seconds on the clock, seconds of the processor, MB at the peak."""

    wall: list[float] = field(default_factory=list)
    processor: list[float] = field(default_factory=list)
    memory: list[float] = field(default_factory=list)

    def summary(self) -> dict[str, float]:
        return {
            "wall_s": round(statistics.median(self.wall), 3),
            "wall_min_s": round(min(self.wall), 3),
            "processor_s": round(statistics.median(self.processor), 3),
            "memory_mb": round(max(self.memory), 1),
        }


def measure(commands: Mapping[str, Sequence[str]], checkout: Path, data: Path, rounds: int) -> dict[str, Cost]:
    """All commands in turn, as often as `rounds` says, after one round that is not counted."""
    costs = {name: Cost() for name in commands}
    for number in range(rounds + 1):
        for name, argv in commands.items():
            command = [sys.executable, "-I", "-S", "-c", LAUNCH, *argv]
            done = subprocess.run(command, cwd=checkout, env=environment(data), stdout=subprocess.PIPE, check=False)
            status, wall, processor, memory = json.loads(done.stdout)
            if status:
                raise SystemExit(f"{' '.join(argv)}: wait status {status}")
            if number:
                costs[name].wall.append(wall)
                costs[name].processor.append(processor)
                costs[name].memory.append(memory / 1024)
    return costs


def environment(data: Path) -> dict[str, str]:
    paths = os.pathsep.join(map(str, (ROOT, ROOT / "tests", ROOT / "bench")))
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "TPUC_ROOT") if name in os.environ}
    return {**kept, "PYTHONPATH": paths, "BMZOO_DATA": str(data)}


def doit(*words: str) -> list[str]:
    return [sys.executable, "-m", "bmzoo.tasks", *words]  # as ./doit runs it


def make(checkout: Path, data: Path) -> float:
    """Everything of the zoo, by the dodo file that has the tools for it. Seconds."""
    start = time.perf_counter()
    with (checkout / "making.log").open("ab") as log:
        argv = doit("-f", "making.py", "zoo")
        done = subprocess.run(argv, cwd=checkout, env=environment(data), stdout=log, stderr=log, check=False)
    if done.returncode:
        raise SystemExit((checkout / "making.log").read_text(encoding="utf-8")[-3000:])
    return time.perf_counter() - start


def checkout_of(folder: Path, making: str, finding: str) -> Path:
    """A checkout without configs, with a dodo file to make everything by and one that is timed."""
    folder.mkdir()
    text = (ROOT / "dodo.py").read_text(encoding="utf-8")
    (folder / "making.py").write_text(text + making, encoding="utf-8")
    (folder / "dodo.py").write_text(text + finding, encoding="utf-8")
    shutil.copy(ROOT / "doit.cfg", folder)
    (folder / "configs").mkdir()
    return folder


def default_model(folder: Path) -> None:
    checkout = checkout_of(folder, DISGUISED, "")
    shutil.copy(ROOT / "configs" / f"{MODEL}.yaml", checkout / "configs")  # decisions are what the fake tools find


def many_targets(folder: Path, count: int) -> None:
    """A checkout with about that many targets of tiny models, its data below it."""
    checkout = checkout_of(folder, FAKE, IDLE)
    data = folder / "data"
    for name, seeds in (("calibration", range(4)), ("selection", range(4, 12))):
        (data / "pictures" / name).mkdir(parents=True)
        for seed in seeds:
            noise = np.random.default_rng(seed).integers(0, 255, (30, 40, 3), np.uint8)
            (data / "pictures" / name / f"{seed}.png").write_bytes(cv2.imencode(".png", noise)[1].tobytes())
    (data / "truth").mkdir()
    (data / "truth" / "gt.json").write_text("{}", encoding="utf-8")
    content = tiny_model()
    (data / "model.onnx").write_bytes(content)
    text = CONFIG.format(digest=sha256(content).hexdigest())
    for number in range(-(-count // PER_MODEL)):
        (checkout / "configs" / f"tiny{number}.yaml").write_text(text, encoding="utf-8")


def tiny_model() -> bytes:
    """x [N,3,32,32] -> convolution -> y [N,4,32,32]."""
    weights = numpy_helper.from_array(np.full((4, 3, 1, 1), 0.25, np.float32), "w")
    x, y = (
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", channels, 32, 32])
        for name, channels in (("x", 3), ("y", 4))
    )
    graph = helper.make_graph([helper.make_node("Conv", ["x", "w"], ["y"], name="c")], "g", [x], [y], [weights])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 11)], ir_version=6)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def planning(checkout: Path, data: Path) -> tuple[int, float, int]:
    """Targets, seconds to read the configs and to plan every command of every one, and lines of the plan."""
    start = time.perf_counter()
    at = Workspace(checkout, environment(data), Progress())
    text = render_plan(at, [])
    taken = time.perf_counter() - start
    return sum(len(model.targets) for model in at.models.values()), taken, text.count("\n")


def show(title: str, costs: Mapping[str, Cost]) -> dict[str, dict[str, float]]:
    found = {name: cost.summary() for name, cost in costs.items()}
    print(f"{title:<34}{'wall s':>9}{'lowest':>9}{'cpu s':>9}{'MB':>9}")
    for name, row in found.items():
        print(f"  {name:<32}" + "".join(f"{value:>9}" for value in row.values()), flush=True)
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--targets", type=int, default=1000)
    parser.add_argument("--keep", type=Path, help="make the checkouts there, or use those made there before")
    options = parser.parse_args()
    facts = machine()
    imports = [sys.executable, "-c", "import doit, yaml, numpy"]
    with tempfile.TemporaryDirectory(prefix="plan-") as temporary:
        folder = options.keep or Path(temporary)
        folder.mkdir(exist_ok=True)
        few, many = folder / "few", folder / "many"
        if not few.exists():
            default_model(few)
        print(f"made in {make(few, options.data):.0f} s", flush=True)
        commands = {"import doit, yaml, numpy": imports, "doit list": doit("list"), "doit zoo": doit("zoo")}
        of_few = show("17 targets, nothing changed", measure(commands, few, options.data, options.rounds))
        if not many.exists():
            many_targets(many, options.targets)
        print(f"made in {make(many, many / 'data'):.0f} s", flush=True)
        count, seconds, lines = planning(many, many / "data")
        commands = {name: doit(*name.split()[1:]) for name in ("doit list", "doit plan", "doit build", "doit zoo")}
        rounds = max(3, options.rounds // 3)
        of_many = show(f"{count} targets, nothing changed", measure(commands, many, many / "data", rounds))
    bare, listed, nothing = of_few.values()
    ratios = {
        f"{what}_{key}": round(a[f"{key}_s"] / b[f"{key}_s"], 2)
        for what, a, b in (("zoo_to_list", nothing, listed), ("list_to_import", listed, bare))
        for key in ("wall", "processor")
    }
    print(f"ratios: {ratios}; {count} targets planned in {seconds:.2f} s, {lines} lines")
    if options.json:
        plan = {"targets": count, "seconds": round(seconds, 3), "lines": lines}
        result = {"machine": facts, "rounds": options.rounds, "ratios": ratios, "few": of_few, "many": of_many}
        options.json.write_text(json.dumps({**result, "planning": plan}, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
