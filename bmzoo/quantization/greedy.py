"""Which layers to leave in float, one move after the other, each time the one that helps most. Pure.

A tensor between two groups is rounded as long as one of them is INT8, so two neighbours may gain much together and
nothing alone: moves are groups and pairs of neighbours. Otherwise what a move gains shrinks as others are made, so
gains measured earlier are bounds, and only moves at the top, and those beside what was just chosen, are measured
again (after Minoux, Accelerated Greedy Algorithms, 1978).
"""

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, order=True)
class Score:
    """How near a network with some layers in float is: `loss` as in loss.py, and the lowest cosine over heads."""

    loss: float
    cosine: float


Evaluate = Callable[[frozenset[str]], Score]

# Groups beyond the most sensitive ones are not tried: alone they do less than the noise of the others.
TRIED = 14
Group = tuple[str, ...]


@dataclass(frozen=True)
class Promotion:
    """One more group in float: its layers, and the score with it and all choices before it."""

    layers: tuple[str, ...]
    score: Score


@dataclass(frozen=True)
class GreedyPath:
    """Choices in order, starting from plain INT8. `alone`: a group's first layer -> score with only it in float."""

    plain: Score
    choices: tuple[Promotion, ...]
    alone: Mapping[str, Score]


def best_path(
    groups: Sequence[Group],
    beside: Collection[tuple[Group, Group]],
    sensitivity: Mapping[str, float],
    limit: int,
    evaluate: Evaluate,
) -> GreedyPath:
    """Groups in the order in which they help, up to `limit` layers. `evaluate`: layers in float -> score.

    `beside`: pairs of groups of which the second reads what the first makes. Ends early where no move that is
    left lowers the loss. A move's gain counts by layer, since layers are what is limited.
    """
    plain = evaluate(frozenset())
    ranked = sorted(groups, key=lambda group: -sum(sensitivity.get(name, 0.0) for name in group))[:TRIED]
    pairs = [(one, other) for one in ranked for other in ranked if (one, other) in beside]
    moves: list[tuple[Group, ...]] = [*((group,) for group in ranked), *pairs]
    alone: dict[str, Score] = {}
    kept: frozenset[str] = frozenset()
    now, chosen = plain, list[Promotion]()
    # Change of loss by layer, and how many choices there were when it was measured; nothing is known at first.
    known: dict[int, tuple[float, int]] = {number: (-math.inf, -1) for number in range(len(moves))}
    scores: dict[int, Score] = {}
    while True:
        open_moves = [n for n in known if 0 < _new(moves[n], kept) <= limit - len(kept)]
        if not open_moves:
            break
        best = min(open_moves, key=lambda n: (known[n][0], n))
        added = kept | {name for group in moves[best] for name in group}
        if known[best][1] < len(chosen):
            scores[best] = evaluate(added)
            known[best] = ((scores[best].loss - now.loss) / (len(added) - len(kept)), len(chosen))
            if not chosen and len(moves[best]) == 1:
                alone[moves[best][0][0]] = scores[best]
            continue
        if known[best][0] >= 0:
            break
        layers = tuple(name for group in moves[best] for name in group if name not in kept)
        kept, now = added, scores[best]
        chosen.append(Promotion(layers, now))
        touched = {group for pair in beside if set(pair) & set(moves[best]) for group in pair}
        for number in known:
            if touched & set(moves[number]):
                known[number] = (-math.inf, -1)
    return GreedyPath(plain, tuple(chosen), alone)


def _new(move: Sequence[Group], kept: frozenset[str]) -> int:
    return sum(name not in kept for group in move for name in group)
