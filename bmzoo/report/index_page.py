"""The zoo's page: a table that sorts and filters, accuracy against time, what changed, what is wrong. Pure."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from bmzoo.release.diff import Change, Comparison
from bmzoo.release.manifest import STATUSES, ZooManifest
from bmzoo.report.markup import Markup, own_code, page, tag
from bmzoo.report.rows import ZooRow, shown_figures

# Of targets that are not verified, and of changes; the table has all of them.
MOST_LISTED = 200
FILTERS = ("model", "chip", "precision", "batch", "cores", "status")


@dataclass(frozen=True)
class Since:
    """A comparison with an older manifest; `name`: how that was named on the command line."""

    name: str
    comparison: Comparison


@dataclass(frozen=True)
class TableColumn:
    """`value`: what it sorts by, None where it is not known: always last. `cell`: what is shown."""

    key: str
    title: str
    value: Callable[[ZooRow], Any]
    cell: Callable[[ZooRow], str]
    number: bool = True
    about: str = ""

    @property
    def in_name(self) -> bool:
        """Whether the target's name says it as well."""
        return self.key in FILTERS and self.key != "status"


def index_page(rows: Sequence[ZooRow], manifest: ZooManifest, since: Since | None, style: str, script: str) -> str:
    """The whole page, with its style and script in it."""
    columns = _columns(rows)
    return page(
        "bmzoo report",
        own_code("style", style),
        tag("a", "Skip to the table", href="#table", class_="skip"),
        tag("header", tag("h1", "The zoo"), tag("p", _summary(rows, manifest), class_="muted")),
        tag(
            "main",
            _broken(manifest),
            _changes(since) if since is not None else None,
            _filters(rows),
            _table(rows, columns),
            _plot(rows),
            _not_verified(rows),
            _tools(manifest),
        ),
        own_code("script", script),
    )


def _summary(rows: Sequence[ZooRow], manifest: ZooManifest) -> str:
    counts = {word: sum(row.artifact.status == word for row in rows) for word in STATUSES}
    said = ", ".join(f"{number} {word}" for word, number in counts.items() if number)
    models = len({row.artifact.model for row in rows} | manifest.broken.keys())
    used = sorted({row.artifact.weights for row in rows if row.artifact.weights is not None})
    weights = f" Weights: {', '.join(used)}." if 0 < len(used) <= 4 else ""
    return f"{_count(len(rows), 'target')} of {_count(models, 'model')}: {said or 'none'}.{weights}"


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"


def _columns(rows: Sequence[ZooRow]) -> list[TableColumn]:
    several = len({row.artifact.model for row in rows}) > 1
    subsets = shown_figures(rows)
    return [
        *([_word("model")] if several else []),
        *(_word("chip"), _word("precision"), _word("batch"), _word("cores")),
        TableColumn("status", "verdict", lambda r: r.artifact.status, _verdict, False),
        TableColumn("ms", "ms", lambda r: r.time.ms if r.time else None, time_text, True, "for one picture"),
        *([TableColumn("lost", "to ONNX", lambda r: r.worst_change, _points, True, _LOST)] if subsets else []),
        *map(_reached, subsets),
        TableColumn("found", "found", lambda r: r.found_share, _faces, True, "of what the ONNX model finds"),
        TableColumn("size", "MB", lambda r: r.artifact.size, _megabytes, True, "size of the bmodel"),
        TableColumn(
            "floats", "float", lambda r: r.artifact.float_layers, _floats, True, "layers that stay in float"
        ),
        TableColumn(
            "cosine", "cosine", _cosine, lambda r: _figure(_cosine(r), "{:.4f}"), True, "of the worst head"
        ),
    ]


def _word(key: str) -> TableColumn:
    """A part of the target's name."""
    number = key in ("batch", "cores")
    return TableColumn(
        key, key, lambda r: getattr(r.artifact, key), lambda r: str(getattr(r.artifact, key)), number
    )


_LOST = "points on ground truth, of the figure that loses most"


def _reached(title: str) -> TableColumn:
    def shown(row: ZooRow) -> str:
        return _figure(row.reached(title), "{:.2f}")

    return TableColumn(_key(title), title, lambda r: r.reached(title), shown, True, f"{title} in percent")


def _key(title: str) -> str:
    """A figure as a column's key: `AP easy` is `ap-easy`."""
    return title.lower().replace(" ", "-")


def _points(row: ZooRow) -> str:
    return _figure(row.worst_change, "{:+.2f}")


