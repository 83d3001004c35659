"""How long a target takes at another size and in another batch, estimated from what compiles for it."""

from dataclasses import dataclass

from bmzoo.config.model import Model
from bmzoo.measure.latency import Latency, NoLatency
from bmzoo.plan.resized import resized_deploy
from bmzoo.results import latency
from bmzoo.target import Target
from bmzoo.workspace import Workspace


@dataclass(frozen=True)
class Sized:
    """A target of any batch, compiled for height and width. `found`: its time, or why there is none."""

    target: Target
    size: tuple[int, int]
    found: Latency | NoLatency


def sized(at: Workspace, model: Model, target: Target, size: tuple[int, int], make: bool) -> Sized | None:
    """The estimate, None where it is not there. `make`: compile where it is not. Raises BmzooError."""
    builder, step = at.builder(model), resized_deploy(model, target, at.weights.chosen(model), size)
    deploy = builder.run(step) if make else builder.find(step)
    return None if deploy is None else Sized(target, size, latency.of_step(target, deploy, at.toolchain.release))
