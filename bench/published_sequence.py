"""All artifacts from nothing: bmzoo, two steps at a time, against the sequence of scripts as published for them.

    python bench/published_sequence.py [--json bench/published_sequence.json] [--data ../shared/data]
                                       [--rounds 1] [--targets NAME...] [--pictures 100] [--sides bmzoo ...]

The published sequence is one command after the other: for each chip and precision a transform for each batch, for
each chip one calibration, and a deploy for each artifact. Both run the same tools of the same installation with the
same flags, on the same pictures; INT8 is plain; nothing is searched, and nothing verified or simulated. bmzoo
starts from the checkpoint, with an empty `build/` and no committed table; the sequence starts from the imported
ONNX model. bmzoo runs three times: for the same artifacts; with channels equalized before INT8, as the config has
it and the sequence does not; and so with thresholds of its own (`engine: bmzoo`).
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from bmzoo.chips import CALIBRATED  # noqa: E402
from bmzoo.commands.normalize import installed_schema, normalize  # noqa: E402
from bmzoo.execute.builder import Builder  # noqa: E402
from bmzoo.execute.toolchain import LocalToolchain, find_installation  # noqa: E402
from bmzoo.measure.stages import machine  # noqa: E402
from bmzoo.plan.fed import pictures  # noqa: E402
from bmzoo.plan.shared import import_step, transform_step  # noqa: E402
from bmzoo.plan.step import Command, Step  # noqa: E402
from bmzoo.system.hashing import Digests, sha256  # noqa: E402
from bmzoo.target import Target, longest_first  # noqa: E402
from bmzoo.tasks.progress import Progress  # noqa: E402
from bmzoo.workspace import Workspace  # noqa: E402

MODEL = "retinaface_mobilenet0.25"
HOUR = 3600.0
STEPS_AT_A_TIME = 2  # as `./doit -n 2` has it
# Layers in float: a search on one side only would not be fair.
SEARCHED = re.compile(r"max_float_layers: *\d+")


# What bmzoo is run with: whether channels are equalized, and who finds thresholds.
SIDES = {"bmzoo": (False, "vendor"), "bmzoo_equalized": (True, "vendor"), "bmzoo_equalized_own": (True, "bmzoo")}


@dataclass(frozen=True)
class Run:
    """Seconds in all and of each command or step, and the size and sha256 of each artifact."""

    seconds: float
    each: dict[str, float]
    artifacts: dict[str, tuple[int, str]]


def config(folder: Path, count: int, equalized: bool, engine: str) -> None:
    """The default model's config with plain INT8."""
    text = SEARCHED.sub("max_float_layers: 0", (ROOT / "configs" / f"{MODEL}.yaml").read_text(encoding="utf-8"))
    text = re.sub(r"(calibration/wider_test, count: )\d+", rf"\g<1>{count}", text)
    assert "equalize: true" in text
    text = text.replace("equalize: true", f"equalize: {str(equalized).lower()}\n  engine: {engine}")
    folder.mkdir(parents=True)
    (folder / f"{MODEL}.yaml").write_text(text, encoding="utf-8")


def workspace(folder: Path, data: Path) -> Workspace:
    return Workspace(folder, {**os.environ, "BMZOO_DATA": str(data)}, Progress())


# --- ours ------------------------------------------------------------------------------------------------------


def ours(at: Workspace, targets: Sequence[Target]) -> Run:
    """Every deploy and what it needs, two steps at a time and each as soon as it can start, as doit has it."""
    model = at.models[MODEL]
    deploys = {target: at.recipe(target).deploy for target in longest_first(targets)}
    start = time.perf_counter()
    builder = at.builder(model)
    entries = run_graph(builder, list(deploys.values()))
    seconds = time.perf_counter() - start
    each = {str(step): builder.run(step).facts["seconds"] for step in entries}
    made = {str(target): builder.run(step).path("model.bmodel") for target, step in deploys.items()}
    return Run(seconds, each, described(made))


def described(made: Mapping[str, Path]) -> dict[str, tuple[int, str]]:
    return {name: (path.stat().st_size, sha256(path)) for name, path in made.items()}


