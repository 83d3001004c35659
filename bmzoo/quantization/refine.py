"""Thresholds moved by what they do to a network's outputs, for the layers whose error counts most there.

A method that looks at a tensor alone weighs all values alike; some decide the outputs, others hardly reach them.
One layer after the other, from the most sensitive on, a threshold is taken that leaves the least loss of the whole
network in emulated INT8. (Coordinate descent on the task's loss, as in Nahshan et al., Loss Aware Post-training
Quantization, 2021.)
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from bmzoo.quantization.network import Layer, LoweredNetwork
from bmzoo.quantization.thresholds import LEAST_THRESHOLD

# What a threshold is tried times; nothing beyond the largest value is.
FACTORS = (0.5, 0.6, 0.7, 0.85, 1.2, 1.45, 1.75, 2.1, 2.5, 3.0)
# A move has to take off this share of the loss: less is noise of the pictures.
WORTH_MOVING = 0.005


@dataclass(frozen=True)
class Scale:
    """Layers that the lowering gives one scale: by output tensor, by row of a calibration table, and the
    threshold and the largest value of these rows.
    """

    tensors: tuple[str, ...]
    rows: tuple[str, ...]
    threshold: float
    largest: float

    def factors(self) -> tuple[float, ...]:
        """What to try, in order; the largest value itself at the end."""
        most = self.largest / self.threshold
        inside = tuple(factor for factor in FACTORS if factor < most)
        return (*inside, most) if most > 1 else inside


def scales(net: LoweredNetwork, table: Mapping[str, tuple[float, float]]) -> list[Scale]:
    """Every scale that rows of a table decide. `table`: row -> threshold and largest value."""
    owner: dict[str, list[Layer]] = {}
    for layer in net.quantized:
        joined = {id(owner[name]): owner[name] for name in layer.reads if name in owner}
        alike = [group for group in joined.values() if group[0].quant == layer.quant]
        merged = [*(each for group in alike for each in group), layer]
        owner |= {each.tensor: merged for each in merged}
    groups = {id(group): group for group in owner.values()}.values()
    return [found for group in groups if (found := _scale(group, table)) is not None]


def _scale(group: Sequence[Layer], table: Mapping[str, tuple[float, float]]) -> Scale | None:
    rows = tuple(layer.name for layer in group if layer.name in table)
    threshold, largest = (max((table[row][place] for row in rows), default=0.0) for place in (0, 1))
    if threshold <= LEAST_THRESHOLD:
        return None
    return Scale(tuple(layer.tensor for layer in group), rows, threshold, largest)


def most_sensitive(every: Sequence[Scale], losses: Mapping[str, float], number: int) -> list[Scale]:
    """Those whose layers alone cost most. `losses`: by table row, of the network with that layer alone in INT8."""
    ordered = sorted(every, key=lambda one: -sum(losses.get(row, 0.0) for row in one.rows))
    return ordered[:number]


def moves(order: Sequence[Scale], loss: Callable[[Mapping[str, float]], float]) -> dict[Scale, float]:
    """The factor that each scale is moved by; those that stay are left out. `loss`: by factors of tensors."""
    taken: dict[Scale, float] = {}
    best = loss({})
    for one in order:
        tried = {factor: loss(by_tensor({**taken, one: factor})) for factor in one.factors()}
        factor = min(tried, key=lambda each: tried[each], default=1.0)
        if tried and tried[factor] < best * (1 - WORTH_MOVING):
            best, taken[one] = tried[factor], factor
    return taken


def by_tensor(moved: Mapping[Scale, float]) -> dict[str, float]:
    """The factor of each tensor that is moved."""
    return {tensor: factor for one, factor in moved.items() for tensor in one.tensors}
