"""What is shown of a picture: its shape, its area, and what is around it."""

import numpy as np
import pytest

from bmzoo.measure.audit.framing import AS_GIVEN, DISTORTED, KEPT, MOSTLY_PADDING, are_distorted

PICTURE = np.random.default_rng(1).integers(0, 256, (90, 160, 3)).astype(np.uint8)


def test_a_picture_as_it_is_given_is_fed_itself() -> None:
    shown, size = AS_GIVEN.shown(PICTURE, 9)
    assert shown is PICTURE and size == (160, 90)


def test_around_a_picture_is_the_colour_of_the_padding() -> None:
    shown, size = MOSTLY_PADDING.shown(PICTURE, 114)
    assert shown.shape == (150, 267, 3) and size == (160, 90)
    assert np.array_equal(shown[:90, :160], PICTURE)
    assert (shown[90:] == 114).all() and (shown[:, 160:] == 114).all()


def test_shapes_differ_and_areas_and_canvases_do_not() -> None:
    """Within half a pixel of each side; so all of them come to one scale, whatever the input's shape."""
    shapes = [framing.shown(PICTURE, 0)[0].shape for framing in (KEPT, *DISTORTED)]
    assert np.ptp(shapes, axis=0).max() <= 1
    for framing, aspect in zip((KEPT, *DISTORTED), (1.0, 2.0, 0.5), strict=True):
        _, (width, height) = framing.shown(PICTURE, 0)
        assert width * height == pytest.approx(160 * 90, rel=0.01)
        assert width / height == pytest.approx(160 / 90 * aspect, rel=0.01)


def test_a_distorted_picture_is_all_there() -> None:
    halves = np.zeros((64, 64, 3), np.uint8)
    halves[:, 32:] = 200
    for framing in DISTORTED:
        shown, (width, height) = framing.shown(halves, 255)
        assert (shown[:height, : width // 2 - 2] == 0).all()
        assert (shown[:height, width // 2 + 2 : width] == 200).all()
        assert (shown[height:] == 255).all() and (shown[:, width:] == 255).all()


@pytest.mark.parametrize(("input_size", "expected"), [((90, 160), False), ((95, 160), False), ((160, 160), True)])
def test_whether_pictures_would_be_distorted(input_size: tuple[int, int], expected: bool) -> None:
    assert are_distorted([PICTURE] * 3, *input_size) is expected


def test_most_pictures_decide() -> None:
    square = np.zeros((50, 50, 3), np.uint8)
    assert not are_distorted([square, square, PICTURE], 320, 320)
    assert are_distorted([square, PICTURE, PICTURE], 320, 320)
