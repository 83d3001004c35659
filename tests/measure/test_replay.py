"""The schedule of two engines run anew, beside one that steps through cycles."""

import random

import pytest

from bmzoo.measure.replay import EngineCommand, Stretch, both_at_work, joins, replayed, starts


def arithmetic(number: int, cycles: int, after: int = 0, start: int = 0) -> EngineCommand:
    return EngineCommand("a", True, start, cycles, 0, number, after)


def memory(number: int, cycles: int, after: int = 0, start: int = 0) -> EngineCommand:
    return EngineCommand("m", False, start, cycles, 64, number, after)


def message(kind: str, number: int) -> list[EngineCommand]:
    """Both engines say that they have come, or wait: as commands `number` of each."""
    return [EngineCommand("", engine, 0, 0, 0, number, 0, kind) for engine in (True, False)]  # type: ignore[arg-type]


def stepped(commands: list[EngineCommand], slower: int, more: int) -> int:
    """Cycles to the end, one after the other: an engine starts its next command when what it waits for is done."""
    queues = {engine: [c for c in commands if c.arithmetic == engine] for engine in (True, False)}
    done, left, clock = {True: 0, False: 0}, {True: 0, False: 0}, 0
    while any(queues.values()):
        for engine, queue in queues.items():
            if queue and not left[engine] and done[not engine] >= queue[0].after:
                left[engine] = queue[0].cycles * (slower if engine else 1) + queue[0].bytes * more
        for engine, queue in queues.items():
            if left[engine]:
                left[engine] -= 1
                if not left[engine]:
                    queue.pop(0)
        done = {e: sum(c.arithmetic == e for c in commands) - len(queues[e]) for e in queues}
        clock += 1
    return clock


def drawn(seed: int) -> list[EngineCommand]:
    """Commands in the order in which they are given out, each after any earlier one of the other engine."""
    random_ = random.Random(seed)
    counts, made = {True: 0, False: 0}, []
    for _ in range(30):
        engine = random_.random() < 0.5
        counts[engine] += 1
        after = random_.randint(0, counts[not engine])
        size = 0 if engine else random_.randint(1, 5)
        made.append(EngineCommand("x", engine, 0, random_.randint(1, 9), size, counts[engine], after))
    return made


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize(("slower", "more"), [(1, 0), (3, 0), (1, 2), (2, 1)])
def test_a_run_takes_what_it_takes_step_by_step(seed: int, slower: int, more: int) -> None:
    commands = drawn(seed)
    assert replayed([commands], Stretch(slower, more)) == stepped(commands, slower, more)


def test_engines_work_at_the_same_time_until_one_waits() -> None:
    commands = [memory(1, 10), memory(2, 10), arithmetic(1, 30, after=1), memory(3, 5, after=1)]
    assert starts([commands]) == [[0, 10, 10, 40]]
    assert replayed([commands]) == 45
    assert replayed([commands], Stretch(more=1)) == 74 + 74 + 69  # 64 bytes each; arithmetic is hidden: 74 to 104


def test_cores_meet() -> None:
    short = [arithmetic(1, 10), *message("send", 2), *message("wait", 3), arithmetic(4, 5)]
    long = [arithmetic(1, 100), *message("send", 2), *message("wait", 3), arithmetic(4, 1)]
    assert replayed([short, long]) == 105
    assert [own[-1] for own in starts([short, long])] == [100, 100]
    assert (joins(short), joins([arithmetic(1, 1)])) == (1, 0)


def test_cores_that_never_meet_are_an_error() -> None:
    waits = [*message("wait", 1)]
    with pytest.raises(ValueError, match="wait for each other for ever"):
        replayed([waits, [arithmetic(1, 1)]])


def test_time_in_which_both_work() -> None:
    commands = [memory(1, 10), arithmetic(1, 30, start=5), memory(2, 10, start=20), memory(3, 10, start=32)]
    assert both_at_work(commands) == 5 + 10 + 3
    assert both_at_work([memory(1, 10)]) == 0
