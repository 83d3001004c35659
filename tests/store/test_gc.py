"""`gc`: which entries go, what is spared, and that nobody who reads meanwhile is harmed."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bmzoo.plan.step import HOUR
from bmzoo.store import gc
from bmzoo.store.entry import MANIFEST
from bmzoo.store.gc import GRACE, Usage, choose, clean, evict, size, usages
from bmzoo.store.local import Entry, Store
from bmzoo.store.scratch import DAY

ROOT = Path(__file__).parents[2]
KEYS = [f"{i:02x}" * 32 for i in range(1, 6)]
NOW = 1_800_000_000.0


def usage(key: str, size: int, age: float) -> Usage:
    return Usage(key, size, int((NOW - age) * 1e9))


def test_the_least_recently_used_go_first_and_no_more_than_needed() -> None:
    entries = [usage("a", 10, 3 * DAY), usage("b", 10, 9 * DAY), usage("c", 10, 6 * DAY), usage("d", 10, DAY)]
    assert [u.fingerprint for u in choose(entries, 40, (), NOW)] == []
    assert [u.fingerprint for u in choose(entries, 39, (), NOW)] == ["b"]
    assert [u.fingerprint for u in choose(entries, 15, (), NOW)] == ["b", "c", "a"]


def test_what_the_configs_use_goes_last() -> None:
    entries = [usage("a", 10, 9 * DAY), usage("b", 10, 3 * DAY)]
    assert [u.fingerprint for u in choose(entries, 10, {"a"}, NOW)] == ["b"]
    assert [u.fingerprint for u in choose(entries, 0, {"a"}, NOW)] == ["b", "a"]


def test_what_was_used_just_now_stays_and_a_use_in_the_future_is_none() -> None:
    entries = [
        usage("young", 10, HOUR),
        usage("ahead", 10, -HOUR),
        usage("future", 10, -99 * DAY),
        usage("old", 1, DAY),
    ]
    assert [u.fingerprint for u in choose(entries, 0, (), NOW)] == ["future", "old"]


@given(
    st.lists(st.tuples(st.integers(0, 50), st.floats(-20 * HOUR, 20 * HOUR), st.booleans()), max_size=12),
    st.integers(0, 300),
)
def test_the_limit_is_kept_unless_everything_left_is_in_use(
    rows: list[tuple[int, float, bool]], limit: int
) -> None:
    entries = [usage(str(i), size, age) for i, (size, age, _) in enumerate(rows)]
    keep = {str(i) for i, (_, _, kept) in enumerate(rows) if kept}
    chosen = choose(entries, limit, keep, NOW)
    left = [u for u in entries if u not in chosen]
    assert sum(u.size for u in left) <= limit or all(abs(NOW - u.used_ns / 1e9) <= GRACE for u in left)
    if chosen:
        assert sum(u.size for u in left) + chosen[-1].size > limit
    if any(u.fingerprint in keep for u in chosen):
        assert not [u for u in left if u.fingerprint not in keep and abs(NOW - u.used_ns / 1e9) > GRACE + 1]


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (1_301_900_000, "1.3 GB"), (3e15, "3000.0 TB")],
)
def test_sizes_are_for_people(count: float, text: str) -> None:
    assert size(count) == text


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "build")


def publish(store: Store, key: str, age: float = 0.0) -> Entry:
    """An entry of about 10 kB, last used that many seconds ago."""
    with store.scratch() as folder:
        (folder / "out.bin").write_bytes(key.encode() * 150)
        entry = store.publish(key, folder, ("out.bin",), {})
    if age:
        os.utime(entry.path(MANIFEST), (time.time() - age, time.time() - age))
    return entry


def test_a_clean_up_removes_what_it_says_and_a_dry_one_nothing(store: Store, tmp_path: Path) -> None:
    for number, key in enumerate(KEYS):
        publish(store, key, age=(10 - number) * DAY)
    build = tmp_path / "build"
    planned = clean(store, 25_000, {KEYS[0]}, dry=True)
    assert len(usages(store)) == 5
    done = clean(store, 25_000, {KEYS[0]}, dry=False)
    assert done == planned and done.entries == 3 and done.needed == 0 and done.left <= 25_000
    assert [u.fingerprint for u in usages(store)] == [KEYS[0], KEYS[4]]
    assert done.lines()[0].startswith("3 entries removed, 29.5 kB freed; ")
    assert store.lookup(KEYS[1]) is None and store.lookup(KEYS[0]) is not None
    assert list((build / "scratch").iterdir()) == []
    everything = clean(store, 0, set(KEYS), dry=False)
    assert everything.needed == 1 and "limit is too small" in everything.lines()[1]  # the other was used just now
    assert "still over the limit" in everything.lines()[2]


def test_looking_something_up_is_a_use_of_it(store: Store, tmp_path: Path) -> None:
    old, looked_up, asked = (publish(store, key, age=5 * DAY) for key in KEYS[:3])
    assert store.lookup(looked_up.fingerprint) and Store(tmp_path / "build", stamping=False).lookup(
        asked.fingerprint
    )
    gone = clean(store, 0, (), dry=False)
    assert gone.entries == 2 and [u.fingerprint for u in usages(store)] == [looked_up.fingerprint]
    assert store.use(looked_up) and not store.use(old)


def test_a_use_is_recorded_by_the_file_systems_clock_and_not_too_often(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = publish(store, KEYS[0], age=600)
    before = entry.path(MANIFEST).stat().st_mtime_ns
    assert store.lookup(KEYS[0]) and entry.path(MANIFEST).stat().st_mtime_ns == before
    real = time.time()
    for skew in (-400 * DAY, 400 * DAY):
        monkeypatch.setattr(time, "time", lambda skew=skew: real + skew)
        assert store.lookup(KEYS[0])
        assert abs(entry.path(MANIFEST).stat().st_mtime - real) < 60
    assert clean(store, 0, (), dry=False).entries == 0


def test_an_entry_used_between_plan_and_removal_stays(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = publish(store, KEYS[0], age=5 * DAY)
    (planned,) = usages(store)
    assert store.lookup(KEYS[0])
    assert not evict(store, planned) and store.lookup(KEYS[0]) == entry
    os.utime(entry.path(MANIFEST), ns=(planned.used_ns, planned.used_ns))
    rename = Path.rename

    def late_use(self: Path, to: Path) -> Path:
        if self == entry.folder:
            os.utime(entry.path(MANIFEST))
        return rename(self, to)

    monkeypatch.setattr(Path, "rename", late_use)
    assert not evict(store, planned) and store.lookup(KEYS[0]) == entry
    monkeypatch.undo()
    assert evict(store, usages(store)[0]) and not evict(store, planned)


READER = """
import sys, time
from pathlib import Path
from bmzoo.store.local import Store
store, seen = Store(Path(sys.argv[1])), set()
print("ready", flush=True)
while not (Path(sys.argv[1]) / "stop").exists():
    for key in sys.argv[2:]:
        entry = store.lookup(key)
        seen.add(entry is not None)
        if entry is not None:
            try:
                content = entry.path("out.bin").read_bytes()
            except FileNotFoundError:  # within the moment in which a clean-up notices that it is in use
                time.sleep(0.1)
                content = entry.path("out.bin").read_bytes()
            assert content == key.encode() * 150
