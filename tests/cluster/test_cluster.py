"""Steps on other machines: with a real Dask scheduler and workers, and without Dask where it does not matter."""

import json
import pickle
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from conftest import Project, Silent
from dask_processes import Engine, wait_until
from fake_cluster import Here
from hanging_tools import alive, all_gone, hanging, wait_for_tools

from bmzoo.cluster import client as cluster_module
from bmzoo.cluster.job import Outcome, RemoteJob
from bmzoo.config.options import Options
from bmzoo.errors import BmzooError, ConfigError, StoreError, ToolFailed
from bmzoo.plan.resources import BY_KIND, OTHERS
from bmzoo.plan.step import Command
from bmzoo.results.artifact import build_artifact
from bmzoo.store.local import Store
from bmzoo.workspace import Workspace

REPOSITORY = Path(__file__).resolve().parents[2]
TARGETS = ("bm1684_fp32_1b", "bm1688_fp32_2b", "bm1684_int8_2b", "bm1688_int8_1b")
INT8 = "bm1688_int8_2b"


def open_on(project: Project, scheduler: str, store: Path | None = None) -> Workspace:
    project.toolchain.ran.clear()
    environ = {"BMZOO_DATA": str(project.data), **({"BMZOO_STORE": str(store)} if store else {})}
    options = Options(scheduler=scheduler)
    return Workspace(project.root, environ, project.report, options, toolchain_override=project.toolchain)


def results(project: Project) -> dict[str, dict[str, str]]:
    """Every result in the store: fingerprint -> digest of each file."""
    store = Store(project.root / "build")
    found = (store.lookup(folder.name) for folder in store.folders())
    return {entry.fingerprint: dict(entry.files) for entry in found if entry is not None}


def artifacts(project: Project) -> dict[str, bytes]:
    build = project.root / "build"
    return {str(path.relative_to(build)): path.read_bytes() for path in sorted(build.glob("BM*/*.bmodel"))}


# --- without Dask: a client that runs jobs at once, as a worker on another machine would ----------------------


