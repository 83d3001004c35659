"""Models that this machine has no weights of: a zoo goes on without them, and names them."""

from bmzoo.config.model import Model
from bmzoo.workspace import Workspace


def left_out(at: Workspace) -> tuple[Model, ...]:
    """The models whose weights are nowhere here. None where that is all of them: there is nothing to go on with."""
    absent = tuple(model for model in at.models.values() if at.weights.absent(model))
    return absent if len(absent) < len(at.models) else ()
