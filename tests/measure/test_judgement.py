"""What is wrong, axis by axis, by trials that are made up."""

from collections.abc import Callable, Mapping
from typing import Any
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from bmzoo.measure.audit.alternatives import Alternative, alternatives
from bmzoo.measure.audit.judgement import CANNOT_BE_TOLD, RIGHT, WRONG, Judgement, judged
from bmzoo.measure.audit.loudness import Heard
from bmzoo.measure.audit.trials import Attempt

SECTION = {
    "pixel_format": "rgb",
    "mean": (127.0,) * 3,
    "scale": (1 / 128,) * 3,
    "resize": "letterbox",
    "pad_value": 0,
}
PICTURES = np.random.default_rng(4).uniform(2, 6, 32)
Section = Mapping[str, Any]


def others(section: Section) -> list[Alternative]:
    return list(alternatives(section, False))


def network(worse: Callable[[Section], float]) -> Callable[[Section, NDArray[np.float64] | None], Attempt]:
    """Finds the more the less `worse` a section is, 0 to 1, with a little noise of its own."""

    def attempt(section: Section, beside: NDArray[np.float64] | None) -> Attempt:
        noise = np.random.default_rng(crc32(str(sorted(section.items())).encode())).normal(0, 0.01, 32)
        return Attempt(PICTURES * (1 - worse(section)) * (1 + noise), None)

    return attempt


def numbers(section: Section) -> float:
    """How wrong the numbers are beside (x - 127) / 128."""
    at = np.array([0.0, 255.0])
    fed = (at - section["mean"][0]) * section["scale"][0]
    return float(np.clip(np.abs(fed - (at - 127) / 128).max() / 2, 0, 1))


def right(section: Section) -> float:
    order = 0.0 if section["pixel_format"] == "rgb" else 0.3
    resize = 0.0 if section["resize"] != "stretch" else 0.2
    return 1 - (1 - order) * (1 - numbers(section)) * (1 - resize)


def verdicts(found: Judgement) -> dict[str, str]:
    return {row.axis: row.verdict for row in found.rows}


def test_a_right_config_has_nothing_wrong_and_says_what_cannot_be_told() -> None:
    found = judged(SECTION, others, network(right))
    assert not found.wrong and found.section == SECTION
    assert verdicts(found)["channel order"] == RIGHT and verdicts(found)["scale"] == RIGHT
    assert verdicts(found)["padding"] == CANNOT_BE_TOLD  # this network does not mind


def test_one_fault_is_named_alone_and_mended() -> None:
    for change in ({"pixel_format": "bgr"}, {"mean": (0.0,) * 3}, {"resize": "stretch"}):
        found = judged({**SECTION, **change}, others, network(right))
        assert len(found.wrong) == 1, change
        assert right(found.section) < 0.01


def test_two_faults_are_named_one_after_the_other() -> None:
    found = judged({**SECTION, "pixel_format": "bgr", "mean": (0.0,) * 3}, others, network(right))
    assert {row.axis for row in found.wrong} == {"channel order", "mean"}
    assert found.section["pixel_format"] == "rgb" and found.section["mean"][0] > 120


def test_an_axis_that_is_mended_twice_is_named_once() -> None:
    """From far off, a scale that is nearly right is surely better, and the right one is surely better still."""

    def attempt(section: Section, beside: NDArray[np.float64] | None) -> Attempt:
        scale = section["scale"][0]
        near = np.isclose(scale, 1 / 127.5) or np.isclose(scale, 1 / 128)
        odd = np.isclose(scale, 1 / 255)
        loud = 0.0 if near else 0.5 if odd else 1.0
        first = Heard(1.0, None) if near or odd else Heard(1e-3, None)
        if near and section["mean"][0] != 127.0:
            loud = 1.0
        return Attempt(PICTURES * (1 - loud), first)

    found = judged({**SECTION, "scale": (2.0,) * 3}, others, attempt)
    assert [row.axis for row in found.wrong] == ["scale"]
    assert found.section["scale"][0] < 0.009


def test_a_network_that_sees_nothing_at_all_names_nothing() -> None:
    found = judged(SECTION, others, network(lambda section: 1.0))
    assert not found.wrong and set(verdicts(found).values()) == {CANNOT_BE_TOLD}


def test_shouting_is_not_finding() -> None:
    """A way that finds more, and drowns what the network was trained with, is not better."""

    def attempt(section: Section, beside: NDArray[np.float64] | None) -> Attempt:
        loud = section["scale"][0] > 1
        return Attempt(PICTURES * (3 if loud else 1), Heard(0.005 if loud else 1.0, None))

    assert not judged(SECTION, others, attempt).wrong
    found = judged({**SECTION, "scale": (255 / 128,) * 3}, others, attempt)
    assert [row.axis for row in found.wrong] == ["scale"] and found.section["scale"][0] < 0.02
    assert found.wrong[0].compared is not None and found.wrong[0].compared.by == "first layer"


def test_the_first_layer_alone_tells_a_scale() -> None:
    def attempt(section: Section, beside: NDArray[np.float64] | None) -> Attempt:
        return Attempt(None, Heard(1 / (section["scale"][0] * 128), None))

    wrong = {**SECTION, "scale": (1 / 128 / 255,) * 3}
    found = judged(wrong, others, attempt)
    assert [row.verdict for row in found.rows if row.axis == "scale"] == [WRONG]
    assert np.isclose(found.section["scale"][0], 1 / 128)
    assert not judged(SECTION, others, attempt).wrong
