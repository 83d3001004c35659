"""Ground truth that models are evaluated against."""

from bmzoo.config.model import Model, using
from bmzoo.workspace import Workspace


def has_truth(at: Workspace, model: Model) -> bool:
    """Whether the model has ground truth that is available on this machine."""
    settings = using(model, at.weights.likely(model)).config.evaluate
    return settings is not None and at.sources(model).has(settings.truth)
