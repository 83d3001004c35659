"""Configs: their models, targets, thresholds and tables."""

import csv
from pathlib import Path

import pytest
from conftest import Project
from tiny_config import BASE, edited, load

from bmzoo.config import model as config
from bmzoo.config.accuracy import Rule
from bmzoo.config.messages import keys_at
from bmzoo.config.schema import ModelConfig
from bmzoo.errors import ConfigError
from bmzoo.target import parse

SHIPPED = Path(__file__).parents[2] / "configs" / "retinaface_mobilenet0.25.yaml"
# As the published samples name them.
PUBLISHED = [
    "BM1684/retinaface_mobilenet0.25_fp32_1b.bmodel",
    "BM1684/retinaface_mobilenet0.25_fp32_4b.bmodel",
    "BM1684/retinaface_mobilenet0.25_int8_1b.bmodel",
    "BM1684/retinaface_mobilenet0.25_int8_4b.bmodel",
    "BM1684X/retinaface_mobilenet0.25_fp32_1b.bmodel",
    "BM1684X/retinaface_mobilenet0.25_fp32_4b.bmodel",
    "BM1684X/retinaface_mobilenet0.25_fp16_1b.bmodel",
    "BM1684X/retinaface_mobilenet0.25_int8_1b.bmodel",
    "BM1684X/retinaface_mobilenet0.25_int8_4b.bmodel",
    "BM1688/retinaface_mobilenet0.25_fp32_1b.bmodel",
    "BM1688/retinaface_mobilenet0.25_fp32_1b_2core.bmodel",
    "BM1688/retinaface_mobilenet0.25_fp16_1b.bmodel",
    "BM1688/retinaface_mobilenet0.25_fp16_1b_2core.bmodel",
    "BM1688/retinaface_mobilenet0.25_int8_1b.bmodel",
    "BM1688/retinaface_mobilenet0.25_int8_1b_2core.bmodel",
    "BM1688/retinaface_mobilenet0.25_int8_4b.bmodel",
    "BM1688/retinaface_mobilenet0.25_int8_4b_2core.bmodel",
]


def test_the_shipped_config_asks_for_exactly_the_published_artifacts() -> None:
    model = config.load(SHIPPED, "configs/shipped.yaml")
    assert sorted(t.artifact for t in model.targets) == sorted(PUBLISHED)
    assert len(PUBLISHED) == len(model.targets) == 17


def test_every_artifact_with_a_published_latency_is_among_them(data: Path) -> None:
    table = data.parent / "reference" / "sophon_demo_bmrt_latency.csv"
    if not table.is_file():
        pytest.skip(f"no {table}")
    with table.open(encoding="utf-8") as file:
        measured = [row["bmodel"] for row in csv.DictReader(file)]
    assert len(measured) == 15  # fp32_4b was published, not measured
    assert sorted(set(PUBLISHED) - set(measured)) == [p for p in sorted(PUBLISHED) if "fp32_4b" in p]
    assert set(measured) <= set(PUBLISHED)


def test_what_cannot_be_built_may_be_excluded(tmp_path: Path) -> None:
    text = edited(
        ("precision: [fp32, int8]", "precision: [fp16, int8]"),
        ("targets:", "exclude: [{chip: bm1684, precision: fp16}, {batch: 2, precision: [int8, fp32]}]\ntargets:"),
    )
    assert [str(t) for t in load(tmp_path, text).targets] == [
        "bm1684_int8_1b",
        "bm1688_fp16_1b",
        "bm1688_fp16_2b",
        "bm1688_int8_1b",
    ]


def test_a_target_asked_for_twice_is_one_target_with_the_flags_of_both(tmp_path: Path) -> None:
    text = edited(("[1, 2]}", "[1, 2], deploy: [--quant_input]}")) + (
        "  - {chip: bm1688, precision: int8, deploy: [--high_precision, --quant_input]}\n"
    )
    model = load(tmp_path, text)
    assert len(model.targets) == len(set(model.targets)) == 8
    assert model.deploy_flags(parse("tiny.bm1688_int8_1b", "")) == ("--quant_input", "--high_precision")
    assert model.deploy_flags(parse("tiny.bm1688_int8_2b", "")) == ("--quant_input",)


