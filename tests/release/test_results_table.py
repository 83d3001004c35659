from manifests import artifact
from published_figures import published as figures

from bmzoo.release.manifest import Accuracy, Agreement, Estimate, ZooManifest
from bmzoo.release.results_table import render
from bmzoo.results.reference import Published

PAGE = "Agreement with the ONNX model"
FP32 = artifact(precision="fp32", cost=8000, size=2_000_000)


def rows(text: str, title: str) -> list[list[str]]:
    """Cells of the table below a heading, without the rule."""
    part = text.partition(f"## {title}\n")[2].partition("\n## ")[0]
    lines = [line.strip("|").split("|") for line in part.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line] for line in lines if not set("".join(line)) <= set("-: ")]


def test_figures_stand_beside_the_published_ones() -> None:
    published = figures(
        {"BM1688/m_int8_1b.bmodel": 86.2, "BM1688/m_fp32_1b.bmodel": 89.2},
        {"BM1688/m_int8_1b.bmodel": 4.3, "BM1688/m_fp32_1b.bmodel": 17.2},
    )
    text = render(ZooManifest(artifacts=(FP32, artifact())), published)
    head, _, int8 = rows(text, "Accuracy")
    assert dict(zip(head, int8, strict=True)) == {
        "chip": "BM1688",
        "artifact": "m_int8_1b",
        "AP easy": "82.00",
        "AP hard": "50.00",
        "easy to ONNX": "-1.00",
        "hard to ONNX": "-2.00",
        "published easy": "86.2",
        "published to fp32": "-3.0",
    }
    assert "Weights of `m`: `official`." in text
    assert "The ONNX model `m`, weights `official`: easy 83.00, hard 52.00." in text
    assert "Published figures are of another, larger set" in text
    head, _, int8 = rows(text, "Cost and size")
    assert dict(zip(head[2:], int8[2:], strict=True)) == {
        "size": "1.00 MB",
        "cost per picture": "0.002 M",
        "of fp32": "0.25",
        "published": "4.30 ms",
        "published of fp32": "0.25",
    }
    head, _, int8 = rows(text, "Agreement with the ONNX model")
    assert int8[2:] == ["8", "49 of 50", "0", "0.900", "0.90000", "12.5 dB", "`loc`"]


def test_every_metric_has_a_table_under_its_name() -> None:
    coco = Accuracy(pictures=63, metric="COCO", figures={"AP50": 0.5, "mAP": 0.3}, onnx={"AP50": 0.55, "mAP": 0.31})
    text = render(
        ZooManifest(
            artifacts=(artifact(), artifact(model="yolo", file="BM1688/yolo_int8_1b.bmodel", accuracy=coco))
        ),
        Published(),
    )
    head, faces = rows(text, "Accuracy")
    assert "AP easy" in head and "COCO mAP" not in head and faces[1] == "m_int8_1b"
    head, yolo = rows(text, "Accuracy: COCO")
    assert dict(zip(head[2:], yolo[2:], strict=True)) == {
        "COCO mAP": "30.00",
        "COCO AP50": "50.00",
        "mAP to ONNX": "-1.00",
        "AP50 to ONNX": "-5.00",
    }
    assert "as COCO takes it: in percent on 63 pictures" in text and "`yolo`, weights `official`: mAP 31.00" in text


def test_estimates_stand_beside_the_published_times() -> None:
    known = artifact(estimate=Estimate(ms=4.123, low=3.51, high=6.2))
    why = "the compiler writes no profile for bm1684"
    unknown = [artifact(chip="bm1684", no_estimate=why), artifact(chip="bm1684", batch=4, no_estimate=why)]
    dynamic = artifact(chip="bm1684x", no_estimate="it is dynamic")
    published = figures({}, {"BM1688/m_int8_1b.bmodel": 4.3})
    text = render(ZooManifest(artifacts=(known, *unknown, dynamic)), published)
    head, first, second, *_ = rows(text, "Cost and size")
    cells = dict(zip(head, first, strict=True))
    assert (cells["estimate"], cells["of nine in ten"], cells["published"]) == ("4.1 ms", "3.5 to 6.2", "4.30 ms")
    assert dict(zip(head, second, strict=True))["estimate"] == "–"
    assert f"No estimate of 2 artifacts such as `BM1684/m_int8_1b.bmodel`: {why}." in text
    assert "No estimate of `BM1684X/m_int8_1b.bmodel`: it is dynamic." in text
    without = render(ZooManifest(artifacts=(artifact(),)), published)
    assert "of nine in ten" not in without and "Estimates are" not in without


def test_figures_of_other_weights_do_not_stand_beside_the_published_ones() -> None:
    files = {"BM1688/m_int8_1b.bmodel": 4.3, "BM1688/m_fp32_1b.bmodel": 17.2}
    drawn = [FP32.model_copy(update={"weights": "embedded"}), artifact(weights="embedded")]
    text = render(ZooManifest(artifacts=tuple(drawn)), figures(files, files))
    assert "4.3" not in text and "17.2" not in text and "of another, larger set" not in text
    assert "Weights of `m`: `embedded`." in text and "weights `embedded`: easy 83.00" in text
    text = render(
        ZooManifest(artifacts=(*drawn, artifact(chip="bm1684"))), figures({"BM1684/m_int8_1b.bmodel": 4.25}, {})
    )
    assert " 4.2 " in text, "another chip's figures are of the official weights"


def test_without_published_figures_their_columns_are_left_out() -> None:
    text = render(ZooManifest(artifacts=(FP32, artifact(float_layers=3))), Published())
    assert "published" not in text.replace("Published are", "") and "of another" not in text
    assert rows(text, "Cost and size")[2][-1] == "3"


def test_an_empty_zoo_has_a_page_too() -> None:
    assert (
        render(ZooManifest(artifacts=()), Published()) == "# Results\n\nWritten by `./doit zoo`. 0 targets: none.\n"
    )


def test_text_from_tools_is_shown_and_not_obeyed() -> None:
    bad = artifact(status="failed", stage="build", cause="<b>no</b> [x](http://y) | `z`", evidence="build/failed/a")
    text = render(ZooManifest(artifacts=(bad,), broken={"other": "why|not"}), Published())
    line = next(line for line in text.splitlines() if line.startswith("- `BM1688"))
    assert r"\<b\>no\</b\> \[x\](http://y) \| \`z\` (`build/failed/a`)" in line
    assert r"- model `other`: why\|not" in text


def test_figures_on_drawn_values_say_so() -> None:
    drawn = "random inputs: state normal std 0.5"
    agreement = Agreement(pictures=3, cosine=1.0, sqnr_db=90.0, worst="y", drawn=drawn)
    head, row = rows(render(ZooManifest(artifacts=(artifact(agreement=agreement),)), Published()), PAGE)
    assert dict(zip(head, row, strict=True))["on"] == drawn
    assert "on" not in rows(render(ZooManifest(artifacts=(artifact(),)), Published()), PAGE)[0]
