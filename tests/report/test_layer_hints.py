"""What would help a layer, by what bounds it and what the target could still do; and the same in the terminal."""

import pytest
from report_samples import NOTHING, document, profile

from bmzoo.measure.latency import Latency, NoLatency
from bmzoo.report.layer_hints import hints
from bmzoo.report.terminal import slow_layers
from bmzoo.target import Target


def target(precision: str = "int8", chip: str = "bm1688", cores: int = 1) -> Target:
    return Target("m", chip, precision, 1, cores)


def row(layer: str, operation: str, arithmetic: float = 0.0, memory: float = 0.0, **more: int) -> dict[str, object]:
    known = {"core": 0, "layer": layer, "operation": operation, "arithmetic": arithmetic, "memory": memory}
    return {**known, "milliseconds": max(arithmetic, memory), "bytes": 0, "commands": 1, "transfers": 0, **more}


@pytest.mark.parametrize(
    ("layer", "of", "floats", "said"),
    [
        (row("c", "Conv2D", 1.0), target("fp32"), (), ("fp16 in place of fp32", "2 cores in place of 1")),
        (row("c", "Conv2D", 1.0), target("fp32", "bm1684"), (), ("int8 in place of fp32",)),
        (row("c", "Conv2D", 1.0), target("bf16", cores=2), (), ("int8 in place of bf16",)),
        (row("c", "Conv2D", 1.0), target(cores=2), (), ("fewer channels or a smaller input",)),
        (row("a.dw.c", "Conv2D", 1.0), target(cores=2), (), ("depthwise",)),
        (row("c", "Conv2D", 1.0), target(cores=2), ("c",), ("it stays in float",)),
        (row("c", "Cast", 0.0, 1.0, bytes=5000), target(), (), ("it only converts 5.0 kB",)),
        (row("c", "Permute", 0.0, 1.0, bytes=50), target(), (), ("it only copies 50 B",)),
        (row("c", "Load", 0.0, 1.0, bytes=5_000_000), target(), (), ("5.0 MB between memory and the core",)),
        (row("c", "Conv2D", 0.0, 1.0, bytes=5000), target(), (), ("moves 5.0 kB",)),
        (
            row("c", "Softmax", 0.0, 1.0, bytes=100, transfers=2),
            target(),
            (),
            ("2 transfers of 50 B each", "a batch above 1"),
        ),
    ],
)
def test_advice_follows_from_what_bounds_the_layer(
    layer: dict[str, object], of: Target, floats: tuple[str, ...], said: tuple[str, ...]
) -> None:
    (hint,) = hints(profile(layers=[layer]), of, floats)
    parts = hint.helps.split("; ")
    assert len(parts) == len(said), parts
    assert all(part.startswith(words) for part, words in zip(parts, said, strict=True)), parts


def test_short_pieces_are_told_from_much_that_moves() -> None:
    fast, slow = row("a", "Conv2D", 0.0, 1.0, bytes=10**7), row("b", "Softmax", 0.0, 1.0, bytes=10**5)
    _, hint = hints(profile(layers=[fast, slow]), target(), ())
    assert hint.helps.startswith("0.1 GB/s where 10.0 are reached")


def test_a_layer_on_two_cores_is_named_once_by_the_slower_part() -> None:
    parts = [{**row("c", "Conv2D", 0.8), "core": 1}, row("c", "Conv2D", 0.7), row("d", "Conv2D", 0.5)]
    cores = document()["cores"] * 2
    found = hints(profile(layers=parts, cores=cores, timeline=None), target(cores=2), (), 2)
    assert [(hint.layer.layer, hint.layer.core, hint.share) for hint in found] == [("c", 1, 0.8), ("d", 0, 0.5)]


def test_the_terminal_names_layers_with_engine_share_and_bound() -> None:
    lines = slow_layers("bm1688_int8_1b", target(), profile(), (), 7, Latency(1.25, 1.0, 2.0)).splitlines()
    assert lines[0] == "bm1688_int8_1b: 1.000 ms for one picture, by the compiler's own profile"
    assert lines[2] == "on a card: about 1.2 ms (1 to 2) for one picture"
    assert lines[4].split() == ["layer", "engine", "ms", "share", "bound", "by"]
    assert lines[6].startswith("    2 cores in place of 1; depthwise, which leaves most multipliers idle")
    assert lines[5].split() == ["body.dw.conv", "arithmetic", "0.600", "60%", "arithmetic"]
    assert lines[7].split() == ["body.cast", "memory", "0.300", "30%", "launch"]
    assert [line.partition(":")[0] for line in lines[-2:]] == ["arithmetic", "launch"]


OTHER = NoLatency("made by tpu_mlir 1.24: what is known is of profiles by tpu_mlir 1.30.2")


def test_the_terminal_says_why_the_time_on_a_card_is_not_known() -> None:
    lines = slow_layers("bm1688_int8_1b", target(), profile(), (), 7, OTHER).splitlines()
    assert lines[2] == f"on a card: not known: {OTHER.why}"


def test_names_of_layers_cannot_steer_the_terminal() -> None:
    text = slow_layers("t", target(), profile(layers=[row("\x1b[31m" + "x" * 60, "Conv2D", 1.0)]), (), None, OTHER)
    assert "\x1b" not in text and r"\x1b[31m" in text and "x..." in text


def test_without_a_profile_there_is_the_compilers_cost() -> None:
    text = slow_layers("bm1684_int8_1b", target("int8", "bm1684"), NOTHING, (), 224141, OTHER)
    assert text == (
        "bm1684_int8_1b: no profile: the compiler writes no profile for bm1684\n"
        "its cost for a run, of all layers together: 224,141 cycles, says the compiler\n"
    )
    assert slow_layers("t", target(), NOTHING, (), None, OTHER).count("\n") == 1
