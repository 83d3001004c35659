"""What the first layer of a network says of the numbers that it is fed, whatever the network is for. Pure.

Batch normalization remembers what the layer gave in training: mean and deviation of each channel. How far what it
gives now is from that, is the divergence of two normal distributions (Kullback and Leibler, 1951). Where it was
folded, the bias that is left is about as large as the layer's deviation: 0.25 to 2.2 of it in eight networks of as
many projects. That tells a factor of 255, and nothing finer.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bmzoo.measure.audit.sure import CHANCE, signed_ranks

# A bias, or a deviation in training, is within this factor of what the layer gives; twice as far as 255 allows.
PLAUSIBLE = 16.0
# So many times as loud is another way to feed a network, and not a better one.
SHOUTS = 4.0
# Divergences in nats: below this a network does not mind. A mean of ImageNet's forgotten is 0.3 or more.
MATTERS = 0.2
_ALIVE = 1e-6  # of the loudest channel

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Heard:
    """What the first layer gave. `ratio`: of its deviation in training, or its bias, to that of now, by channels.

    `apart`: by picture, how far from training in nats, mean over channels; None where that is not known.
    """

    ratio: float
    apart: Values | None

    @property
    def plausible(self) -> bool:
        return 1 / PLAUSIBLE <= self.ratio <= PLAUSIBLE

    def shouts_beside(self, other: "Heard") -> bool:
        """Whether it is far louder than another plausible way, and farther from training.

        A network that is shouted at finds more, of what is there and of what is not.
        """
        louder = self.ratio < other.ratio / SHOUTS
        return other.plausible and louder and abs(np.log(self.ratio)) > abs(np.log(other.ratio))

    def surely_nearer(self, other: "Heard", tried: int) -> bool:
        """Whether this is surely how it was trained, beside another way to feed it, and that matters."""
        if not self.plausible:
            return False
        if not other.plausible:
            return True
        if self.apart is None or other.apart is None:
            return False
        ours, theirs = float(np.mean(self.apart)), float(np.mean(other.apart))
        matters = theirs - ours > MATTERS and ours < theirs / 2
        return matters and signed_ranks(other.apart - self.apart) * tried < CHANCE


def heard(
    outputs: Sequence[NDArray[np.float32]], mean: Values | None, deviation: Values | None, bias: Values | None
) -> Heard | None:
    """Of what the layer gave for each picture, [C,..] each; None where nothing can be said.

    mean, deviation: [C], of batch normalization, or None. bias: [C], or None.
    """
    rows = [np.asarray(one, np.float64).reshape(len(one), -1) for one in outputs]
    means = np.stack([row.mean(axis=1) for row in rows])
    squares = np.stack([row.var(axis=1) for row in rows])
    now = np.sqrt(squares.mean(axis=0) + means.var(axis=0))
    if not np.isfinite(now).all() or not now.max() > 0:
        return None
    reference = deviation if deviation is not None else np.abs(bias) if bias is not None else None
    if reference is None or len(reference) != len(now):
        return None
    alive = (now > _ALIVE * now.max()) & (reference > _ALIVE * reference.max())
    if not alive.any():
        return None
    ratio = float(np.median(reference[alive] / now[alive]))
    if mean is None or deviation is None:
        return Heard(ratio, None)
    return Heard(ratio, _divergence(means, squares, mean, deviation)[:, alive].mean(axis=1))


def _divergence(means: Values, squares: Values, mean: Values, deviation: Values) -> Values:
    """Of each picture and channel from training, [pictures,C] in nats."""
    variance = np.maximum(deviation, 1e-12) ** 2
    share = np.maximum(squares / variance, 1e-12)
    return np.asarray(0.5 * ((means - mean) ** 2 / variance + share - 1 - np.log(share)))
