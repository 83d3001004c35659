import numpy as np

from bmzoo.runtime.predictions.detections import Detections, nothing
from bmzoo.runtime.results import as_text
from bmzoo.runtime.timing import StageTimes


def test_text_is_what_the_published_samples_write() -> None:
    boxes = np.array([[10.9, 20.9, 30.2, 41.99], [-3.7, -0.5, 5.5, 6.5]], np.float32)
    faces = Detections(boxes, np.array([0.9977329, 0.5], np.float32), np.zeros((2, 5, 2), np.float32))
    assert as_text("a b.jpg", faces) == "a b.jpg\n2\n10 20 20 21 0.9977329 \n-3 0 8 6 0.5 \n"
    assert as_text("none.png", nothing()) == "none.png\n0\n"


def test_stage_times_share_a_batch_among_its_images() -> None:
    ticks = iter([0.0, 0.001, 1.0, 1.006, 2.0])
    times = StageTimes(clock=lambda: next(ticks))
    with times.stage("inference"):
        pass
    with times.stage("inference", images=3):
        pass
    try:
        with times.stage("postprocess"):
            raise ValueError
    except ValueError:
        pass
    (stage,) = times.stages()
    assert (stage.name, stage.images) == ("inference", 4)
    np.testing.assert_allclose([stage.mean, stage.median, stage.p95], [1.75, 2, 2])
    assert times.table().splitlines()[1].split() == ["inference", "1.75", "2.00", "2.00"]
    assert StageTimes().table() == ""
