"""The zoo's page, read back: a row for each target with what is known, and nothing that is not."""

from types import SimpleNamespace
from typing import Any

from manifests import artifact
from report_samples import HOSTILE, NOTHING, Node, manifest_of, profile, read_page

from bmzoo.config.project import Regression
from bmzoo.release.diff import compare_manifests
from bmzoo.release.manifest import Accuracy, Artifact
from bmzoo.report.index_page import MOST_LISTED, Since, index_page
from bmzoo.report.rows import ZooRow, zoo_row

UNKNOWN: dict[str, Any] = dict.fromkeys(("sha256", "size", "agreement", "accuracy"))
FAILED: dict[str, Any] = {"status": "failed", "stage": "build", **UNKNOWN}


def page_of(*rows: ZooRow, since: Since | None = None, **more: object) -> Node:
    return read_page(index_page(rows, manifest_of(*(r.artifact for r in rows), **more), since, "a{}", "1"))


def row(own: Artifact, name: str = "") -> ZooRow:
    return zoo_row(name or str(own.target), own, profile())


def cells(page: Node, number: int = 0) -> dict[str, str]:
    """Title of the column -> text, of one row."""
    titles = [head.text for head in page.one("thead").all("th")]
    body = page.one("tbody").all("tr")[number]
    return dict(zip(titles, [cell.text for cell in body.children], strict=True))


def test_a_row_says_what_is_known_of_a_target() -> None:
    page = page_of(row(artifact(batch=4)))
    assert cells(page) == {
        "target": "bm1688_int8_4b", "chip": "bm1688", "precision": "int8", "batch": "4", "cores": "1",
        "verdict": "\N{CHECK MARK} verified", "ms": "0.25", "to ONNX": "-2.00", "AP easy": "82.00",
        "AP hard": "50.00", "found": "49/50", "MB": "1.00", "float": "0", "cosine": "0.9000",
    }  # fmt: skip
    link = page.one("tbody").one("a")
    assert link.attributes["href"] == "BM1688/m_int8_4b.html"


def test_what_is_not_known_is_blank_and_says_why() -> None:
    failed = zoo_row("bm1684_int8_1b", artifact("bm1684", **FAILED, cause="killed by SIGKILL"), NOTHING)
    page = page_of(failed)
    known = cells(page)
    assert known["verdict"] == "\N{BALLOT X} failed"
    assert [known[key] for key in ("ms", "found", "MB", "cosine")] == ["", "", "", ""]
    assert "AP easy" not in known and "to ONNX" not in known
    blank = page.one("tbody").one("td", title=NOTHING.why)
    assert blank.attributes["data-value"] == ""
    assert "bm1684_int8_1b: build: killed by SIGKILL" in page.text
    assert f"Not known of any target: {NOTHING.why}" in page.text


def test_an_estimate_comes_with_its_interval_and_before_the_profile() -> None:
    own = artifact()
    object.__setattr__(own, "estimate", SimpleNamespace(ms=4.0, low=3.5, high=4.75))
    assert cells(page_of(zoo_row("t", own, profile())))["ms"] == "4.00 (3.50 to 4.75)"


def test_filters_are_there_where_they_tell_targets_apart() -> None:
    rows = [row(artifact()), row(artifact(precision="fp16")), row(artifact(batch=4))]
    filters = [select.attributes["data-filter"] for select in page_of(*rows).one("form").all("select")]
    assert filters == ["precision", "batch"]


def test_more_models_have_a_column_of_their_own() -> None:
    other = artifact(model="n", file="BM1688/n_int8_1b.bmodel")
    page = page_of(row(artifact()), row(other, "n.bm1688_int8_1b"))
    assert [cells(page, i)["model"] for i in (0, 1)] == ["m", "n"]


def test_an_empty_zoo_and_broken_configs_are_shown_as_they_are() -> None:
    page = page_of(broken={"mine": "configs/mine.yaml: input: <missing>"})
    text = page.text
    assert "0 targets of 1 model: none." in text and "There are no targets." in text
    assert "mine: configs/mine.yaml: input: <missing>" in text


def test_every_text_from_outside_is_a_text() -> None:
    own = artifact(**{**FAILED, "cause": HOSTILE}, weights=None)
    page = page_of(
        zoo_row(HOSTILE, own, NOTHING),
        broken={"m": HOSTILE},
        tools={HOSTILE: (HOSTILE,)},
        since=Since(HOSTILE, compare_manifests(manifest_of(), manifest_of(own), Regression(), "m")),
    )
    assert page.all("img") == [] and len(page.all("script")) == 1
    assert page.text.count(HOSTILE) >= 6


def test_what_changed_since_another_manifest() -> None:
    def ap(easy: float) -> Artifact:
        return artifact(accuracy=Accuracy(pictures=122, ap={"easy": easy}, onnx={"easy": 0.83}))

    gone, new = artifact("bm1684x"), ap(0.6)
    found = compare_manifests(manifest_of(gone, ap(0.82)), manifest_of(new), Regression(), "m")
    section = page_of(row(new), since=Since("old.json", found)).one("section", id="since")
    assert (
        "Since old.json" in section.text and "1 changed target, 0 added, 1 removed; 2 regressions." in section.text
    )
    body = section.one("tbody").all("tr")
    assert [cell.text for cell in body[0].children] == [
        "bm1688_int8_1b", "AP easy", "82.00", "60.00", "-22.00 points", "-0.5 points", "regression",
    ]  # fmt: skip
    same = compare_manifests(manifest_of(new), manifest_of(new), Regression(), "m")
    assert "No target has changed." in page_of(row(new), since=Since("old.json", same)).text


def test_figures_of_every_metric_have_a_column_by_its_name() -> None:
    coco = Accuracy(pictures=63, metric="COCO", figures={"AP50": 0.5, "mAP": 0.3}, onnx={"AP50": 0.55, "mAP": 0.31})
    page = page_of(row(artifact(accuracy=coco)))
    assert {"COCO mAP": "30.00", "COCO AP50": "50.00", "to ONNX": "-5.00"}.items() <= cells(page).items()


def test_long_lists_end() -> None:
    rows = [
        row(
            artifact(
                batch=batch, cores=cores, **FAILED, file=f"BM1688/m_int8_{batch}b{'_2core' * (cores - 1)}.bmodel"
            )
        )
        for batch in range(1, 151)
        for cores in (1, 2)
    ]
    page = page_of(*rows)
    items = page.all("ul")[0].all("li")
    assert len(items) == MOST_LISTED + 1 and items[-1].text == "and 100 more"
    assert len(page.one("tbody").all("tr")) == 300
