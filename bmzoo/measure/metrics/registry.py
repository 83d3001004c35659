"""The table of metrics. To add one: a module with a METRIC (see `metric`), and a row here.

Plain data, so that figures can be ordered where nothing is measured. Of every figure more is better, 0 to 1.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class MetricKind:
    """The module, its figures in the order to show them, and what they are, for people."""

    module: str
    figures: tuple[str, ...]
    summary: str


# Average precision of faces: the first metric there was, whose documents do not name it.
FACES_AP = "AP"
SUBSETS = ("easy", "medium", "hard")
_HERE = "bmzoo.measure.metrics"

METRICS: Mapping[str, MetricKind] = {
    FACES_AP: MetricKind(f"{_HERE}.faces", SUBSETS, "average precision by the protocol of WIDER FACE"),
    "COCO": MetricKind(
        f"{_HERE}.coco",
        ("mAP", "AP50", "AP75", "small", "medium", "large", "keypoints"),
        "average precision over IoU 0.5 to 0.95 and over classes, as COCO takes it",
    ),
    "classification": MetricKind(
        f"{_HERE}.top_classes",
        ("top1", "top5"),
        "share of pictures whose class is the best, or among the best five",
    ),
    "segmentation": MetricKind(
        f"{_HERE}.class_iou", ("mIoU", "pixels"), "IoU of pixels, mean over classes, and share of pixels"
    ),
    "text": MetricKind(
        f"{_HERE}.read_text",
        ("accuracy", "similarity"),
        "share of lines read without a mistake, and 1 less the normalized edit distance",
    ),
    "regions": MetricKind(
        f"{_HERE}.found_regions",
        ("hmean", "precision", "recall"),
        "regions found at an IoU of 0.5, as ICDAR takes it",
    ),
}


def ordered(metric: str, names: Iterable[str]) -> list[str]:
    """Names of figures in the order to show them: as the metric has them, then others by name."""
    known = METRICS[metric].figures if metric in METRICS else ()
    return sorted(names, key=lambda name: (known.index(name) if name in known else len(known), name))


def told_metric(told: Mapping[str, Any]) -> tuple[str, dict[str, float]]:
    """The metric of a document of figures, and the figures by name, 0 to 1."""
    metric = str(told.get("metric", FACES_AP))
    return metric, dict(told["ap"] if metric == FACES_AP else told["figures"])


def metric_document(metric: str, figures: Mapping[str, float]) -> dict[str, Any]:
    """The same as a document has it."""
    return {"ap": dict(figures)} if metric == FACES_AP else {"metric": metric, "figures": dict(figures)}
