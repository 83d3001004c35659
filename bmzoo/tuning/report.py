"""The report of a tuning run: a Markdown table, a recommendation, and JSON. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from bmzoo.measure.latency import shown
from bmzoo.measure.metrics.registry import FACES_AP, ordered
from bmzoo.system.markdown import table
from bmzoo.tuning.choice import AGREEMENT_TOLERANCE, SAME_COST, Point, PublishedPair, Rival, front, worth
from bmzoo.tuning.settings import Setting

REPORT_SCHEMA = 1
Accuracy = Mapping[str, float]


@dataclass(frozen=True)
class TuningReport:
    """The results of one run of `tune`. `accuracy` has the settings that were evaluated, which may be none."""

    name: str  # <model>.<weights>.<chip>
    measure: str  # what agreement is: `agreement` or `cosine`
    pictures: int  # on which agreement was measured
    now: Setting
    points: tuple[Point, ...]  # in the order of the axes
    chosen: Point
    rival: Rival
    pairs: tuple[PublishedPair, ...]
    accuracy: Mapping[Setting, Accuracy]
    onnx: Accuracy  # of the ONNX model; empty without ground truth
    same: Mapping[int, int]  # max_float_layers -> another number that leaves the same layers in float
    left_out: tuple[str, ...]  # settings not measured, with the reason
    paste: str  # YAML; empty when the current setting stays
    metric: str = FACES_AP  # of `accuracy` and `onnx`

    def marks(self, point: Point) -> tuple[str, ...]:
        """The marks of a point: front, current, recommended."""
        told = {
            "front": point in front(self.points),
            "current": point.setting == self.now,
            "recommended": point == self.chosen,
        }
        return tuple(name for name, so in told.items() if so)


def markdown(found: TuningReport) -> str:
    """The table: a row for each setting, the float precision and the ONNX model."""
    subsets = ordered(found.metric, found.onnx)
    rows = [_row(found, point, subsets) for point in found.points]
    rival = {
        "method": found.rival.precision,
        "cost": number(found.rival.cost),
        **_time(found.rival),
        found.measure: "1.0000 (float)",
    }
    rows.append(rival)
    if found.onnx:
        rows.append({"method": "ONNX", **{f"{found.metric} {key}": f"{found.onnx[key]:.3f}" for key in subsets}})
    titles = [*rows[0]]
    return table({title: [row.get(title, "") for row in rows] for title in titles}, ("method", "mark"))


def recommendation(found: TuningReport, config: str) -> str:
    """The recommendation with its reason, the YAML to paste, and whether INT8 is worth it. `config`: its path."""
    chosen, now = found.chosen, next((p for p in found.points if p.setting == found.now), None)
    lines = [
        f"recommended: {chosen.setting}",
        f"  the cheapest within {AGREEMENT_TOLERANCE} of the best {found.measure}, on {found.pictures} pictures; "
        f"where costs are within {SAME_COST:.0%}, the smallest change",
    ]
    if now is not None and chosen != now:
        lines.append(
            f"  {found.measure} {now.agreement:.4f} to {chosen.agreement:.4f}, {_price_change(now, chosen)}"
        )
    if found.paste:
        lines += [f"to use it, in {config}, in the place of what is there:", found.paste.rstrip()]
        if found.paste.startswith("calibration"):
            lines.append(
                "  (every chip's calibration, and layers are ranked anew with it: tune again, other chips, too)"
            )
    else:
        lines.append("the current setting stays")
    lines += worth(chosen, found.rival, found.pairs)
    lines += [f"left out: {text}" for text in found.left_out]
    return "\n".join(lines) + "\n"


def report_data(found: TuningReport) -> dict[str, Any]:
    """The report as JSON-serializable data. Agreement is 0 to 1, cost in cycles, size in bytes."""
    return {
        "schema": REPORT_SCHEMA,
        "name": found.name,
        "measure": found.measure,
        "pictures": found.pictures,
        "current": asdict(found.now),
        "recommended": asdict(found.chosen.setting),
        "tolerance": AGREEMENT_TOLERANCE,
        "same_cost": SAME_COST,
        "points": [
            {**asdict(point), "ap": found.accuracy.get(point.setting), "marks": list(found.marks(point))}
            for point in found.points
        ],
        "float": asdict(found.rival),
        "published": [asdict(pair) for pair in found.pairs],
        "onnx_ap": dict(found.onnx) or None,
        **({} if found.metric == FACES_AP else {"metric": found.metric}),
        "worth": list(worth(found.chosen, found.rival, found.pairs)),
        "same_layers": {str(number): other for number, other in found.same.items()},
        "left_out": list(found.left_out),
        "paste": found.paste,
    }


def _row(found: TuningReport, point: Point, subsets: Sequence[str]) -> dict[str, str]:
    setting, ap = point.setting, found.accuracy.get(point.setting, {})
    numbers = {setting.max_float_layers}
    if replace(setting, max_float_layers=found.now.max_float_layers) == found.now:  # on the axis of these numbers
        numbers |= {number for number, other in found.same.items() if other == setting.max_float_layers}
    share = f"{point.cost / found.rival.cost:.2f}" if point.cost is not None and found.rival.cost else ""
    return {
        "max_float_layers": ", ".join(map(str, sorted(numbers))),
        "in float": str(point.float_layers),
        "method": setting.method or "by hand",
        "pictures": str(setting.pictures) if setting.method else "",
        found.measure: f"{point.agreement:.4f}",
        **{f"{found.metric} {key}": f"{ap[key]:.3f}" if key in ap else "" for key in subsets},
        "cost": number(point.cost),
        f"of {found.rival.precision}": share,
        "ms": shown(point.ms) if point.ms is not None else "",
        "kB": f"{point.size / 1000:.0f}",
        "mark": ", ".join(found.marks(point)),
    }


def _time(rival: Rival) -> dict[str, str]:
    return {"ms": shown(rival.ms)} if rival.ms is not None else {}


def _price_change(now: Point, chosen: Point) -> str:
    """What two points cost, for people."""
    if now.ms is not None and chosen.ms is not None:
        return f"{shown(now.ms)} ms to {shown(chosen.ms)} ms"
    return f"cost {number(now.cost) or '-'} to {number(chosen.cost) or '-'} cycles"


def number(value: int | None) -> str:
    """A number with spaces as thousands separators; empty for None."""
    return f"{value:,}".replace(",", " ") if value is not None else ""
