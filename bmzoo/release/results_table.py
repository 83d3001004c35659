"""Renders the manifest as Markdown tables in the layout of the published ones, with their figures. Pure."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

from bmzoo.measure.latency import shown
from bmzoo.measure.metrics.registry import FACES_AP, METRICS, ordered
from bmzoo.release.manifest import STATUSES, Artifact, ZooManifest
from bmzoo.results.reference import WEIGHTS, Published
from bmzoo.system.markdown import code, plain, table

Column = tuple[str, Callable[[Artifact], str]]


def render(manifest: ZooManifest, published: Published) -> str:
    """The whole page; empty columns and tables are left out."""
    parts = [
        "# Results\n",
        _summary(manifest),
        *_accuracy(manifest, published),
        *_cost(manifest, published),
        *_agreement(manifest),
        *_failures(manifest),
    ]
    return "\n".join(parts)


def _summary(manifest: ZooManifest) -> str:
    counts = {name: sum(a.status == name for a in manifest.artifacts) for name in STATUSES}
    said = ", ".join(f"{number} {name}" for name, number in counts.items() if number)
    used = dict.fromkeys((a.model, a.weights) for a in manifest.artifacts if a.weights is not None)
    weights = "".join(f" Weights of {code(model)}: {code(name)}." for model, name in used)
    return f"Written by `./doit zoo`. {len(manifest.artifacts)} targets: {said or 'none'}.{weights}\n"


def _accuracy(manifest: ZooManifest, published: Published) -> Iterable[str]:
    rows = [a for a in manifest.artifacts if a.accuracy is not None]
    metrics = dict.fromkeys(a.accuracy.named for a in rows if a.accuracy is not None)
    for metric in sorted(metrics, key=lambda name: (name != FACES_AP, name)):
        some = [a for a in rows if a.accuracy is not None and a.accuracy.named == metric]
        yield "## Accuracy\n" if metric == FACES_AP else f"## Accuracy: {plain(metric)}\n"
        yield from _of_metric(metric, some, published)


def _of_metric(metric: str, rows: Sequence[Artifact], published: Published) -> Iterable[str]:
    pictures = sorted({a.accuracy.pictures for a in rows if a.accuracy is not None})
    subsets = ordered(metric, {name for a in rows if a.accuracy is not None for name in a.accuracy.values})
    easy = _comparable(published.easy_percent, rows) if metric == FACES_AP else {}
    columns: list[Column] = [
        *((plain(f"{metric} {name}"), _reached(name)) for name in subsets),
        *((plain(f"{name} to ONNX"), _lost(name)) for name in subsets),
        ("published easy", lambda a: _figure(easy.get(a.file), "{:.1f}")),
        ("published to fp32", lambda a: _figure(_minus(easy.get(a.file), easy.get(_float(a).file)), "{:+.1f}")),
    ]
    what = METRICS[metric].summary if metric in METRICS else metric
    what = "average precision" if metric == FACES_AP else f"{what}:"
    yield (
        f"{plain(what[:1].upper() + what[1:])} in percent on {' or '.join(map(str, pictures))} pictures with "
        "ground truth, of the arithmetic that a chip does, which is the same for all its batches and cores; "
        "differences are in points."
    )
    yield from _of_onnx(rows, subsets)
    if any(a.file in easy for a in rows):
        yield (
            "Published figures are of another, larger set of pictures: compare the loss against ONNX with the loss "
            "against fp32, not the averages themselves."
        )
    yield ""
    yield _table(rows, columns)


def _of_onnx(rows: Sequence[Artifact], subsets: Sequence[str]) -> Iterable[str]:
    """A line with the ONNX figures of each model, which all its artifacts are compared with."""
    figures = {(a.model, a.weights): a.accuracy.onnx for a in rows if a.accuracy is not None}
    for (model, weights), onnx in figures.items():
        told = ", ".join(f"{plain(name)} {100 * onnx[name]:.2f}" for name in subsets if name in onnx)
        yield f"The ONNX model {code(model)}, weights {code(weights)}: {told}."


def _comparable(published: Mapping[str, float], rows: Sequence[Artifact]) -> Mapping[str, float]:
    """Published figures by file, without files whose own figures are of other weights, hence not comparable."""
    foreign = {file for a in rows if a.weights != WEIGHTS for file in (a.file, _float(a).file)}
    return {file: value for file, value in published.items() if file not in foreign}


def _cost(manifest: ZooManifest, published: Published) -> Iterable[str]:
    rows = [a for a in manifest.artifacts if a.size is not None]
    if not rows:
        return
    files = {a.file: a for a in manifest.artifacts}
    times = _comparable(published.milliseconds, rows)

    def relative(a: Artifact) -> str:
        base = files.get(_float(a).file)
        return _figure(_ratio(_per_picture(a), _per_picture(base) if base is not None else None), "{:.2f}")

    columns: list[Column] = [
        ("size", lambda a: _figure(a.size / 1e6 if a.size is not None else None, "{:.2f} MB")),
        ("cost per picture", lambda a: _figure(_millions(_per_picture(a)), "{:.3f} M")),
        ("of fp32", relative),
        ("float layers", lambda a: str(a.float_layers) if a.float_layers else ""),
        ("estimate", lambda a: f"{shown(a.estimate.ms)} ms" if a.estimate else ""),
        ("of nine in ten", lambda a: f"{shown(a.estimate.low)} to {shown(a.estimate.high)}" if a.estimate else ""),
        ("published", lambda a: _figure(times.get(a.file), "{:.2f} ms")),
        ("published of fp32", lambda a: _figure(_ratio(times.get(a.file), times.get(_float(a).file)), "{:.2f}")),
    ]
    yield "## Cost and size\n"
    yield (
        "Cost is the compiler's own estimate in cycles; it compares artifacts of one chip. Published are "
        "milliseconds per picture on the chip. `of fp32`: divided by the same for fp32_1b on one core."
    )
    if any(a.estimate for a in rows):
        yield (
            "Estimates are milliseconds per picture from the compiler's profile, fitted on published figures of "
            "several networks; nine in ten figures of a network left out lie in such an interval."
        )
    yield from _without_estimate(rows)
    yield ""
    yield _table(rows, columns)


def _without_estimate(rows: Sequence[Artifact]) -> Iterable[str]:
    """A line for each reason why there is no estimate."""
    reasons: dict[str, list[str]] = {}
    for a in rows:
        if a.no_estimate:
            reasons.setdefault(a.no_estimate, []).append(code(a.file))
    for why, files in reasons.items():
        which = files[0] if len(files) == 1 else f"{len(files)} artifacts such as {files[0]}"
        yield f"No estimate of {which}: {plain(why)}."


def _agreement(manifest: ZooManifest) -> Iterable[str]:
    rows = [(a, a.agreement) for a in manifest.artifacts if a.agreement is not None]
    if not rows:
        return
    told = {a.file: agreement for a, agreement in rows}

    def found_of(a: Artifact) -> str:
        of = told[a.file]
        found = of.expected is not None and of.missed is not None
        what = f" {plain(of.what)}" if of.what is not None else ""
        return f"{of.expected - of.missed} of {of.expected}{what}" if found else ""  # type: ignore[operator]

    columns: list[Column] = [
        ("pictures", lambda a: str(told[a.file].pictures)),
        ("on", lambda a: plain(told[a.file].drawn or "")),
        ("found", found_of),
        ("extra", lambda a: _figure(told[a.file].extra, "{}")),
        ("mean IoU", lambda a: _figure(told[a.file].mean_iou, "{:.3f}")),
        ("cosine", lambda a: _figure(told[a.file].cosine, "{:.5f}")),
        ("SQNR", lambda a: _figure(told[a.file].sqnr_db, "{:.1f} dB") or "exact"),
        ("worst head", lambda a: code(told[a.file].worst)),
    ]
    yield "## Agreement with the ONNX model\n"
    yield _table([a for a, _ in rows], columns)


def _failures(manifest: ZooManifest) -> Iterable[str]:
    lines = [
        f"- {code(a.file)}: {a.stage or 'build'}: {plain(a.cause or 'not known')}"
        + (f" ({code(a.evidence)})" if a.evidence else "")
        for a in manifest.artifacts
        if a.status != "verified"
    ]
    lines += [f"- model {code(name)}: {plain(why)}" for name, why in sorted(manifest.broken.items())]
    if lines:
        yield "## Not verified\n"
        yield "\n".join(lines) + "\n"


def _table(rows: Sequence[Artifact], columns: Sequence[Column]) -> str:
    names = [plain(a.target.stem.partition("/")[2]) + " (unverified)" * (a.status == "unverified") for a in rows]
    cells = {title: [make(row) for row in rows] for title, make in columns}
    cells = {"chip": [a.chip.upper() for a in rows], "artifact": names, **cells}
    return table(cells, left=("chip", "artifact", "worst head"))


def _float(a: Artifact) -> Artifact:
    """The baseline of the published tables: fp32 on the same chip, batch 1, one core."""
    target = replace(a.target, precision="fp32", batch=1, cores=1)
    return a.model_copy(update={"file": target.artifact})


def _per_picture(a: Artifact) -> float | None:
    return a.cost / a.batch if a.cost is not None else None


def _reached(name: str) -> Callable[[Artifact], str]:
    return lambda a: _figure(_percent(a.accuracy.values.get(name)) if a.accuracy else None, "{:.2f}")


def _lost(name: str) -> Callable[[Artifact], str]:
    def cell(a: Artifact) -> str:
        if a.accuracy is None:
            return ""
        return _figure(_percent(_minus(a.accuracy.values.get(name), a.accuracy.onnx.get(name))), "{:+.2f}")

    return cell


def _percent(value: float | None) -> float | None:
    return None if value is None else 100 * value


def _millions(value: float | None) -> float | None:
    return None if value is None else value / 1e6


def _minus(value: float | None, base: float | None) -> float | None:
    return None if value is None or base is None else value - base


def _ratio(value: float | None, base: float | None) -> float | None:
    return None if value is None or not base else value / base


def _figure(value: float | None, form: str) -> str:
    return "" if value is None else form.format(value)