def _cosine(row: ZooRow) -> float | None:
    return row.artifact.agreement.cosine if row.artifact.agreement is not None else None


def _faces(row: ZooRow) -> str:
    found = row.artifact.agreement
    if found is None or found.expected is None or found.missed is None:
        return ""
    return f"{found.expected - found.missed}/{found.expected}" + (f" +{found.extra}" if found.extra else "")


def time_text(row: ZooRow) -> str:
    """ms for one picture, with the interval of an estimate."""
    time = row.time
    if time is None:
        return ""
    return f"{time.ms:.2f}" + (f" ({time.low:.2f} to {time.high:.2f})" if time.estimated else "")


def _megabytes(row: ZooRow) -> str:
    return _figure(row.artifact.size / 1e6 if row.artifact.size is not None else None, "{:.2f}")


def _floats(row: ZooRow) -> str:
    return _figure(row.artifact.float_layers, "{}")


def _verdict(row: ZooRow) -> str:
    return badge(row.artifact.status)


def badge(status: str) -> Markup:
    """The verdict as a coloured word with a sign: colour alone says nothing."""
    sign = {"verified": "\N{CHECK MARK}", "built": "\N{MIDDLE DOT}", "unverified": "?", "failed": "\N{BALLOT X}"}[
        status
    ]
    return tag("span", tag("span", sign, aria_hidden="true"), f" {status}", class_=f"badge {status}")


def _figure(value: float | None, form: str) -> str:
    return "" if value is None else form.format(value)


def _filters(rows: Sequence[ZooRow]) -> Markup:
    def choice(key: str) -> Markup | None:
        values = sorted({getattr(row.artifact, key) for row in rows})
        if len(values) < 2:
            return None
        options = [tag("option", str(value), value=value) for value in values]
        label = "verdict" if key == "status" else key
        return tag("label", label, " ", tag("select", tag("option", "all", value=""), *options, data_filter=key))

    return tag(
        "form",
        tag("label", "find ", tag("input", type="search", id="find", placeholder="name", autocomplete="off")),
        *map(choice, FILTERS),
        tag("button", "clear", type="reset"),
        tag("output", id="count", aria_live="polite"),
        id="filters",
        aria_label="Filter",
    )


def _table(rows: Sequence[ZooRow], columns: Sequence[TableColumn]) -> Markup:
    if not rows:
        return tag("p", "There are no targets.")
    heads = [
        tag(
            "th",
            tag("button", c.title, type="button"),
            scope="col",
            title=c.about or None,
            class_=_kind(c),
            data_key=c.key,
            data_in_name=c.in_name,
        )
        for c in columns
    ]
    first = tag("th", tag("button", "target", type="button"), scope="col", data_key="name")
    table = tag(
        "table",
        tag("thead", tag("tr", first, *heads)),
        tag("tbody", *(_row(row, columns) for row in rows)),
        id="zoo",
    )
    note = (
        "ms is for one picture, from the compiler's own profile; with an interval it is an estimate of what a card "
        "takes. A blank cell is not known: the target's page says why."
    )
    wrapped = tag("div", table, class_="scroll", role="region", aria_label="Targets", tabindex=0)
    return tag("section", wrapped, tag("p", note, class_="muted"), id="table")


def _kind(column: TableColumn) -> str | None:
    return "number" if column.number else None


def _row(row: ZooRow, columns: Sequence[TableColumn]) -> Markup:
    cells = [_cell(row, column) for column in columns]
    own = row.artifact
    link = tag("a", *breakable(row.name), href=quote(row.page))
    return tag(
        "tr",
        tag("th", link, scope="row"),
        *cells,
        data_model=own.model,
        data_chip=own.chip,
        data_precision=own.precision,
        data_batch=own.batch,
        data_cores=own.cores,
        data_status=own.status,
    )


def breakable(name: str) -> Iterator[str]:
    """A name that may go on in the next line behind each underscore."""
    *parts, last = name.split("_")
    for part in parts:
        yield from (f"{part}_", tag("wbr"))
    yield last


def _cell(row: ZooRow, column: TableColumn) -> Markup:
    value, why = column.value(row), None
    if column.key == "ms" and row.time is None:
        why = row.no_time
    known = "" if value is None else value
    shown = {"class_": _kind(column), "data_value": known, "title": why, "data_in_name": column.in_name}
    return tag("td", column.cell(row), **shown)


