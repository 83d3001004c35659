"""The page of one target: verdict, pictures, where its time goes, what stays in float, how it was made. Pure."""

import math
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from bmzoo.measure.metrics.registry import FACES_AP
from bmzoo.measure.nouns import what_of
from bmzoo.report.gather import TargetEvidence
from bmzoo.report.index_page import badge, time_text
from bmzoo.report.layer_hints import Hint, hints
from bmzoo.report.markup import Child, Markup, data_script, page, tag
from bmzoo.report.picture_figures import drawn_boxes, picture_section
from bmzoo.report.profiles import BOUNDS, NoProfile, StoredProfile

# Of the thresholds, those that a column of a table stands for.
OUTPUT_COLUMNS = ("output", "cosine", "SQNR (dB)", "largest error")


def artifact_page(of: TargetEvidence) -> str:
    """The whole page. Its style and script lie in the report's folder, one above."""
    row = of.row
    head = tag("link", rel="stylesheet", href="../report.css")
    return page(
        f"{row.name} - bmzoo report",
        head,
        tag("nav", tag("a", "\N{LEFTWARDS ARROW} all targets", href="../index.html")),
        tag("header", tag("h1", row.name, " ", badge(row.artifact.status)), _cause(of)),
        tag(
            "main",
            _facts(of),
            _evidence(of),
            _drift(of),
            _time(of),
            _floats(of),
            picture_section(of.album),
            _again(of),
            _provenance(of),
        ),
        data_script("data", _data(of)),
        tag("script", src="../report.js"),
    )


def _cause(of: TargetEvidence) -> Markup | None:
    own = of.row.artifact
    if own.status == "verified":
        return None
    where = tag("span", " Evidence: ", tag("code", own.evidence)) if own.evidence else None
    return tag("p", f"{own.stage or 'build'}: {own.cause or 'not known'}.", where, class_="warn")


def _table(titles: Sequence[str], rows: Iterable[Sequence[Child]], numbers: Sequence[int] = ()) -> Markup:
    """A table that scrolls by itself where it is wider than the page; `numbers`: columns that hold them."""
    heads = (tag("th", title, scope="col", class_=_right(i, numbers)) for i, title in enumerate(titles))
    body = (tag("tr", *(_cell(cell, i in numbers) for i, cell in enumerate(row))) for row in rows)
    made = tag("table", tag("thead", tag("tr", *heads)), tag("tbody", *body), class_="plain")
    return tag("div", made, class_="scroll", tabindex=0, role="region", aria_label=", ".join(titles[:3]))


def _cell(cell: Child, number: bool) -> Markup:
    return tag("td", cell, class_="number") if number else tag("td", cell)


def _right(index: int, numbers: Sequence[int]) -> str | None:
    return "number" if index in numbers else None


def _facts(of: TargetEvidence) -> Markup:
    own = of.row.artifact
    pairs: list[tuple[str, Child]] = [
        ("model", own.model),
        ("chip, precision", f"{own.chip}, {own.precision}"),
        ("batch, cores", f"{own.batch}, {own.cores}"),
        ("weights", own.weights),
        ("ms for a picture", time_text(of.row) or f"not known: {of.row.no_time}"),
        ("size", f"{own.size:,} bytes" if own.size is not None else None),
        ("cost", f"{own.cost:,} cycles for a run, says the compiler" if own.cost is not None else None),
        ("file", tag("code", f"build/{own.file}")),
        ("sha256", tag("code", own.sha256) if own.sha256 else None),
    ]
    known = ((tag("dt", key), tag("dd", value)) for key, value in pairs if value is not None)
    return tag("section", tag("dl", *(part for pair in known for part in pair)))


def _evidence(of: TargetEvidence) -> Markup:
    title = tag("h2", "Agreement with ONNX")
    figures = of.verified or of.provenance.get("verdict", {})
    if not figures:
        return tag("section", title, tag("p", "Not compared: it was not built."))
    whose = "verify" if of.verified else "the build alone: it is not verified"
    if of.row.artifact.status == "unverified":
        whose = "its lowering in TPU-MLIR's interpreter: the artifact is unverified, as nothing here runs it"
    limits = figures.get("thresholds", {})
    return tag(
        "section",
        title,
        tag("p", f"On {figures.get('images', 0)} pictures, by {whose}."),
        _faces(figures),
        _outputs(figures, limits),
        _engines(figures),
        _missed(of.verified),
        _accuracy(of),
    )


def _faces(figures: Mapping[str, Any]) -> Markup | None:
    found = figures.get("detections")
    if not found:
        return tag("p", "Tensors alone are compared: the model has no decoder.")
    right = found["expected"] - found["missed"]
    iou = f", mean IoU {found['mean_iou']:.3f}" if found.get("mean_iou") is not None else ""
    return tag("p", f"{right} of {found['expected']} {what_of(found)} found, {found['extra']} extra{iou}.")