def run_graph(builder: Builder, ends: Sequence[Step]) -> list[Step]:
    waiting = list(dict.fromkeys(step for end in ends for step in in_order(end)))
    done: list[Step] = []
    running: dict[Future[object], Step] = {}
    with ThreadPoolExecutor(STEPS_AT_A_TIME) as pool:
        while waiting or running:
            ready = [step for step in waiting if all(needed in done for needed in step.needs)]
            for step in ready[: STEPS_AT_A_TIME - len(running)]:
                waiting.remove(step)
                running[pool.submit(builder.run, step)] = step
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                future.result()
                done.append(running.pop(future))
    return done


def in_order(step: Step) -> Iterator[Step]:
    for needed in step.needs:
        yield from in_order(needed)
    yield step


# --- the published sequence ------------------------------------------------------------------------------------


class Script:
    """Commands one after the other in one folder, as a script has them."""

    def __init__(self, toolchain: LocalToolchain, folder: Path) -> None:
        self._toolchain = toolchain
        self._folder = folder
        self.each: dict[str, float] = {}

    def run(self, what: str, tool: str, *args: str) -> None:
        start = time.perf_counter()
        self._toolchain.run(Command(tool, args), self._folder, self._folder / "log.txt", HOUR)
        self.each[what] = round(time.perf_counter() - start, 3)
        print(f"  {what}: {self.each[what]:.1f} s", flush=True)


def published(at: Workspace, targets: Sequence[Target], model_onnx: Path, folder: Path) -> Run:
    """Like the samples' scripts: nothing is shared between chips or precisions."""
    installation = find_installation(os.environ)
    assert installation is not None, "found at the start"
    folder.mkdir()
    toolchain = LocalToolchain(installation, Digests(folder / "digests.json"))
    shutil.copy(model_onnx, folder / "model.onnx")
    model = at.models[MODEL]
    dataset = folder / "dataset"
    dataset.mkdir()
    assert model.config.calibration is not None and model.config.calibration.images is not None
    for path in at.sources(model).pictures(pictures(model.config.calibration.images)).files:
        (dataset / path.name).symlink_to(path)
    commands = Script(toolchain, folder)
    artifacts = {}
    start = time.perf_counter()
    calibrated: set[str] = set()
    for chip, precision in dict.fromkeys((t.chip, t.precision) for t in targets):
        wanted = [t for t in targets if (t.chip, t.precision) == (chip, precision)]
        batches = sorted({t.batch for t in wanted} | ({1} if precision in CALIBRATED else set()))
        for batch in batches:
            (step,) = transform_step(model, at.weights.chosen(model), batch).commands
            mlir = f"{chip}_{precision}_{batch}b.mlir"
            commands.run(f"transform {chip} {precision} {batch}b", step.tool, *swapped(step.args, "--mlir", mlir))
        table = f"{chip}.table"
        if precision in CALIBRATED and chip not in calibrated:
            calibrated.add(chip)
            commands.run(
                f"calibrate {chip}", "run_calibration.py", *calibration(at, f"{chip}_{precision}_1b.mlir", table)
            )
        for target in wanted:
            steps = at.recipe(target).deploy.commands
            deploy = next(command for command in steps if command.tool == "model_deploy.py")
            args = swapped(deploy.args, "--mlir", f"{chip}_{precision}_{target.batch}b.mlir")
            args = swapped(args, "--calibration_table", table)
            commands.run(f"deploy {target}", deploy.tool, *swapped(args, "--model", f"{target}.bmodel"))
            artifacts[str(target)] = folder / f"{target}.bmodel"
    seconds = time.perf_counter() - start
    each = dict(commands.each)
    for target in targets:  # not timed: only to see whether the bytes are those of bmzoo
        normalize(artifacts[str(target)], installed_schema(installation.root))
    return Run(seconds, each, described(artifacts))