def _plot(rows: Sequence[ZooRow]) -> Markup:
    measures = [
        *((_key(title), f"{title} (%)") for title in reversed(shown_figures(rows))),
        ("lost", "points to ONNX"),
        ("found", "found of what ONNX finds (%)"),
        ("cosine", "cosine of the worst head"),
    ]
    known = [(key, title) for key, title in measures if any(_measured(row, key) is not None for row in rows)]
    if not known or all(row.time is None for row in rows):
        return tag("section", tag("h2", "Accuracy against time"), tag("p", "Not known of any target: ", _why(rows)))
    choice = tag("select", *(tag("option", title, value=key) for key, title in known), id="measure")
    return tag(
        "section",
        tag("h2", "Accuracy against time"),
        tag(
            "p",
            tag("label", "accuracy ", choice),
            " ",
            tag("span", id="plotted", class_="muted", aria_live="polite"),
        ),
        tag("div", id="plot", role="group", aria_label="Accuracy against ms for one picture"),
        tag("p", "A line joins the targets of a chip that no other of it beats in both.", class_="muted"),
    )


def _measured(row: ZooRow, key: str) -> float | None:
    known = {_key(title): row.reached(title) for title in row.figures}
    return {**known, "lost": row.worst_change, "found": row.found_share, "cosine": _cosine(row)}.get(key)


def _why(rows: Sequence[ZooRow]) -> str:
    reasons = sorted({row.no_time for row in rows if row.no_time})
    return "; ".join(reasons[:3]) or "no accuracy was measured"


def _not_verified(rows: Sequence[ZooRow]) -> Markup | None:
    bad = [row for row in rows if row.artifact.status != "verified"]
    if not bad:
        return None
    items = [
        tag(
            "li",
            tag("a", row.name, href=quote(row.page)),
            f": {row.artifact.stage or 'build'}: ",
            row.artifact.cause or "not known",
        )
        for row in bad[:MOST_LISTED]
    ]
    return tag("section", tag("h2", "Not verified"), tag("ul", *items, _more(len(bad))))


def _more(number: int) -> Markup | None:
    return tag("li", f"and {number - MOST_LISTED} more") if number > MOST_LISTED else None


def _broken(manifest: ZooManifest) -> Markup | None:
    if not manifest.broken:
        return None
    items = [tag("li", tag("code", name), f": {why}") for name, why in sorted(manifest.broken.items())]
    return tag("section", tag("h2", "Configs that cannot be read"), tag("ul", *items), class_="warn")


def _tools(manifest: ZooManifest) -> Markup | None:
    if not manifest.tools:
        return None
    rows = [
        tag("tr", tag("th", tool, scope="row"), tag("td", "; ".join(found)))
        for tool, found in manifest.tools.items()
    ]
    table = tag("div", tag("table", tag("tbody", *rows), class_="plain"), class_="scroll", tabindex=0)
    return tag("details", tag("summary", "Tools"), table)


def _changes(since: Since) -> Markup:
    found = since.comparison
    title = tag("h2", "Since ", tag("code", since.name))
    notes = [tag("p", note) for note in found.notes]
    if not found.changes:
        return tag("section", title, *notes, tag("p", "No target has changed."), id="since")
    said = [
        _count(len(found.changed), "changed target"),
        f"{len(found.added)} added",
        f"{len(found.removed)} removed",
    ]
    bad = _count(len(found.regressions), "regression")
    heads = [tag("th", word, scope="col") for word in ("target", "what", "before", "now", "change", "allowed", "")]
    rows = list(_change_rows(found.changes[:MOST_LISTED]))
    left = len(found.changes) - len(rows)
    table = tag("table", tag("thead", tag("tr", *heads)), tag("tbody", *rows), class_="plain")
    return tag(
        "section",
        title,
        tag("p", f"{', '.join(said)}; {bad}."),
        *notes,
        tag("div", table, class_="scroll", role="region", aria_label="Changes", tabindex=0),
        tag("p", f"and {left} more: ./doit diff lists all") if left > 0 else None,
        id="since",
    )


def _change_rows(changes: Sequence[Change]) -> Iterator[Markup]:
    for change in changes:
        values = (change.figure, change.old, change.new, change.change, change.allowed)
        said = tag("span", "regression", class_="badge failed") if change.regression else ""
        yield tag(
            "tr", tag("th", change.target, scope="row"), *(tag("td", value) for value in values), tag("td", said)
        )
