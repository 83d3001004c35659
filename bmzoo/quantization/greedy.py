"""Mixed-precision selection: lazy greedy promotion of layers from INT8 to float, the largest gain first. Pure.

A tensor between two groups is rounded as long as one of them is INT8, so two neighbours may gain much together and
nothing alone: candidates are groups and pairs of neighbours. Apart from that, gains diminish as layers are
promoted, so a gain measured earlier is an upper bound, and only the candidates at the top of the queue, and the
neighbours of the last promotion, are measured again (Minoux, Accelerated Greedy Algorithms, 1978).

Where several layers each spoil the outputs by themselves, none of them gains anything alone: when no candidate
does, the most sensitive are tried together.
"""

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, order=True)
class Score:
    """Quality of a mixed-precision network: `loss` as in loss.py, and the lowest cosine over heads."""

    loss: float
    cosine: float


Evaluate = Callable[[frozenset[str]], Score]

# Only the most sensitive groups are candidates: the effect of the others is below the noise of those in INT8.
TRIED = 14
# How many of the most sensitive groups are promoted together where no group alone helps.
TOGETHER = (2, 4, 8, TRIED)
Group = tuple[str, ...]
# Where the budget is a number of layers, every layer costs one.
UNPRICED: Mapping[str, float] = {}


@dataclass(frozen=True)
class Promotion:
    """One promotion to float: its layers, and the score with it and all promotions before it."""

    layers: tuple[str, ...]
    score: Score


@dataclass(frozen=True)
class GreedyPath:
    """Promotions in order, from plain INT8 on. `alone`: a group's first layer -> score with only it in float."""

    plain: Score
    choices: tuple[Promotion, ...]
    alone: Mapping[str, Score]


def best_path(
    groups: Sequence[Group],
    beside: Collection[tuple[Group, Group]],
    sensitivity: Mapping[str, float],
    limit: int,
    evaluate: Evaluate,
    prices: Mapping[str, float] = UNPRICED,
) -> GreedyPath:
    """Greedy promotion of up to `limit` layers. `evaluate`: layers in float -> score.

    `beside`: pairs of adjacent groups, producer first. Ends early when no candidate lowers the loss. Candidates
    compete by gain per layer where the budget is a number of layers, or by gain for `prices`, all above 0.
    """
    plain = evaluate(frozenset())
    ranked = sorted(groups, key=lambda group: -sum(sensitivity.get(name, 0.0) for name in group))[:TRIED]
    pairs = [(one, other) for one in ranked for other in ranked if (one, other) in beside]
    moves: list[tuple[Group, ...]] = [*((group,) for group in ranked), *pairs]
    alone: dict[str, Score] = {}
    kept: frozenset[str] = frozenset()
    now, chosen = plain, list[Promotion]()
    # Candidate -> change of loss for its price, and after how many promotions it was measured; -inf: not yet.
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
            known[best] = ((scores[best].loss - now.loss) / _price(added - kept, prices), len(chosen))
            if not chosen and len(moves[best]) == 1:
                alone[moves[best][0][0]] = scores[best]
            continue
        if known[best][0] >= 0:
            joint = _best_joint(ranked, kept, limit, now, evaluate, prices)
            if joint is None:
                break
            moves.append(joint[0])
            best, added, scores[len(moves) - 1] = len(moves) - 1, joint[1], joint[2]
        layers = tuple(name for group in moves[best] for name in group if name not in kept)
        kept, now = added, scores[best]
        chosen.append(Promotion(layers, now))
        touched = {group for pair in beside if set(pair) & set(moves[best]) for group in pair}
        for number in known:
            if touched & set(moves[number]):
                known[number] = (-math.inf, -1)
    return GreedyPath(plain, tuple(chosen), alone)


def _best_joint(  # noqa: PLR0913
    ranked: Sequence[Group],
    kept: frozenset[str],
    limit: int,
    now: Score,
    evaluate: Evaluate,
    prices: Mapping[str, float],
) -> tuple[tuple[Group, ...], frozenset[str], Score] | None:
    """The first of the ranked groups, together, that gain most for their price; all in float then; their score."""
    left = [group for group in ranked if not kept.issuperset(group)]
    found = []
    for move in (tuple(left[:count]) for count in TOGETHER if count <= len(left)):
        layers = kept.union(*move)
        if len(layers) <= limit:
            score = evaluate(layers)
            found.append(((score.loss - now.loss) / _price(layers - kept, prices), move, layers, score))
    gain, move, layers, score = min(found, key=lambda each: each[0], default=(0.0, (), kept, now))
    return (move, layers, score) if gain < 0 else None


def _price(layers: frozenset[str], prices: Mapping[str, float]) -> float:
    return sum(prices.get(name, 1.0) for name in sorted(layers))


def _new(move: Sequence[Group], kept: frozenset[str]) -> int:
    return sum(name not in kept for group in move for name in group)
