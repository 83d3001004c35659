"""A target's page, read back: each part that is there, and why another is not."""

import json
from typing import Any

from manifests import artifact
from report_samples import HOSTILE, NOTHING, Node, document, evidence_of, profile, read_page

from bmzoo.release.float_table import FloatLayer
from bmzoo.report.artifact_page import artifact_page
from bmzoo.report.gather import TargetEvidence
from bmzoo.report.pictures import ComparedPicture, PictureEvidence

FIGURES: dict[str, Any] = {
    "images": 8,
    "tensors": {
        "loc": {"cosine": 0.99, "sqnr_db": 20.0, "max_error": 0.5},
        "conf": {"cosine": 1.0, "sqnr_db": None, "max_error": 0.0},
    },
    "detections": {"expected": 60, "missed": 1, "extra": 2, "mean_iou": 0.95},
    "engines": {"equal": False, "sqnr_db": 22.2},
    "consistency": {"bm1688_int8_1b": {"equal": True, "relative": 0.0}},
    "thresholds": {"cosine": 0.9},
    "misses": [],
}
DRIFT = {"layer": "body.dw.conv", "sqnr_db": 9.9, "below_limit": True, "gradual": False, "limit_db": 15.0}
STEP = {
    "fingerprint": "f" * 64,
    "commands": [["model_deploy.py", "--mlir", "model.mlir", "a b", ""]],
    "inputs": {"model.mlir": "1" * 64},
    "files": {"model.bmodel": "2" * 64},
    "tools": {"model_deploy.py": "tpu_mlir 1.30.2"},
}


def shown(of: TargetEvidence) -> Node:
    return read_page(artifact_page(of))


def section(page: Node, title: str) -> Node:
    return next(s for s in page.all("section") if any(h.text == title for h in s.all("h2")))


def test_the_verdict_and_what_it_rests_on() -> None:
    text = section(shown(evidence_of(verified=FIGURES)), "Agreement with ONNX").text
    for said in ("On 8 pictures, by verify.", "59 of 60 faces found, 2 extra, mean IoU 0.950.", "exact", "20.00"):
        assert said in text, said
    assert "On the simulator it is 22 dB from its MLIR, equal to bm1688_int8_1b." in text
    assert "Thresholds: cosine 0.9." in text and "Average precision, 122 pictures" in text


def test_where_the_mlir_misleads_the_simulator_ran_on_all_pictures() -> None:
    told = {**FIGURES, "alone": ["y: cosine 0.1 is below 0.9"]}
    text = section(shown(evidence_of(verified=told)), "Agreement with ONNX").text
    assert "On the simulator it is run on all pictures, as its MLIR misleads, equal to bm1688_int8_1b." in text


def test_a_build_alone_is_told_from_a_verification() -> None:
    told = {"steps": {}, "verdict": {**FIGURES, "engines": None, "detections": None}}
    text = section(
        shown(evidence_of(artifact(status="built", accuracy=None), provenance=told)), "Agreement with ONNX"
    ).text
    assert "by the build alone: it is not verified" in text and "On ground truth: not evaluated." in text
    assert "the model has no decoder" in text


def test_a_target_that_failed_shows_its_cause_and_nothing_made_up() -> None:
    unknown: dict[str, Any] = dict.fromkeys(("sha256", "size", "cost", "agreement", "accuracy"))
    evidence = "build/failed/x/log.txt"
    own = artifact(status="failed", stage="build", cause="killed", evidence=evidence, **unknown)
    page = shown(evidence_of(own, provenance={}, profile=NOTHING, album=PictureEvidence(why="it is not verified")))
    assert page.one("header").one("p").text == "build: killed. Evidence: build/failed/x/log.txt"
    assert "Not compared: it was not built." in page.text
    assert "It was not: there is no provenance." in page.text and "None: it is not verified." in page.text
    assert "No profile: the compiler writes no profile for bm1684." in section(page, "Where its time goes").text
    assert not [h for h in page.all("h2") if h.text in ("Layers in float", "Drift, layer by layer")]


def test_a_chip_without_a_profile_has_the_compilers_cost() -> None:
    text = section(shown(evidence_of(artifact("bm1684"), profile=NOTHING)), "Where its time goes").text
    assert text.endswith("The compiler's cost for a run is 2,000 cycles, of all layers together.")


