"""The report in Chromium: it sorts, filters, draws and can be used with keys alone, in 360 pixels and in the dark.

Left out where there is no Chromium; everything that needs none is tested beside this module.
"""

import threading
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from browser import BROWSER, DRIVER, MISSING, Browser, browser
from manifests import artifact
from report_samples import HOSTILE, NOTHING, document, evidence_of, manifest_of, profile
from web_servers import Quiet, Server

from bmzoo.release.manifest import Accuracy, Artifact
from bmzoo.report.artifact_page import artifact_page
from bmzoo.report.gather import TargetEvidence
from bmzoo.report.index_page import index_page
from bmzoo.report.pictures import ComparedPicture, PictureEvidence
from bmzoo.report.profiles import stored_profile
from bmzoo.report.write import ASSETS, asset

pytestmark = pytest.mark.skipif(BROWSER is None or DRIVER is None, reason=MISSING)

# target -> ms, average precision in percent
ZOO = {
    "bm1684x_fp16_1b": (2.0, 60.0), "bm1684x_int8_1b": (1.0, 58.0), "bm1684x_fp32_1b": (10.0, 59.0),
    "bm1688_int8_1b": (3.0, 55.0), "bm1684_int8_1b": (None, 50.0), "bm1688_fp16_1b": (4.0, None),
}  # fmt: skip


