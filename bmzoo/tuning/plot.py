"""The Pareto plot of a tuning run, agreement over cost, as an interactive page."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bmzoo.measure.latency import shown
from bmzoo.tuning.choice import Point, front
from bmzoo.tuning.labels import Label, place_labels
from bmzoo.tuning.report import TuningReport

# Size of the plot area in pixels, without margins; labels are placed within it.
WIDTH, HEIGHT = 1000, 640
MARGIN = {"left": 90, "right": 30, "top": 80, "bottom": 70}
GLYPH = (6.6, 15.0)
TIME = "estimated time of a picture on the chip (ms)"
MISSING = "plotly is not installed: .venv/bin/pip install plotly"
# Name in the legend -> colour, marker symbol in plotly, size in pixels.
MARK_STYLES = {
    "tried": ("#8a94a6", "circle", 9),
    "on the front": ("#1f6feb", "circle", 11),
    "current": ("#d97706", "square", 13),
    "recommended": ("#15803d", "star", 20),
    "float": ("#111827", "diamond", 10),
}


@dataclass(frozen=True)
class Mark:
    """A data point: x in ms (or cycles, or bytes), y as agreement, a key of MARK_STYLES, label and hover text."""

    x: float
    y: float
    kind: str
    text: str
    told: str


@dataclass(frozen=True)
class Figure:
    """The content of the plot, independent of the plotting library."""

    title: str
    x_title: str
    y_title: str
    x_range: tuple[float, float]
    y_range: tuple[float, float]
    marks: tuple[Mark, ...]
    front: tuple[tuple[float, float], ...]
    labels: tuple[Label, ...]  # one for each mark, in pixels from the plot's top left corner

    def pixel(self, x: float, y: float) -> tuple[float, float]:
        """Data coordinates -> pixels from the top left corner of the plot area."""
        (x0, x1), (y0, y1) = self.x_range, self.y_range
        return (x - x0) / (x1 - x0) * WIDTH, (y1 - y) / (y1 - y0) * HEIGHT

    def data(self, pixel: tuple[float, float]) -> tuple[float, float]:
        """Pixels -> data coordinates, the inverse of `pixel`."""
        (x0, x1), (y0, y1) = self.x_range, self.y_range
        return x0 + pixel[0] / WIDTH * (x1 - x0), y1 - pixel[1] / HEIGHT * (y1 - y0)


def figure(found: TuningReport) -> Figure:
    """The plot of a tuning run."""
    marks = _marks(found)
    xs, ys = [mark.x for mark in marks], [mark.y for mark in marks]
    measure = f"{found.measure} with the ONNX model on {found.pictures} pictures"
    bare = Figure(
        f"{found.name}: INT8 settings, agreement over cost",
        _unit(found),
        f"{measure} (1: the same {'faces' if found.measure == 'agreement' else 'heads'})",
        _range(xs),
        _range(ys),
        marks,
        tuple((point.price, point.agreement) for point in front(found.points)),
        (),
    )
    # Highlighted points first: earlier labels get the places next to their points.
    order = sorted(range(len(marks)), key=lambda i: -list(MARK_STYLES).index(marks[i].kind))
    placed = place_labels(
        [bare.pixel(marks[i].x, marks[i].y) for i in order],
        [marks[i].text for i in order],
        [bare.pixel(x, y) for x, y in bare.front],
        (WIDTH, HEIGHT),
        GLYPH,
    )
    labels = {i: label for i, label in zip(order, placed, strict=True)}
    return Figure(**{**bare.__dict__, "labels": tuple(labels[i] for i in range(len(marks)))})


def write_html(shown: Figure, path: Path) -> None:
    """Write a self-contained page. Raises ImportError without plotly."""
    import plotly.graph_objects as go

    page = go.Figure()
    line = {"color": MARK_STYLES["on the front"][0], "width": 1.5}
    page.add_scatter(
        x=[x for x, _ in shown.front], y=[y for _, y in shown.front], mode="lines", line=line, name="front",
        hoverinfo="skip",
    )  # fmt: skip
    for kind, (colour, symbol, size) in MARK_STYLES.items():
        marks = [mark for mark in shown.marks if mark.kind == kind]
        if marks:
            page.add_scatter(
                x=[m.x for m in marks], y=[m.y for m in marks], mode="markers", name=kind,
                marker={"color": colour, "symbol": symbol, "size": size, "line": {"color": "white", "width": 1}},
                text=[m.told for m in marks], hovertemplate="%{text}<extra></extra>",
            )  # fmt: skip
    for mark, label in zip(shown.marks, shown.labels, strict=True):
        _annotate(page, shown, mark, label)
    page.update_layout(
        title=shown.title,
        template="plotly_white",
        width=WIDTH + MARGIN["left"] + MARGIN["right"],
        height=HEIGHT + MARGIN["top"] + MARGIN["bottom"],
        margin={side[0]: size for side, size in MARGIN.items()},
        xaxis={"title": shown.x_title, "range": list(shown.x_range), "tickformat": ",d", "automargin": False},
        yaxis={"title": shown.y_title, "range": list(shown.y_range), "automargin": False},
        legend={"orientation": "h", "y": 1.0, "yanchor": "bottom", "x": 0},
    )
    path.write_text(page.to_html(include_plotlyjs=True, div_id="pareto"), encoding="utf-8")


def _annotate(page: Any, shown: Figure, mark: Mark, label: Label) -> None:
    if label.text:
        x, y = shown.pixel(mark.x, mark.y)
        page.add_annotation(
            x=mark.x, y=mark.y, ax=label.at[0] - x, ay=label.at[1] - y, text=label.text.replace("\n", "<br>"),
            showarrow=True, arrowhead=0, arrowwidth=0.7,
            arrowcolor="#9ca3af" if label.far else "rgba(0,0,0,0)",
            font={"size": 11, "color": _ink(mark)}, borderpad=0, standoff=6,
        )  # fmt: skip


def _unit(found: TuningReport) -> str:
    """What prices are in."""
    if all(point.ms is not None for point in found.points):
        return TIME
    by_cost = all(point.cost is not None for point in found.points)
    return "compiler's cost of one picture (cycles)" if by_cost else "size (bytes)"


def _marks(found: TuningReport) -> tuple[Mark, ...]:
    marks = [_mark(found, point) for point in found.points]
    rival = found.rival
    price = {"size (bytes)": None, TIME: rival.ms}.get(_unit(found), rival.cost)
    if price is not None:
        marks.append(Mark(price, 1.0, "float", f"{rival.precision}, nothing in INT8", rival.precision))
    return tuple(marks)


def _mark(found: TuningReport, point: Point) -> Mark:
    told = found.marks(point)
    names = {"recommended": "recommended", "current": "current", "front": "on the front"}
    kind = next((kind for name, kind in names.items() if name in told), "tried")
    ap = "".join(f"<br>AP {key} {value:.3f}" for key, value in found.accuracy.get(point.setting, {}).items())
    cost = f"{point.cost:,} cycles" if point.cost is not None else "cost unknown"
    cost = f"about {shown(point.ms)} ms, {cost}" if point.ms is not None else cost
    about = f"{point.setting}<br>{found.measure} {point.agreement:.4f}<br>{cost}, {point.size / 1000:.0f} kB{ap}"
    return Mark(point.price, point.agreement, kind, _text(found, point), about)


def _text(found: TuningReport, point: Point) -> str:
    """Label of a point: its number of float layers, and the other keys that differ from the current setting."""
    setting, now = point.setting, found.now
    parts = [f"{point.float_layers} float"]
    parts += [setting.method] if setting.method != now.method else []
    parts += [f"{setting.pictures} pictures"] if setting.pictures != now.pictures else []
    marked = [word for word in ("current", "recommended") if word in found.marks(point)]
    return ", ".join(parts) + (f"\n{' and '.join(marked)}" if marked else "")


def _ink(mark: Mark) -> str:
    return MARK_STYLES[mark.kind][0] if mark.kind in ("current", "recommended") else "#374151"


def _range(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    room = (high - low) * 0.08 or max(abs(high) * 0.01, 1e-3)
    return low - room, high + room