print(sorted(seen), flush=True)
"""


class LongAgo(Store):
    """Publishes entries that appear as last used five days ago."""

    def _replace(self, part: Path, folder: Path) -> None:
        when = time.time() - 5 * DAY
        os.utime(part / MANIFEST, (when, when))
        super()._replace(part, folder)


def test_what_another_process_reads_meanwhile_is_whole_and_stays(store: Store, tmp_path: Path) -> None:
    build = tmp_path / "build"
    long_ago = LongAgo(build, stamping=False)
    read, unread = [f"{i:04x}" * 16 for i in range(60)], "ff" * 32
    argv = [sys.executable, "-c", READER, str(build), *read]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, env={"PYTHONPATH": str(ROOT)}) as reader:
        assert reader.stdout is not None and reader.stdout.readline() == "ready\n"
        for start in range(0, len(read), 3):
            for key in (*read[start : start + 3], unread):
                publish(long_ago, key)
            clean(store, 0, (), dry=False)
            used = usages(store)
            assert unread not in {u.fingerprint for u in used}
            assert all(abs(time.time() - u.used_ns / 1e9) < HOUR for u in used)
        (build / "stop").touch()
        assert reader.stdout.readline() == "[False, True]\n"


def test_old_evidence_and_quarantine_go_and_younger_stay(store: Store, tmp_path: Path) -> None:
    build = tmp_path / "build"
    for name in ("failed/old", "failed/BM1684/mixed", "failed/young", "quarantine/old-1"):
        (build / name).mkdir(parents=True)
        (build / name / "log.txt").touch()
    past = time.time() - gc.STALE - DAY
    old = [build / "failed/old", build / "quarantine/old-1"]
    for path in [*old, old[0] / "log.txt", old[1] / "log.txt", build / "failed/BM1684/mixed"]:
        os.utime(path, (past, past))
    done = clean(store, None, (), dry=True)
    assert sorted(done.stale) == old and all(path.exists() for path in old)
    assert "no limit set" in done.lines()[0]
    clean(store, None, (), dry=False)
    assert not any(path.exists() for path in old)
    assert (build / "failed/BM1684/mixed").exists() and (build / "failed/young").exists()