def _outputs(figures: Mapping[str, Any], limits: Mapping[str, Any]) -> Markup:
    rows = [
        (tag("code", name), _number(v["cosine"], 6), _number(v["sqnr_db"], 2, "exact"), _number(v["max_error"], 4))
        for name, v in figures.get("tensors", {}).items()
    ]
    asked = ", ".join(f"{key} {value:g}" for key, value in limits.items() if isinstance(value, int | float))
    return tag("div", _table(OUTPUT_COLUMNS, rows, (1, 2, 3)), tag("p", f"Thresholds: {asked}.", class_="muted"))


def _engines(figures: Mapping[str, Any]) -> Markup | None:
    engines = figures.get("engines")
    if engines is None:
        return None
    near = "equal to its MLIR" if engines["equal"] else f"{_number(engines.get('sqnr_db'), 0)} dB from its MLIR"
    if "dead" in engines:
        near = "compared with nothing"
    if "alone" in figures:
        near = "run on all pictures, as its MLIR misleads"
    others = [
        f"{'equal to' if other['equal'] else 'within ' + format(other['relative'], '.1g') + ' of'} {name}"
        for name, other in figures.get("consistency", {}).items()
    ]
    return tag("p", f"On the simulator it is {', '.join([near, *others])}.")


def _missed(verified: Mapping[str, Any]) -> Markup | None:
    missed = verified.get("misses")
    return tag("ul", *(tag("li", str(said)) for said in missed), class_="warn") if missed else None


def _accuracy(of: TargetEvidence) -> Markup:
    found = of.row.artifact.accuracy
    if found is None:
        return tag("p", "On ground truth: not evaluated.")
    rows = [
        (
            name.removeprefix(f"{found.named} "),
            f"{100 * own:.2f}",
            _number(_percent(onnx), 2),
            _number(of.row.change(name), 2, "", "+"),
        )
        for name, (own, onnx) in found.titled.items()
    ]
    what = "Average precision" if found.named == FACES_AP else f"Ground truth, {found.named}"
    title = tag("h3", f"{what}, {found.pictures} pictures")
    return tag(
        "div",
        title,
        _table(("subset" if found.named == FACES_AP else "figure", "artifact", "ONNX", "points"), rows, (1, 2, 3)),
    )


def _percent(value: float | None) -> float | None:
    return None if value is None else 100 * value


def _number(value: float | None, digits: int, absent: str = "not known", sign: str = "") -> str:
    return absent if value is None or not math.isfinite(value) else f"{value:{sign}.{digits}f}"


def _time(of: TargetEvidence) -> Markup:
    title = tag("h2", "Where its time goes")
    if isinstance(of.profile, NoProfile):
        cost = of.row.artifact.cost
        said = (
            f" The compiler's cost for a run is {cost:,} cycles, of all layers together."
            if cost is not None
            else ""
        )
        return tag("section", title, tag("p", f"No profile: {of.profile.why}.{said}"))
    return tag("section", title, _cores(of.profile), _timeline(of.profile), _costliest(of, of.profile))


def _cores(profile: StoredProfile) -> Markup:
    rows = [
        (str(i), *(f"{v:.3f}" for v in (c.milliseconds, c.arithmetic, c.memory, c.idle)), f"{c.bytes / 1e6:.2f}")
        for i, c in enumerate(profile.cores)
    ]
    titles = ("core", "ms of a run", "arithmetic", "memory", "waiting", "MB moved")
    note = (
        "The compiler's own cost model, of one run of the whole batch. Both engines of a core work at the same "
        "time; waiting is what remains when the busier one is taken off."
    )
    return tag("div", _table(titles, rows, range(6)), tag("p", note, class_="muted"))


def _timeline(profile: StoredProfile) -> Markup:
    if profile.timeline is None:
        return tag("p", "No timeline: this profile is of before there were any. ./doit build makes it.")
    zoom = [tag("button", sign, type="button", data_zoom=by, aria_label=word) for sign, by, word in _ZOOMS]
    return tag(
        "div",
        tag("h3", "Timeline"),
        tag("p", *zoom, " ", tag("span", "arrow keys go from span to span", class_="muted")),
        tag("div", tag("div", id="timeline"), class_="scroll", id="timebox", tabindex=0, role="application",
            aria_label="Timeline: left and right go along an engine, up and down between engines"),
        tag("p", " ", id="span", aria_live="polite"),
    )  # fmt: skip


_ZOOMS = (("\N{MINUS SIGN}", "0.5", "shrink"), ("+", "2", "enlarge"))


def _costliest(of: TargetEvidence, profile: StoredProfile) -> Markup:
    floats = {layer.layer for layer in of.float_layers or ()}
    found = hints(profile, of.row.artifact.target, floats)
    titles = ("layer", "operation", "core", "ms", "share", "bound by", "what would help")
    bounds = sorted({hint.layer.bound for hint in found})
    legend = [tag("li", tag("b", bound), f": {BOUNDS[bound]}") for bound in bounds]
    every = tag("details", tag("summary", f"All {len(profile.layers)} layers, by core"), tag("div", id="layers"))
    return tag(
        "div",
        tag("h3", "Costliest layers"),
        _table(titles, map(_hint, found), (3, 4)),
        tag("ul", *legend, class_="muted"),
        every,
    )