def calibration(at: Workspace, mlir: str, table: str) -> list[str]:
    """Our calibration's own flags, but for pictures in a folder."""
    model = at.models[MODEL]
    step = next(s for t in model.targets if (s := at.recipe(t).calibrate) is not None)
    command = next(c for c in step.commands if c.tool == "run_calibration.py")
    args = swapped(swapped(command.args, "--data_list", "dataset"), "-o", table)
    return [mlir, *("--dataset" if arg == "--data_list" else arg for arg in args[1:])]


def swapped(args: Sequence[str], flag: str, value: str) -> tuple[str, ...]:
    """The arguments with another value after a flag, where they have it."""
    if flag not in args:
        return tuple(args)
    at = list(args).index(flag) + 1
    return (*args[:at], value, *args[at + 1 :])


# --- side by side ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Round:
    """`ours`: by SIDES; the first makes the artifacts that the sequence makes."""

    ours: Mapping[str, Run]
    published: Run


def opened(folder: Path, data: Path, count: int, equalized: bool, engine: str) -> Workspace:
    config(folder / "configs", count, equalized, engine)
    at = workspace(folder, data)
    at.layout.make_build()
    for error in at.configs.broken.values():
        raise error
    return at


def one_round(folder: Path, data: Path, names: Sequence[str], count: int, sides: Sequence[str]) -> Round:
    runs: dict[str, Run] = {}
    for side in sides:
        equalized, engine = SIDES[side]
        at = opened(folder / side / "checkout", data, count, equalized, engine)
        targets = [at.target(name) for name in names] or list(at.models[MODEL].targets)
        print(side, flush=True)
        runs[side] = ours(at, targets)
        at.digests.save()
        print(f"{side}: {runs[side].seconds:.1f} s", flush=True)
    at = opened(folder / "sequence" / "checkout", data, count, *SIDES["bmzoo"])
    model = at.models[MODEL]
    onnx = at.builder(model).run(import_step(model, at.weights.chosen(model))).path("model.onnx")
    print("published sequence", flush=True)
    theirs = published(at, targets, onnx, folder / "published")
    print(f"published sequence: {theirs.seconds:.1f} s", flush=True)
    return Round(runs, theirs)


def document(rounds: Sequence[Round]) -> dict[str, Any]:
    """Figures of all rounds; steps and artifacts of the first."""
    first = rounds[0]
    shown = {**first.ours, "published": first.published}
    made = next(iter(first.ours.values())).artifacts
    same = [name for name, each in made.items() if each == first.published.artifacts[name]]
    return {
        "targets": list(made),
        "steps_at_a_time": STEPS_AT_A_TIME,
        "seconds": {
            **{side: [round(one.ours[side].seconds, 1) for one in rounds] for side in first.ours},
            "published": [round(one.published.seconds, 1) for one in rounds],
        },
        "ratio": {
            side: [round(one.published.seconds / one.ours[side].seconds, 2) for one in rounds]
            for side in first.ours
        },
        "same_bytes": same,
        "bytes": {side: {name: size for name, (size, _) in run.artifacts.items()} for side, run in shown.items()},
        "each": {side: run.each for side, run in shown.items()},
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--targets", nargs="+", default=[], help="all of the default model's when left out")
    parser.add_argument("--pictures", type=int, default=100, help="to calibrate on")
    parser.add_argument("--sides", nargs="+", default=list(SIDES), choices=SIDES, help="all when left out")
    options = parser.parse_args()
    installation = find_installation(os.environ)
    if installation is None:
        parser.error("TPU-MLIR is not installed here")
    facts = {**machine(), "tpu_mlir": installation.version}
    rounds = []
    for _ in range(options.rounds):
        with tempfile.TemporaryDirectory(prefix="sequence-") as folder:
            asked = (options.data.resolve(), options.targets, options.pictures, options.sides)
            rounds.append(one_round(Path(folder), *asked))
    found = {"machine": facts, "pictures": options.pictures, **document(rounds)}
    print(f"{len(found['targets'])} artifacts, {len(found['same_bytes'])} of them with the same bytes; faster by")
    for side, ratios in found["ratio"].items():
        print(f"  {side}: {min(ratios):.2f} times")
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
