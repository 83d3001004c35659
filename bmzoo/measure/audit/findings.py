"""What an audit says: of how the network is fed, and of the pictures that it was asked about. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bmzoo.measure.audit.judgement import SEEN, WRONG, AxisRow, Judgement, share_seen
from bmzoo.measure.audit.likeness import Likeness
from bmzoo.measure.audit.sure import by_chance, fewest
from bmzoo.measure.picture_statistics import Statistics, unlike

# So many pictures of noise, or of one colour, are no accident.
_EMPTY = 0.5
# How often pictures of one kind may be called two.
_RARE = 0.001
_VERIFY = "verify"
TOO_FEW, ANOTHER_WORLD = "too few pictures", "pictures of another world"


@dataclass(frozen=True)
class Shown:
    """The pictures: how many, how many of them different, what each is like, and those of `verify`.

    `where`: the section of the config that names them. `beside`: what is found in each picture of `verify`.
    """

    pictures: int
    different: int
    own: Sequence[Statistics]
    verify: Sequence[Statistics]
    where: str
    beside: NDArray[np.float64] | None = None


def audit_document(
    section: Mapping[str, Any], result: Judgement, judge: Likeness | None, shown: Shown, tried: int, heard: bool
) -> dict[str, Any]:
    """`audit.json`. `tried`: how many alternatives there were; `heard`: whether the first layer tells anything.

    Of pictures in which there is nothing to find no axis is told.
    """
    wrong = _of_pictures(result, judge, shown)
    telling = not any(one["what"] == ANOTHER_WORLD for one in wrong)
    mended = result.section if telling else section
    changed = {key: value for key, value in mended.items() if value != section[key]}
    return {
        "pictures": shown.pictures,
        "different": shown.different,
        "judged_by": [
            *([f"what is found again in another view, {judge.unit}"] if judge is not None else []),
            *(["first layer"] if heard else []),
        ],
        "tried": tried,
        "axes": [_axis(row, section, mended) for row in result.rows] if telling else [],
        "wrong": [*(row.axis for row in result.wrong if telling), *(one["what"] for one in wrong)],
        "of_pictures": wrong,
        "notes": _notes(shown),
        "mend": changed,
    }


def _of_pictures(result: Judgement, judge: Likeness | None, shown: Shown) -> list[dict[str, str]]:
    """What is wrong with the pictures: too few, noise, or none that the network is for."""
    found = []
    least = fewest(result.hardest)
    if shown.different < least:
        same = f", {shown.different} of them different" if shown.different < shown.pictures else ""
        said = f"{shown.pictures} pictures{same}: nothing is sure with fewer than {least}"
        found.append({"what": TOO_FEW, "said": said})
    empty = sum(one.empty for one in shown.own)
    seen = share_seen(result.found, judge.least) if judge is not None and result.found is not None else 1.0
    if empty > _EMPTY * len(shown.own):
        said = f"{empty} of {shown.pictures} are noise or of one colour"
        found.append({"what": ANOTHER_WORLD, "said": said})
    elif seen < SEEN:
        number = round(seen * shown.different)
        said = f"something is found in {number} of {shown.different}, however they are fed"
        found.append({"what": ANOTHER_WORLD, "said": said})
    elif judge is not None and result.found is not None and shown.beside is not None:
        found += _beside_verify(result.found >= judge.least, shown.beside >= judge.least)
    return found


def _beside_verify(own: NDArray[np.bool_], verify: NDArray[np.bool_]) -> list[dict[str, str]]:
    """Whether something is found in less than half as many pictures as in those of `verify`, and not by chance."""
    some, others = int(own.sum()), int(verify.sum())
    if not len(verify) or own.mean() >= verify.mean() / 2 or by_chance(some, len(own), others, len(verify)) > _RARE:
        return []
    said = f"something is found in {some} of {len(own)}, and in {others} of {len(verify)} of `{_VERIFY}`"
    return [{"what": ANOTHER_WORLD, "said": said}]


def _notes(shown: Shown) -> list[str]:
    """What is worth a look, and no fault of the preprocessing."""
    return unlike(shown.own, shown.verify, _VERIFY) if shown.where != _VERIFY else []


def _axis(row: AxisRow, before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    one = row.compared
    told: dict[str, Any] = {"axis": row.axis, "verdict": row.verdict}
    if one is None:
        return told
    changes = one.alternative.changes
    now = before if row.verdict == WRONG else after
    told |= {"configured": {key: now[key] for key in changes}, "alternative": dict(changes), "by": one.by}
    if one.gain is not None:
        told |= {
            "more": _finite(one.gain.share),
            "low": _finite(one.gain.low),
            "chance": float(f"{one.gain.chance:.2g}"),
        }
    return told


def _finite(share: float) -> float | None:
    """None for something in place of nothing: JSON has no infinity."""
    return round(share, 4) if np.isfinite(share) else None