def test_the_page_carries_what_its_script_draws() -> None:
    page = shown(evidence_of(verified={**FIGURES, "drift": {**DRIFT, "rows": [["a", 1.0, 20.0, 0.0]]}}))
    data = json.loads(page.one("script", id="data").text)
    assert data["timeline"]["layers"] == ["body.dw.conv", "body.cast"] and data["timeline"]["ends"] == [1.0]
    assert data["layers"][0] == ["body.dw.conv", "Conv2D", 0, 0.6, 0.6, 0.0, 0, 5, "arithmetic"]
    assert data["drift"] == {"rows": [["a", 1.0, 20.0, 0.0]], "limit": 15.0, "layer": "body.dw.conv"}
    assert "body.dw.conv is the first that goes wrong, at 9.9 dB." in section(page, "Drift, layer by layer").text


def test_drift_that_is_not_known_and_drift_of_nobody() -> None:
    for drift, said in (
        ({"layer": None, "why": "the worker died"}, "Not known: the worker died"),
        ({"layer": None}, "No layer of its MLIR goes wrong."),
        ({**DRIFT, "below_limit": False}, "has most noise; none goes wrong alone"),
        ({**DRIFT, "gradual": True}, "no single layer is at fault"),
    ):
        assert (
            said in section(shown(evidence_of(verified={**FIGURES, "drift": drift})), "Drift, layer by layer").text
        )


def test_an_older_profile_has_no_timeline_and_says_so() -> None:
    page = shown(evidence_of(profile=profile(timeline=None)))
    assert "No timeline" in page.text and page.all("div", id="timeline") == []


def test_layers_in_float_with_their_reasons() -> None:
    def text(floats: tuple[FloatLayer, ...] | None, precision: str = "int8") -> str:
        page = shown(
            evidence_of(artifact(precision=precision), provenance={"steps": {"deploy": STEP}}, float_layers=floats)
        )
        return page.text.partition("Layers in float")[2].partition("Pictures")[0]

    assert "a.convF160.2500in: choice 1" in text((FloatLayer("a.conv", "F16", 0.25, "in: choice 1"),))
    assert "its search is not in this store" in text((FloatLayer("a.conv", "F16"),))
    assert "None: all of it is in integers." in text(())
    assert "the table is neither in the store nor in the checkout" in text(None)
    assert text((), "fp16") == ""


def test_how_it_was_made_and_how_to_make_it_again() -> None:
    own = artifact(weights="embedded")
    page = shown(
        evidence_of(
            own, provenance={"steps": {"deploy": STEP, "cut": {"decision": "float layers, version 1", "files": {}}}}
        )
    )
    made = section(page, "How it was made").text
    assert "model_deploy.py --mlir model.mlir 'a b'" in made and "1" * 64 in made and "tpu_mlir 1.30.2" in made
    assert "A decision, taken from the checkout where it is current: float layers, version 1." in made
    again = section(page, "Make it again").text
    assert "./doit build:bm1688_int8_1b weights=embedded\n" in again and "./doit why-slow bm1688_int8_1b" in again


def picture(**more: Any) -> ComparedPicture:
    a, b, c = (10.0, 10.0, 30.0, 40.0, 0.9), (50.0, 10.0, 60.0, 20.0, 0.8), (70.0, 10.0, 80.0, 20.0, 0.5)
    known = {"onnx": (a, b), "artifact": (a, c), "pairs": ((0, 0),), "missed": frozenset({1}), "extra": frozenset()}
    return ComparedPicture(**{"number": 2, "file": "x.jpg", **known, **more})


def test_pictures_show_what_differs() -> None:
    album = PictureEvidence((picture(), picture(number=0, extra=frozenset({1}))), 9, (100, 80))
    part = section(shown(evidence_of(album=album)), "Pictures")
    assert "2 of them differ, and come first. 7 more of 9 are not shown." in part.text
    left, right, *_ = part.all("svg")
    assert (
        left.attributes["viewbox"] == "0 0 100 80" and left.one("image").attributes["href"] == "../pictures/x.jpg"
    )
    assert left.attributes["aria-label"] == "ONNX: 2 found, 1 missed"
    assert right.attributes["aria-label"] == "the artifact: 2 found, 1 faint"
    assert [h.text for h in part.all("h3")] == [
        "picture 3: 1 alike, 1 missed",
        "picture 1: 1 alike, 1 missed, 1 extra",
    ]


