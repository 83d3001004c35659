"""The table of comparisons, by the kind of prediction. To add one: a module with a COMPARISON, and a row here."""

from collections.abc import Mapping, Sequence
from importlib import import_module

from bmzoo.measure.comparisons.comparison import PredictionComparison
from bmzoo.runtime.predictions.prediction import Prediction
from bmzoo.runtime.predictions.registry import PREDICTIONS

_HERE = "bmzoo.measure.comparisons"
# Kind of prediction -> module; kinds without a row are compared by their tensors only.
COMPARISONS: Mapping[str, str] = {
    "detections": f"{_HERE}.boxes",
    "classes": f"{_HERE}.labels",
    "mask": f"{_HERE}.pixels",
    "regions": f"{_HERE}.quads",
    "text": f"{_HERE}.characters",
    "points": f"{_HERE}.keypoints",
}


def comparison_of(found: Sequence[Prediction]) -> PredictionComparison | None:
    """How predictions of their kind are compared; None where nobody knows what they mean."""
    kinds = {row.name: name for name, row in PREDICTIONS.items()}
    name = kinds[type(found[0]).__name__] if found else ""
    if name not in COMPARISONS:
        return None
    row: PredictionComparison = import_module(COMPARISONS[name]).COMPARISON
    return row