def _hint(hint: Hint) -> Sequence[Child]:
    layer = hint.layer
    name = tag("code", layer.layer)
    return (
        name,
        layer.operation,
        str(layer.core),
        f"{layer.milliseconds:.3f}",
        f"{hint.share:.1%}",
        layer.bound,
        hint.helps,
    )


def _floats(of: TargetEvidence) -> Markup | None:
    if of.row.artifact.precision not in ("int8", "int4") or not of.provenance:
        return None
    title = tag("h2", "Layers in float")
    if of.float_layers is None:
        return tag(
            "section", title, tag("p", "There are some; the table is neither in the store nor in the checkout.")
        )
    if not of.float_layers:
        return tag("section", title, tag("p", "None: all of it is in integers."))
    rows = [
        (
            tag("code", f.layer),
            f.mode,
            _number(f.loss, 4, ""),
            f.why or "its search is not in this store: the table came with the checkout",
        )
        for f in of.float_layers
    ]
    return tag("section", title, _table(("layer", "mode", "loss alone", "why"), rows, (2,)))


def _drift(of: TargetEvidence) -> Markup | None:
    drift = of.drift
    if not drift:
        return None
    title = tag("h2", "Drift, layer by layer")
    if "why" in drift:
        return tag("section", title, tag("p", f"Not known: {drift['why']}"))
    if drift.get("layer") is None:
        return tag("section", title, tag("p", "No layer of its MLIR goes wrong."))
    what = "is the first that goes wrong" if drift.get("below_limit") else "has most noise; none goes wrong alone"
    slowly = " Noise adds up before it, no single layer is at fault." if drift.get("gradual") else ""
    said = tag("p", tag("code", str(drift["layer"])), f" {what}, at {_number(drift.get('sqnr_db'), 1)} dB.{slowly}")
    return tag("section", title, said, tag("div", id="drift"))


def _again(of: TargetEvidence) -> Markup:
    own, name = of.row.artifact, of.row.name
    weights = f" weights={own.weights}" if own.weights else ""
    lines = [f"./doit {task}:{shlex.quote(name)}{weights}" for task in ("build", "verify", "eval", "reproduce")]
    lines += [f"./doit explain build:{shlex.quote(name)}", f"./doit why-slow {shlex.quote(name)}"]
    return tag("section", tag("h2", "Make it again"), tag("pre", tag("code", "\n".join(lines))))


def _provenance(of: TargetEvidence) -> Markup:
    title = tag("h2", "How it was made")
    steps = of.provenance.get("steps")
    if not isinstance(steps, dict):
        return tag("section", title, tag("p", "It was not: there is no provenance."))
    return tag("section", title, *(_step(name, told) for name, told in steps.items()))


def _step(name: str, told: Mapping[str, Any]) -> Markup:
    parts: list[Child] = [tag("summary", name, " ", tag("code", str(told.get("fingerprint", ""))[:12]))]
    if told.get("decision"):
        parts.append(tag("p", f"A decision, taken from the checkout where it is current: {told['decision']}."))
    lines = [shlex.join(filter(None, map(str, words))) for words in told.get("commands", ())]
    if lines:
        parts.append(tag("pre", tag("code", "\n".join(lines)), tabindex=0))
    lines = [f"{kind:12} {name}: {value}" for kind, name, value in _material(told)]
    return tag("details", *parts, tag("pre", tag("code", "\n".join(lines)), tabindex=0))


def _material(told: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    for kind, key in (("input", "inputs"), ("output", "files"), ("tool", "tools"), ("environment", "environment")):
        yield from ((kind, name, value) for name, value in (told.get(key) or {}).items())
    if "decision" in told:
        beside = ("decision", "files", "fingerprint", "seconds")
        yield from (("derived from", name, str(value)) for name, value in told.items() if name not in beside)


def _data(of: TargetEvidence) -> dict[str, Any]:
    """What the page's script draws."""
    found: dict[str, Any] = {}
    if isinstance(of.profile, StoredProfile):
        found["layers"] = [
            (x.layer, x.operation, x.core, x.milliseconds, x.arithmetic, x.memory, x.bytes, x.commands, x.bound)
            for x in of.profile.layers
        ]
        if of.profile.timeline is not None:
            found["timeline"] = {**of.profile.timeline, "ends": [core.milliseconds for core in of.profile.cores]}
    if any(picture.has_places for picture in of.album.pictures):
        found["boxes"] = drawn_boxes(of.album)
    if of.drift.get("rows"):
        found["drift"] = {
            "rows": of.drift["rows"],
            "limit": of.drift.get("limit_db"),
            "layer": of.drift.get("layer"),
        }
    return found
