"""What is wrong, axis by axis, by trials that are made up."""

from collections.abc import Callable, Mapping
from typing import Any
from zlib import crc32

import numpy as np
import pytest
from numpy.typing import NDArray

from bmzoo.measure.audit.alternatives import KEEPS_SHAPE, Alternative, alternatives
from bmzoo.measure.audit.framing import AS_GIVEN, DISTORTED, MOSTLY_PADDING, Framing
from bmzoo.measure.audit.judgement import CANNOT_BE_TOLD, PADDED, RIGHT, SHAPES, WRONG, Judgement, judged
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
LEAST = 0.5
Section = Mapping[str, Any]


def others(section: Section) -> list[Alternative]:
    return list(alternatives(section, False))


def network(worse: Callable[[Section], float]) -> Callable[[Section, NDArray[np.float64] | None, Framing], Attempt]:
    """Finds the more the less `worse` a section is, 0 to 1, with a little noise of its own."""

    def attempt(section: Section, beside: NDArray[np.float64] | None, framing: Framing) -> Attempt:
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

    def attempt(section: Section, beside: NDArray[np.float64] | None, framing: Framing) -> Attempt:
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


def sees_shapes(
    wide: float = 0.7, narrow: float = 0.7, stretched: float = 1.1
) -> Callable[[Section, NDArray[np.float64] | None, Framing], Attempt]:
    """Finds that share in wide and narrow pictures, and the more in stretched ones, which are larger."""

    def attempt(section: Section, beside: NDArray[np.float64] | None, framing: Framing) -> Attempt:
        noise = np.random.default_rng(crc32(str((sorted(section.items()), framing)).encode())).normal(0, 0.01, 32)
        share = dict(zip(DISTORTED, (wide, narrow), strict=True)).get(framing, 1.0)
        if framing == MOSTLY_PADDING:
            share = 0.95 if abs(section["pad_value"] - 114) > 60 else 1.0
        if framing == AS_GIVEN and section["resize"] == "stretch":
            share = stretched
        return Attempt(PICTURES * share * (1 + noise), None)

    return attempt


def test_who_minds_shapes_is_not_to_be_stretched_even_where_more_is_found() -> None:
    grey = {**SECTION, "pad_value": 114}
    found = judged({**grey, "resize": "stretch"}, others, sees_shapes(), LEAST)
    assert [row.axis for row in found.wrong] == ["resize"] and found.section["resize"] in KEEPS_SHAPE
    compared = found.wrong[0].compared
    assert compared is not None and compared.by == SHAPES and compared.gain is not None
    assert compared.gain.share == pytest.approx(1 / 0.7 - 1, abs=0.02)
    clean = judged(grey, others, sees_shapes(), LEAST)
    assert not clean.wrong and verdicts(clean)["resize"] == RIGHT


@pytest.mark.parametrize(("wide", "narrow"), [(0.95, 0.95), (0.7, 1.05), (1.05, 0.7), (0.9, 0.7)])
def test_who_does_not_mind_either_shape_tells_nothing_by_it(wide: float, narrow: float) -> None:
    section = {**SECTION, "resize": "stretch"}
    assert not judged(section, others, sees_shapes(wide, narrow, stretched=1.0), LEAST).wrong


def test_pictures_of_the_shape_of_the_input_tell_nothing_of_shapes() -> None:
    assert not judged({**SECTION, "resize": "stretch"}, others, sees_shapes(stretched=1.0), None).wrong


def test_who_finds_next_to_nothing_tells_nothing_of_shapes() -> None:
    seen = sees_shapes(stretched=1.0)

    def attempt(section: Section, beside: NDArray[np.float64] | None, framing: Framing) -> Attempt:
        found = seen(section, beside, framing)
        assert found.found is not None
        return Attempt(found.found * 1e-3, None)

    assert not judged({**SECTION, "resize": "stretch"}, others, attempt, LEAST).wrong


@pytest.mark.parametrize(("pad", "wrong"), [(0, True), (255, True), (114, False), (127, False)])
def test_padding_is_judged_where_there_is_much_of_it(pad: int, wrong: bool) -> None:
    found = judged({**SECTION, "pad_value": pad}, others, sees_shapes(), LEAST)
    assert [row.axis for row in found.wrong] == (["padding"] if wrong else [])
    assert abs(found.section["pad_value"] - 114) < 20
    assert all(row.compared is not None and row.compared.by == PADDED for row in found.wrong)


def test_shouting_is_not_finding() -> None:
    """A way that finds more, and drowns what the network was trained with, is not better."""

    def attempt(section: Section, beside: NDArray[np.float64] | None, framing: Framing) -> Attempt:
        loud = section["scale"][0] > 1
        return Attempt(PICTURES * (3 if loud else 1), Heard(0.005 if loud else 1.0, None))

    assert not judged(SECTION, others, attempt).wrong
    found = judged({**SECTION, "scale": (255 / 128,) * 3}, others, attempt)
    assert [row.axis for row in found.wrong] == ["scale"] and found.section["scale"][0] < 0.02
    assert found.wrong[0].compared is not None and found.wrong[0].compared.by == "first layer"


def test_who_finds_more_only_when_shouted_at_is_not_fed_wrongly() -> None:
    """Thirteen times as loud is plausible by itself, and farther from training than what is configured."""

    def attempt(section: Section, beside: NDArray[np.float64] | None, framing: Framing) -> Attempt:
        loudness = section["scale"][0] * 128
        return Attempt(PICTURES * (2 if 4 < loudness < 16 else 1), Heard(0.8 / loudness, None))

    louder = Alternative("scale", {"scale": (13 / 128,) * 3})
    found = judged(SECTION, lambda section: [louder], attempt)
    assert not found.wrong
    quiet = {**SECTION, "scale": (1 / 128 / 13,) * 3}
    to_right = Alternative("scale", {"scale": (1 / 128,) * 3})

    def heard(section: Section, beside: NDArray[np.float64] | None, framing: Framing) -> Attempt:
        loudness = section["scale"][0] * 128
        return Attempt(PICTURES * (2 if loudness > 0.5 else 1), Heard(0.8 / loudness, None))

    assert [row.axis for row in judged(quiet, lambda section: [to_right], heard).wrong] == ["scale"]


def test_the_first_layer_alone_tells_a_scale() -> None:
    def attempt(section: Section, beside: NDArray[np.float64] | None, framing: Framing) -> Attempt:
        return Attempt(None, Heard(1 / (section["scale"][0] * 128), None))

    wrong = {**SECTION, "scale": (1 / 128 / 255,) * 3}
    found = judged(wrong, others, attempt)
    assert [row.verdict for row in found.rows if row.axis == "scale"] == [WRONG]
    assert np.isclose(found.section["scale"][0], 1 / 128)
    assert not judged(SECTION, others, attempt).wrong