def test_boxes_go_to_the_script_by_figure_with_what_they_are() -> None:
    album = PictureEvidence((picture(), picture(missed=frozenset(), extra=frozenset({1}))), 2, (100, 80))
    boxes = json.loads(shown(evidence_of(album=album)).one("script", id="data").text)["boxes"]
    kinds = [name for name, _ in boxes["kinds"]]
    assert [[kinds[box[5]] for box in figure] for figure in boxes["figures"]] == [
        *(["both", "missed"], ["both", "faint"]),
        *(["both", "faint"], ["both", "extra"]),
    ]
    assert boxes["figures"][0][1][:5] == [50.0, 10.0, 60.0, 20.0, 0.8]


def test_masks_lie_over_the_picture_with_their_classes_below() -> None:
    masks: dict[str, Any] = {
        "overlays": ("QQ==", "Qg=="),
        "said": ("sky, cat", "sky, <dog>"),
        "odd": (7, "2.00% of cells differ"),
    }
    album = PictureEvidence((ComparedPicture(2, "x.jpg", **masks), ComparedPicture(0, "", **masks)), 2, (100, 80))
    page = shown(evidence_of(album=album))
    part = section(page, "Pictures")
    assert "2 of them differ" in part.text and "surely another class" in part.text
    assert "missed by the artifact" not in part.text
    assert [h.text for h in part.all("h3")][0] == "picture 3: 2.00% of cells differ"
    first, second, third, _ = part.all("svg")
    assert [one.attributes["href"] for one in first.all("image")] == [
        *("../pictures/x.jpg", "data:image/png;base64,QQ=="),
    ]
    assert second.all("image")[1].attributes["href"] == "data:image/png;base64,Qg=="
    assert len(third.all("rect", class_="gone")) == 1 and len(third.all("image")) == 1, "its picture is gone"
    assert [c.text for c in part.all("figcaption")][:2] == ["ONNX: sky, cat", "the artifact: sky, <dog>"]
    assert "boxes" not in json.loads(page.one("script", id="data").text)


def test_what_is_read_stands_below_the_picture() -> None:
    lines: dict[str, Any] = {"said": ("<b>x</b> (0.90)", ""), "odd": (0, "")}
    album = PictureEvidence((ComparedPicture(0, "x.jpg", **lines),), 1, (320, 48))
    part = section(shown(evidence_of(album=album)), "Pictures")
    assert "Both find the same in all of them." in part.text
    assert [h.text for h in part.all("h3")] == ["picture 1: alike"]
    assert [c.text for c in part.all("figcaption")] == ["ONNX: <b>x</b> (0.90)", "the artifact: nothing"]
    assert [len(svg.all("image")) for svg in part.all("svg")] == [1, 1] and part.all("p", class_="legend") == []


def test_boxes_outlive_their_pictures() -> None:
    part = section(shown(evidence_of(album=PictureEvidence((picture(file=""),), 1, (100, 80)))), "Pictures")
    assert "The pictures themselves are not in the store any more; what was found is." in part.text
    assert part.all("image") == [] and len(part.all("rect", class_="gone")) == 2
    assert [p.attributes["viewbox"] for p in part.all("svg")] == ["0 0 100 80"] * 2


def test_every_text_from_outside_is_a_text() -> None:
    layers = [{**row, "layer": HOSTILE, "operation": HOSTILE} for row in document()["layers"]]
    timeline = {"layers": [HOSTILE], "cores": [[[0, 0, 0.0, 1.0]]]}
    figures = {
        **FIGURES,
        "tensors": {HOSTILE: FIGURES["tensors"]["loc"]},
        "consistency": {HOSTILE: FIGURES["consistency"]["bm1688_int8_1b"]},
        "misses": [HOSTILE],
        "drift": {**DRIFT, "layer": HOSTILE, "rows": [[HOSTILE, 1.0, 2.0, 3.0]]},
    }
    step = {HOSTILE: {**STEP, "commands": [[HOSTILE]], "inputs": {HOSTILE: HOSTILE}, "tools": {HOSTILE: HOSTILE}}}
    own = artifact(status="failed", cause=HOSTILE, evidence=HOSTILE)
    page = shown(
        evidence_of(
            own,
            name=HOSTILE,
            provenance={"steps": step},
            verified=figures,
            profile=profile(layers=layers, timeline=timeline),
            float_layers=(FloatLayer(HOSTILE, "F16", None, HOSTILE),),
            album=PictureEvidence((picture(file=HOSTILE),), 1, (100, 80)),
        )
    )
    assert page.all("img") == [] and len(page.all("script")) == 2
    assert page.text.count(HOSTILE) >= 15