def evidence(name: str, ms: float | None, ap: float | None) -> TargetEvidence:
    chip, precision, _ = name.split("_")
    known = None if ap is None else Accuracy(pictures=9, ap={"easy": ap / 100}, onnx={"easy": 0.6})
    own: Artifact = artifact(chip, precision, accuracy=known, status="built" if ap is None else "verified")
    measured = profile(milliseconds=ms) if ms is not None else NOTHING
    return evidence_of(own, profile=measured)


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report of six targets, and a page whose names are markup."""
    folder = tmp_path_factory.mktemp("report")
    for name in ASSETS:
        (folder / name).write_text(asset(name))
    found = [evidence(name, *figures) for name, figures in ZOO.items()]
    rows = [one.row for one in found]
    text = index_page(
        rows, manifest_of(*(row.artifact for row in rows)), None, asset("report.css"), asset("report.js")
    )
    (folder / "index.html").write_text(text)
    for one in found:
        path = folder / one.row.page
        path.parent.mkdir(exist_ok=True)
        path.write_text(artifact_page(one))
    layers = [{**row, "layer": f"{HOSTILE}{i}"} for i, row in enumerate(document()["layers"])]
    timeline = {"layers": [HOSTILE, "other"], "cores": [[[0, 0, 0.0, 0.5], [0, 1, 0.6, 0.9], [1, 1, 0.1, 0.2]]]}
    hostile = stored_profile(document(layers=layers, timeline=timeline))
    drift = {"layer": HOSTILE, "sqnr_db": 3.0, "below_limit": True, "limit_db": 15.0}
    drift["rows"] = [[HOSTILE, 0.9, 3.0, 1.0], ["exact", 1.0, None, 0.0]]
    a, b, c = (10.0, 10.0, 30.0, 40.0, 0.9), (50.0, 10.0, 60.0, 20.0, 0.8), (70.0, 10.0, 80.0, 20.0, 0.5)
    quad = (20.0, 50.0, 60.0, 60.0, 50.0, 75.0, 15.0, 70.0, 0.7)
    picture = ComparedPicture(0, "x.jpg", (b, a, quad), (a, c), ((1, 0),), frozenset({0, 2}), frozenset())
    (folder / "pictures").mkdir()
    cv2.imwrite(str(folder / "pictures" / "x.jpg"), np.zeros((80, 100, 3), np.uint8))
    verified = {"images": 1, "drift": drift}
    album = PictureEvidence((picture,), 1, (100, 80))
    page = artifact_page(evidence_of(profile=hostile, verified=verified, name=HOSTILE, album=album))
    (folder / "BM1688" / "hostile.html").write_text(page)
    return folder


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browser(tmp_path_factory.mktemp("browser")) as shown:
        yield shown


@pytest.fixture
def window(chromium: Browser) -> Iterator[Browser]:
    """A wide and light window; whatever the page complains about fails the test."""
    chromium.size(1280, 900)
    chromium.scheme("light")
    yield chromium
    assert chromium.console() == []


def shown(window: Browser) -> list[str]:
    """Targets in the table as they are seen, in order."""
    rows = 'document.querySelectorAll("#zoo tbody tr:not([hidden]) th")'
    return [str(name) for name in window.run(f"return [...{rows}].map(cell => cell.textContent)")]


def choose(window: Browser, key: str, value: str) -> None:
    window.run(
        "const s = document.querySelector(`[data-filter=${arguments[0]}]`); s.value = arguments[1];"
        "s.dispatchEvent(new Event('input', {bubbles: true}))",
        key,
        value,
    )


def click(window: Browser, selector: str) -> None:
    window.run("document.querySelector(arguments[0]).click()", selector)


def test_columns_sort_both_ways_and_what_is_not_known_comes_last(report: Path, window: Browser) -> None:
    window.open((report / "index.html").as_uri())
    assert shown(window) == list(ZOO)
    click(window, "#zoo th[data-key=ms] button")
    by_time = ["bm1684x_int8_1b", "bm1684x_fp16_1b", "bm1688_int8_1b", "bm1688_fp16_1b", "bm1684x_fp32_1b"]
    assert shown(window) == [*by_time, "bm1684_int8_1b"]
    click(window, "#zoo th[data-key=ms] button")
    assert shown(window) == [*reversed(by_time), "bm1684_int8_1b"]
    assert window.run("return document.querySelector('[data-key=ms]').getAttribute('aria-sort')") == "descending"
    click(window, "#zoo th[data-key=precision] button")
    assert [name.split("_")[1] for name in shown(window)] == ["fp32", "fp16", "fp16", "int8", "int8", "int8"]
    assert window.run("return document.querySelectorAll('#zoo [aria-sort]').length") == 1


def test_filters_and_words_leave_what_they_name(report: Path, window: Browser) -> None:
    window.open((report / "index.html").as_uri())
    choose(window, "chip", "bm1684x")
    assert shown(window) == ["bm1684x_fp16_1b", "bm1684x_int8_1b", "bm1684x_fp32_1b"]
    window.run("document.getElementById('find').focus()")
    window.press(*"INT8")
    assert shown(window) == ["bm1684x_int8_1b"]
    assert window.run("return document.getElementById('count').textContent") == "1 of 6"
    click(window, "form [type=reset]")
    window.run("return new Promise(done => setTimeout(done, 50))")
    assert len(shown(window)) == 6
    choose(window, "status", "built")
    assert shown(window) == ["bm1688_fp16_1b"]


def test_the_plot_is_of_what_is_listed_and_joins_what_nothing_beats(report: Path, window: Browser) -> None:
    window.open((report / "index.html").as_uri())
    marks = "return [...document.querySelectorAll('#plot a')].map(a => a.getAttribute('aria-label'))"
    assert sorted(window.run(marks)) == [
        "bm1684x_fp16_1b: 2.00 ms, 60", "bm1684x_fp32_1b: 10.00 ms, 59", "bm1684x_int8_1b: 1.00 ms, 58",
        "bm1688_int8_1b: 3.00 ms, 55",
    ]  # fmt: skip
    (front,) = window.run(
        "return [...document.querySelectorAll('#plot .front')].map(p => p.getAttribute('d').split('L').length)"
    )
    assert front == 2  # fp32 is slower and worse than fp16
    assert "of 2 one of the two is not known" in window.run("return document.getElementById('plotted').textContent")
    choose(window, "chip", "bm1684")
    assert window.run("return document.getElementById('plot').textContent").startswith("Nothing to draw")


def test_keys_alone_sort_and_lead_on(report: Path, window: Browser) -> None:
    window.open((report / "index.html").as_uri())
    window.press("tab")
    assert window.run("return document.activeElement.textContent") == "Skip to the table"
    for _ in range(20):
        window.press("tab")
        if window.run("return document.activeElement.closest('[data-key]')?.dataset.key") == "chip":
            break
    outline = window.run("return getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"
    window.press("enter")
    assert shown(window)[0] == "bm1684_int8_1b"
    window.press("space")
    assert shown(window)[0].startswith("bm1688")
    window.run("document.querySelector('#zoo tbody a').focus()")
    window.press("enter")
    assert "BM1688/m_int8_1b.html" in window.run("return location.href")


def test_the_timeline_goes_from_span_to_span(report: Path, window: Browser) -> None:
    window.open((report / "BM1688" / "m_int8_1b.html").as_uri())
    window.run("document.getElementById('timebox').focus()")
    said = "return document.getElementById('span').textContent"
    window.press("right")
    assert window.run(said).startswith("arithmetic: body.dw.conv, 0.600 ms, from 0.100 ms to 0.700 ms")
    window.press("down")
    assert window.run(said).startswith("memory: body.cast, 0.300 ms, from 0.0000 ms")
    width = "return document.querySelector('#timeline svg').getBoundingClientRect().width"
    before = window.run(width)
    click(window, "[data-zoom='2']")
    assert window.run(width) == pytest.approx(2 * before, rel=0.02)
    click(window, "details summary")
    window.run("return new Promise(done => setTimeout(done, 50))")
    assert window.run("return document.querySelectorAll('#layers tbody tr').length") == 2


def test_boxes_are_drawn_and_what_differs_is_circled_and_on_top(report: Path, window: Browser) -> None:
    window.open((report / "BM1688" / "hostile.html").as_uri())
    kinds = "[...s.children].map(e => e.classList[1] || e.tagName)"
    found = window.run(f"return [...document.querySelectorAll('svg[data-boxes]')].map(s => {kinds})")
    assert found == [["image", "both", "missed", "missed", "missed"], ["image", "faint", "both"]]
    assert window.run("return document.querySelector('polygon.missed').points.length") == 4
    words = window.run("return document.querySelector('rect.missed title').textContent")
    assert words == "missed by the artifact, 0.80"


def test_names_that_are_markup_are_texts(report: Path, window: Browser) -> None:
    window.open((report / "BM1688" / "hostile.html").as_uri())
    window.run("document.getElementById('timebox').focus()")
    window.press("right")
    window.run("document.querySelector('#layers').closest('details').open = true")
    window.run("return new Promise(done => setTimeout(done, 100))")
    assert window.run("return document.title") == f"{HOSTILE} - bmzoo report"
    assert window.run("return document.querySelectorAll('img').length") == 0
    assert HOSTILE in window.run("return document.getElementById('span').textContent")
    assert f"{HOSTILE}0" in window.run("return document.getElementById('layers').textContent")
    assert HOSTILE in window.run("return document.querySelector('#drift title').textContent")


@pytest.mark.parametrize(
    "page", ["index.html", "BM1688/m_int8_1b.html", "BM1684/m_int8_1b.html", "BM1688/hostile.html"]
)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_scrolls_tables_and_not_the_page(report: Path, window: Browser, page: str, scheme: str) -> None:
    window.size(360, 780)
    window.scheme(scheme)
    window.open((report / page).as_uri())
    assert window.run("return document.documentElement.scrollWidth") <= 360
    assert (
        _contrast(*window.run("const s = getComputedStyle(document.body); return [s.color, s.backgroundColor]")) > 7
    )
    dark = window.run("return getComputedStyle(document.body).backgroundColor") == "rgb(15, 19, 24)"
    assert dark == (scheme == "dark")


def test_badges_can_be_read_in_either_scheme(report: Path, window: Browser) -> None:
    for scheme in ("light", "dark"):
        window.scheme(scheme)
        window.open((report / "index.html").as_uri())
        pairs = window.run(
            "const behind = e => getComputedStyle(e).backgroundColor;"
            "const solid = e => behind(e) === 'rgba(0, 0, 0, 0)' && e.parentElement ? solid(e.parentElement) : e;"
            "return [...document.querySelectorAll('.badge, a, .muted, th button')]"
            ".map(e => [getComputedStyle(e).color, behind(solid(e))])"
        )
        assert min(_contrast(*pair) for pair in pairs if pair[1] != "rgba(0, 0, 0, 0)") > 4.5


def _contrast(one: str, other: str) -> float:
    """WCAG 2.1's ratio of two colours, `rgb(r, g, b)`."""

    def luminance(colour: str) -> float:
        parts = [int(part) / 255 for part in colour.partition("(")[2].rstrip(")").split(",")[:3]]
        linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    low, high = sorted(map(luminance, (one, other)))
    return (high + 0.05) / (low + 0.05)


def test_a_web_server_serves_it_as_well(report: Path, window: Browser) -> None:
    with Server(Quiet, report) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            window.open(f"http://127.0.0.1:{server.server_address[1]}/index.html")
            click(window, "#zoo tbody a")
            assert window.run("return document.querySelectorAll('#timeline .bar').length") == 2
        finally:
            server.shutdown()
            thread.join()
