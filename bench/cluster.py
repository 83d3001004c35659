"""Wall time of simulations on two workers of a Dask scheduler, against one, on this machine.

    python bench/cluster.py [--json bench/cluster.json] [--data ../shared/data] [--rounds 2] [--targets NAME...]

Everything before the simulations is made beforehand. Each worker takes one step at a time and starts empty.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from distributed import Client  # noqa: E402

from bmzoo.config.options import Options  # noqa: E402
from bmzoo.execute.toolchain import find_installation  # noqa: E402
from bmzoo.measure.stages import machine  # noqa: E402
from bmzoo.plan.step import Step  # noqa: E402
from bmzoo.store.local import Store  # noqa: E402
from bmzoo.tasks.progress import Progress  # noqa: E402
from bmzoo.workspace import Workspace  # noqa: E402

CONFIG = "retinaface_mobilenet0.25.yaml"
# Of about the same length, so that two workers can share them evenly. Not of BM1684 and BM1684X, whose simulators
# keep two processors busy by waiting in loops: on two processors a second worker has nothing to run on.
TARGETS = ("bm1688_fp16_1b", "bm1688_fp16_1b_2core", "bm1688_int8_4b", "bm1688_int8_4b_2core")


@contextmanager
def engine(folder: Path, workers: int) -> Iterator[str]:
    """The address of a scheduler with that many workers."""
    folder.mkdir()
    file = folder / "scheduler.json"
    started = [_start(folder, "scheduler", "--host=127.0.0.1", "--port=0", f"--scheduler-file={file}")]
    try:
        for number in range(workers):
            own = ("--no-nanny", "--nthreads=1", "--resources=cores=1 memory=4e9")
            local = f"--local-directory={folder / str(number)}"
            started.append(_start(folder, "worker", f"--scheduler-file={file}", *own, local))
        while not file.exists() or not file.read_text(encoding="utf-8").endswith("}"):
            time.sleep(0.1)
        address = json.loads(file.read_text(encoding="utf-8"))["address"]
        with Client(address, set_as_default=False) as client:
            client.wait_for_workers(workers, timeout=60)
        yield str(address)
    finally:
        for process in reversed(started):
            process.terminate()
            process.wait()


def _start(folder: Path, kind: str, *options: str) -> subprocess.Popen[bytes]:
    with (folder / f"{kind}.log").open("ab") as log:
        argv = [sys.executable, "-m", "dask", kind, "--no-dashboard", *options]
        return subprocess.Popen(argv, cwd=ROOT, stdout=log, stderr=log)


def run(checkout: Path, data: Path, steps: list[Step], workers: int, number: int) -> tuple[float, dict[str, float]]:
    """Seconds until all steps are done, and of each."""
    store = Store(checkout / "build")
    with engine(checkout / f"engine{number}", workers) as address:
        at = workspace(checkout, data, address)
        builder = at.builder(next(iter(at.models.values())))
        for step in steps:
            if (entry := builder.find(step)) is not None:
                shutil.rmtree(store.folder(entry.fingerprint))
        builder = workspace(checkout, data, address).builder(next(iter(at.models.values())))
        builder.executor = at.cluster
        assert at.cluster is not None
        at.cluster._client()  # connecting is not what is timed
        start = time.perf_counter()
        with ThreadPoolExecutor(len(steps)) as pool:
            entries = list(pool.map(builder.run, steps))
        taken = time.perf_counter() - start
        at.cluster.close()
    return taken, {str(s): e.facts["seconds"] for s, e in zip(steps, entries, strict=True)}


def workspace(checkout: Path, data: Path, scheduler: str | None = None) -> Workspace:
    return Workspace(checkout, {**os.environ, "BMZOO_DATA": str(data)}, Progress(), Options(scheduler=scheduler))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--targets", nargs="+", default=list(TARGETS))
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that scheduler and workers are ended
    facts = {**machine(), "distributed": version("distributed")}
    installation = find_installation(os.environ)
    facts["tpu_mlir"] = installation.version if installation else ""
    with tempfile.TemporaryDirectory(prefix="cluster-") as folder:
        checkout = Path(folder) / "checkout"
        (checkout / "configs").mkdir(parents=True)
        shutil.copy(ROOT / "configs" / CONFIG, checkout / "configs" / CONFIG)
        at = workspace(checkout, options.data)
        model = next(iter(at.models.values()))
        recipes = [at.recipe(at.target(name)) for name in options.targets]
        for one in recipes:
            at.builder(model).run(one.deploy)
        at.digests.save()
        steps = [one.simulate for one in recipes]
        taken: dict[int, list[float]] = {1: [], 2: []}
        each: dict[int, list[dict[str, float]]] = {1: [], 2: []}
        for number in range(options.rounds):  # in turn, the other way round each time
            for workers in (1, 2) if number % 2 == 0 else (2, 1):
                seconds, of = run(checkout, options.data, steps, workers, 10 * number + workers)
                taken[workers].append(seconds)
                each[workers].append(of)
                print(f"{workers} worker{'s' * (workers > 1)}: {seconds:6.1f} s   {list(of.values())}", flush=True)
    medians = {workers: statistics.median(values) for workers, values in taken.items()}
    ratio = medians[1] / medians[2]
    print(f"two workers are {ratio:.2f} times as fast as one")
    if options.json:
        result = {
            "machine": facts,
            "targets": options.targets,
            "rounds": options.rounds,
            "seconds": {str(workers): [round(value, 2) for value in values] for workers, values in taken.items()},
            "steps_seconds": {str(workers): values for workers, values in each.items()},
            "ratio": round(ratio, 2),
        }
        options.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