@pytest.fixture
def far(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Here:
    """Another machine that shares no disk but what a test says."""
    here = Here(tmp_path / "far", hidden=True)
    monkeypatch.setattr(cluster_module, "_connect", lambda address: here)
    monkeypatch.setattr(cluster_module, "ARRIVAL", (0.0,))
    return here


def build(at: Workspace, name: str) -> None:
    build_artifact(at, at.target(name))


def test_inputs_and_results_travel_through_the_shared_store(project: Project, far: Here, tmp_path: Path) -> None:
    at = open_on(project, "tcp://far", tmp_path / "shared")
    build(at, INT8)
    assert project.toolchain.ran == []  # nothing ran here
    assert set(far.toolchain.ran) >= {"import", "model_transform.py", "run_calibration.py", "model_deploy.py"}
    made = results(project)
    shutil.rmtree(project.root / "build")
    project.build(INT8)
    assert results(project) == made


def test_what_was_made_before_is_sent_too(project: Project, far: Here, tmp_path: Path) -> None:
    project.build("bm1684_int8_2b")  # with no store to share it
    build(open_on(project, "tcp://far", tmp_path / "shared"), INT8)
    assert "model_deploy.py" in far.toolchain.ran and "model_transform.py" not in far.toolchain.ran


def test_files_that_a_worker_has_are_not_sent(project: Project, far: Here, tmp_path: Path) -> None:
    far.data = (project.data,)
    build(open_on(project, "tcp://far", tmp_path / "shared"), INT8)
    told = [json.loads(path.read_text())["facts"]["step"] for path in (tmp_path / "shared").rglob("manifest.json")]
    assert told and not [step for step in told if step.startswith("source")]
    assert len(far.jobs) == len(told)  # none twice


@pytest.mark.parametrize("has", [False, True])
def test_external_data_travels_as_well(project: Project, far: Here, tmp_path: Path, has: bool) -> None:
    project.split_weights("w/model.onnx.data")
    far.data = (project.data,) if has else ()
    build(open_on(project, "tcp://far", tmp_path / "shared"), "bm1688_fp32_1b")
    assert "import" in far.toolchain.ran and "import" not in project.toolchain.ran


def test_without_a_shared_store_the_disk_must_be_shared(
    project: Project, far: Here, monkeypatch: pytest.MonkeyPatch
) -> None:
    build(open_on(project, "tcp://far"), "bm1688_fp32_1b")  # it is: `hidden` hides only sources
    assert len(results(project)) >= 5
    shutil.rmtree(project.root / "build")
    far.toolchain.before = lambda command, folder: None
    apart = far.submit

    def submit(run: object, job: RemoteJob, **options: Any) -> Here:
        return apart(run, replace(job, witness=job.witness.replace("checkout", "elsewhere")), **options)

    monkeypatch.setattr(far, "submit", submit)
    with pytest.raises(StoreError, match="does not see .*checkout/build, and there is no shared store") as caught:
        build(open_on(project, "tcp://far"), "bm1688_fp32_1b")
    assert "store: {url: ...}" in caught.value.hint and "tcp://far:1" in caught.value.message


def test_a_store_that_a_worker_cannot_reach_is_named(
    project: Project, far: Here, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    apart = far.submit

    def submit(run: object, job: RemoteJob, **options: Any) -> Here:
        return apart(run, replace(job, channel=str(tmp_path / "no mount" / "shared")), **options)

    monkeypatch.setattr(far, "submit", submit)
    with pytest.raises(StoreError, match="worker tcp://far:1: gets no source.onnx from") as caught:
        build(open_on(project, "tcp://far", tmp_path / "shared"), "bm1688_fp32_1b")
    assert "no mount" in caught.value.hint
    far.data = (project.data,)  # it can begin, but not hand over
    with pytest.raises(StoreError, match="worker tcp://far:1: its result did not arrive in") as caught:
        build(open_on(project, "tcp://far", tmp_path / "shared"), "bm1688_fp32_1b")
    assert "no mount" in caught.value.hint


@pytest.mark.parametrize("url", ["https://example.org/zoo", "memory://zoo"])
def test_a_store_that_nothing_can_travel_through_is_refused(project: Project, far: Here, url: str) -> None:
    at = open_on(project, "tcp://far", Path("/x"))
    at.environ = {**at.environ, "BMZOO_STORE": url}
    with pytest.raises(ConfigError, match="results of workers cannot travel through it"):
        build(at, "bm1688_fp32_1b")


def test_another_version_of_a_tool_is_refused(project: Project, far: Here, tmp_path: Path) -> None:
    project.toolchain.version, far.toolchain.version = "tpu_mlir 1.30.2 aaaa", "tpu_mlir 1.29 bbbb"
    with pytest.raises(ToolFailed) as caught:
        build(open_on(project, "tcp://far", tmp_path / "shared"), "bm1688_fp32_1b")
    assert caught.value.message == (
        "worker tcp://far:1: model_transform.py is of tpu_mlir 1.29 there, the build needs tpu_mlir 1.30.2"
    )
    assert far.toolchain.ran == ["import"]


def test_a_failure_comes_back_with_its_evidence(project: Project, far: Here, tmp_path: Path) -> None:
    def crash(command: Command, folder: Path) -> None:
        if command.tool == "model_deploy.py":
            (folder / "log.txt").write_text("said before the end\n")
            (folder / "half.mlir").write_text("module {")
            raise ToolFailed("model_deploy.py: killed by SIGKILL", "was there enough memory?")

    far.toolchain.before = crash
    with pytest.raises(ToolFailed) as caught:
        build(open_on(project, "tcp://far", tmp_path / "shared"), "bm1688_fp32_1b")
    evidence = project.root / "build/failed/deploy.tiny.given.bm1688_fp32_1b"
    assert caught.value.message == "worker tcp://far:1: model_deploy.py: killed by SIGKILL"
    assert caught.value.hint == "was there enough memory?"
    assert caught.value.evidence == f"{evidence.relative_to(project.root)}/log.txt"
    assert (evidence / "log.txt").read_text() == "said before the end\n"
    assert (evidence / "half.mlir").read_text() == "module {"
    assert "half.mlir" in (evidence / "files.txt").read_text()
    assert project.report.failures == ["deploy"]
    assert list((tmp_path / "far/build/scratch").glob("*-*/")) == []


def test_warnings_and_logs_come_back(project: Project, far: Here, tmp_path: Path) -> None:
    (project.data / "pictures/calibration/broken.jpg").write_bytes(b"\xff\xd8 not a jpeg")
    (project.data / "pictures/calibration/notes.txt").write_text("not a picture")
    build(open_on(project, "tcp://far", tmp_path / "shared"), INT8)
    said = "\n".join(project.report.warnings)
    assert "notes.txt: skipped" in said and "broken.jpg: skipped" in said
    assert (project.root / "build/logs/transform.tiny.given.1b.log").exists()


def test_steps_say_what_they_need(project: Project, far: Here, tmp_path: Path) -> None:
    build(open_on(project, "tcp://far", tmp_path / "shared"), "bm1688_fp32_1b")
    needs = [BY_KIND[job.step.kind] for job in far.jobs]
    assert far.resources == [{"cores": one.cores, "memory": one.memory} for one in needs]
    assert all(job.step.inputs == () for job in far.jobs)  # no step carries all steps before it
    assert str(OTHERS) == "cores=2 memory=4e9" and all(1 <= one.cores <= 2 for one in BY_KIND.values())


def test_a_picture_that_changes_under_way_is_noticed(
    project: Project, far: Here, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = open_on(project, "tcp://far", tmp_path / "shared")
    real = at.cluster
    assert real is not None
    send = real._send_one

    def late(wanted: Any, entry: Any) -> None:
        if wanted.name.endswith("0.png"):
            Path(wanted.path).write_bytes(b"changed")
        send(wanted, entry)

    monkeypatch.setattr(real, "_send_one", late)
    with pytest.raises(StoreError, match=r"gets no pictures/00000.png") as caught:
        build(at, "bm1688_fp32_1b")
    assert "damaged" in caught.value.hint


# --- the way to the scheduler -------------------------------------------------------------------------------


def test_without_dask_installed_the_fix_is_named(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster_module, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match="distributed is not installed") as caught:
        build(open_on(project, "tcp://far"), "bm1688_fp32_1b")
    assert f"pip install {cluster_module.PIN}" in caught.value.hint
    assert f'dask = ["{cluster_module.PIN}"]' in (REPOSITORY / "pyproject.toml").read_text()


def test_a_scheduler_that_is_not_there(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("distributed")
    monkeypatch.setattr(cluster_module, "SCHEDULER_TIMEOUT", 0.5)
    at = open_on(project, "tcp://127.0.0.1:1")
    with pytest.raises(ToolFailed, match="scheduler tcp://127.0.0.1:1: not reached within 0.5 s"):
        build(at, "bm1688_fp32_1b")
    start = time.monotonic()
    with pytest.raises(ToolFailed, match="not reached"):
        build(at, "bm1688_fp32_1b")
    assert time.monotonic() - start < 0.4  # not tried again for every target
    with pytest.raises(ConfigError, match="scheduler ftp://x: not an address"):
        build(open_on(project, "ftp://x"), "bm1688_fp32_1b")


def test_the_scheduler_is_named_on_the_line_or_in_the_environment(project: Project) -> None:
    environ = {"BMZOO_SCHEDULER": "tcp://a:1"}
    assert Workspace(project.root, {}, Silent()).cluster is None
    pytest.importorskip("distributed")
    for line, address in ((None, "tcp://a:1"), ("tcp://b:2", "tcp://b:2")):
        found = Workspace(project.root, environ, Silent(), Options(scheduler=line)).cluster
        assert found is not None and found._address == address


# --- a real scheduler and workers ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    pytest.importorskip("distributed")
    engine = Engine(tmp_path_factory.mktemp("engine"))
    yield engine
    engine.close()


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    """Steps in flight, as with `-n`."""
    with ThreadPoolExecutor(4) as pool:
        yield pool


def close(at: Workspace) -> None:
    assert at.cluster is not None
    at.cluster.close()


@pytest.mark.cluster
def test_a_zoo_from_two_workers_is_the_one_from_here(
    project: Project, engine: Engine, pool: ThreadPoolExecutor
) -> None:
    for name in TARGETS:
        project.build(name)
    here, files = results(project), artifacts(project)
    shutil.rmtree(project.root / "build")
    engine.want(2)
    engine.slow(model_deploy=0.5)
    at = open_on(project, engine.address)
    list(pool.map(lambda name: build(at, name), TARGETS))
    close(at)
    assert project.toolchain.ran == []
    assert results(project) == here and artifacts(project) == files and len(files) == len(TARGETS)
    assert len(engine.running()) == 2  # both had some of it


@pytest.mark.cluster
def test_the_steps_of_a_lost_worker_run_elsewhere(
    project: Project, engine: Engine, pool: ThreadPoolExecutor
) -> None:
    engine.want(2)
    engine.slow(model_deploy=2.0)
    at = open_on(project, engine.address)
    building = [pool.submit(build, at, name) for name in TARGETS[:2]]
    wait_until(lambda: len(engine.running()) == 2, 30)
    first = next(worker for worker in engine.workers if worker.pid in engine.running())
    tools = engine.running()[first.pid]
    first.kill()
    for one in building:
        one.result(timeout=30)
    close(at)
    wait_until(partial(all_gone, tools), 2)
    assert len(artifacts(project)) == 2
    ran = engine.running()
    other = next(pid for pid in ran if pid != first.pid)
    assert len(ran[first.pid]) == 2 and len(ran[other]) == 4  # process and child: its own step, and the lost one


@pytest.mark.cluster
def test_a_worker_that_joins_late_is_used(project: Project, engine: Engine, pool: ThreadPoolExecutor) -> None:
    engine.want(1)
    engine.slow(model_deploy=2.0)
    at = open_on(project, engine.address)
    building = [pool.submit(build, at, name) for name in TARGETS]
    wait_until(lambda: len(engine.running()) == 1, 30)
    late = engine.start_worker("--preload=cluster_worker")
    for one in building:
        one.result(timeout=60)
    close(at)
    assert late.pid in engine.running() and len(artifacts(project)) == len(TARGETS)


@pytest.mark.cluster
def test_a_step_that_nobody_can_run_waits_and_says_so(
    project: Project, engine: Engine, pool: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster_module, "LOOK", 0.3)
    engine.want(0)
    engine.slow()
    at = open_on(project, engine.address)
    building = pool.submit(build, at, TARGETS[0])
    wait_until(lambda: bool(project.report.warnings), 10)
    assert "it has no workers; start one: -m dask worker tcp://" in project.report.warnings[0]
    engine.start_worker("--preload=cluster_worker")
    building.result(timeout=30)
    close(at)
    assert len(artifacts(project)) == 1


@pytest.mark.cluster
def test_a_scheduler_that_goes_is_one_line(project: Project, engine: Engine, pool: ThreadPoolExecutor) -> None:
    engine.want(1)
    engine.slow(model_deploy=30.0)
    at = open_on(project, engine.address)
    building = pool.submit(build, at, TARGETS[0])
    wait_until(lambda: bool(engine.running()), 30)
    tools = [pid for pids in engine.running().values() for pid in pids]
    engine.scheduler.kill()
    engine.scheduler.wait()
    with pytest.raises(
        ToolFailed, match=r"deploy tiny.given bm1684_fp32_1b: connection to scheduler tcp://.* lost"
    ):
        building.result(timeout=10)
    wait_until(partial(all_gone, tools), 5)  # the worker knows that nobody waits
    close(at)


@pytest.fixture
def checkout(project: Project, tmp_path: Path) -> Path:
    return hanging(project, tmp_path)


@pytest.mark.cluster
def test_an_interrupt_here_ends_the_step_there(checkout: Path, tmp_path: Path) -> None:
    pytest.importorskip("distributed")
    tpuc = {"TPUC_ROOT": str(tmp_path / "tpuc")}
    engine = Engine(tmp_path / "engine", **tpuc)
    try:
        engine.start_worker()  # as users start them: the toolchain is what it finds
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
            shutil.rmtree(tmp_path / "marks")
            (tmp_path / "marks").mkdir()
            argv = [sys.executable, "-m", "doit", f"scheduler={engine.address}", "transform:1b"]
            env = {**engine.environ, **tpuc, "BMZOO_DATA": str(checkout / "data")}
            doit = subprocess.Popen(argv, cwd=checkout, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
            pids = wait_for_tools(checkout, 1)
            assert alive(pids) == pids
            doit.send_signal(number)
            out, _ = doit.communicate(timeout=10)
            wait_until(partial(all_gone, pids), 5)
            assert doit.returncode != 0
            if number != signal.SIGKILL:
                assert b"interrupted" in out and b"Traceback" not in out, out.decode()
        assert engine.workers[0].poll() is None  # the worker itself goes on
    finally:
        engine.close()


def test_errors_keep_their_class_and_hint_on_the_way(tmp_path: Path) -> None:
    outcome = Outcome("tcp://far:1", error=StoreError("full", "free some space"), files={"log.txt": b"x"})
    again = pickle.loads(pickle.dumps(outcome))
    assert isinstance(again.error, BmzooError) and type(again.error) is StoreError
    assert again.error.render() == "full\nhint: free some space"
    assert again.files == outcome.files