def test_later_thresholds_override_earlier_ones_value_by_value(tmp_path: Path) -> None:
    rules = """selection}, thresholds: [
      {cosine: 0.11, sqnr: 1, iou: 0.12, missed: 0.13},
      {precision: int8, sqnr: 2, iou: 0.22, missed: 0.23},
      {chip: [bm1688, cv186x], iou: 0.32, missed: 0.33},
      {target: bm1688_int8_2b, missed: 0.43}]"""
    model = load(tmp_path, edited(("selection}", rules)))
    default = config.DEFAULT_THRESHOLDS["int8"]

    def limits(name: str) -> tuple[float | None, ...]:
        found = model.thresholds(parse(name, "tiny"))
        return found.cosine, found.sqnr, found.iou, found.missed, found.extra

    assert limits("bm1684_fp32_1b") == (0.11, 1, 0.12, 0.13, config.DEFAULT_THRESHOLDS["fp32"].extra)
    assert limits("bm1684_int8_1b") == (0.11, 2, 0.22, 0.23, default.extra)
    assert limits("bm1688_int8_1b") == (0.11, 2, 0.32, 0.33, default.extra)
    assert limits("bm1688_int8_2b") == (0.11, 2, 0.32, 0.43, default.extra)


@pytest.mark.parametrize(
    ("decoder", "precision", "expected"),
    [
        ("none", "int8", (0.95, 10.0, 0.2, 0.2)),
        ("yolox", "int8", (None, None, 0.1, 0.1)),
        ("classification", "int8", (None, None, 0.1, 0.1)),
        ("yolox", "fp32", (0.9999, 50.0, 0.0, 0.0)),
        ("yolov10", "fp32", (None, None, 0.0, 0.0)),
    ],
)
def test_int8_is_judged_by_what_it_finds_where_outputs_mean_something(
    tmp_path: Path, decoder: str, precision: str, expected: tuple[float | None, ...]
) -> None:
    model = load(tmp_path, edited(("kind: none", f"kind: {decoder}")))
    found = model.thresholds(parse(f"bm1688_{precision}_1b", "tiny"))
    assert (found.cosine, found.sqnr, found.missed, found.extra) == expected


def test_thresholds_without_rules_are_those_of_the_precision(tmp_path: Path) -> None:
    model = load(tmp_path)
    for target in model.targets:
        assert model.thresholds(target) == config.DEFAULT_THRESHOLDS[target.precision]
    assert set(config.DEFAULT_THRESHOLDS) == {"fp32", "fp16", "bf16", "int8", "int4"}


def test_a_table_for_a_target_wins_over_its_chips_and_floats_have_none(tmp_path: Path) -> None:
    text = edited(("verify:", "quantization: {tables: {bm1688: a.qtable, bm1688_int8_2b: b.qtable}}\nverify:"))
    model = load(tmp_path, text)
    tables = {str(t): model.table(t) for t in model.targets}
    assert {name: table for name, table in tables.items() if table} == {
        "bm1688_int8_1b": "a.qtable",
        "bm1688_int8_2b": "b.qtable",
    }


def test_zoo_yaml_is_not_a_model_and_names_the_default_one(project: Project) -> None:
    (project.root / "configs/aaa.yaml").write_text(project.config.read_text())
    assert project.open().default_model == "aaa"
    (project.root / "configs/zoo.yaml").write_text("default_model: tiny\n")
    at = project.open()
    assert list(at.models) == ["aaa", "tiny"] and not at.configs.broken
    assert at.default_model == "tiny" and at.target("bm1684_fp32_1b").model == "tiny"


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        (
            "defualt_model: tiny\n",
            "configs/zoo.yaml:1:1: unknown key: defualt_model",
            "did you mean default_model?",
        ),
        ("default_model: 3\n", "configs/zoo.yaml:1:1: default_model: input should be a valid string: 3", "quotes"),
        ("- tiny\n", "configs/zoo.yaml:1:1: a mapping is expected at the top: list", ""),
    ],
)
def test_a_wrong_zoo_yaml_is_explained(project: Project, text: str, message: str, hint: str) -> None:
    (project.root / "configs/zoo.yaml").write_text(text)
    with pytest.raises(ConfigError) as caught:
        project.open().default_model  # noqa: B018  # read when first asked for
    assert caught.value.message == message
    assert hint in caught.value.hint


def test_a_broken_config_stops_only_its_own_model(project: Project) -> None:
    for name, text in (("bad", BASE.replace("height: 32", "height: x")), ("my model", BASE)):
        (project.root / f"configs/{name}.yaml").write_text(text)
    models, broken = config.load_all(project.root / "configs", project.root)
    assert list(models) == ["tiny"] and len(models["tiny"].targets) == 8
    assert broken["bad"].message.startswith("configs/bad.yaml:3:9: input.height: ")
    assert broken["my model"].message == "configs/my model.yaml: file name is not a model name: my model"


def test_the_schema_lists_the_keys_of_every_place() -> None:
    assert keys_at([], ModelConfig) == list(ModelConfig.model_fields)
    assert keys_at(["verify", "thresholds", 0], ModelConfig) == list(Rule.model_fields)
    assert keys_at(["calibration", "images"], ModelConfig) == ["folder", "count", "first"]
