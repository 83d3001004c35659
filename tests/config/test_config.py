import csv
import math
import re
from pathlib import Path

import pytest
import yaml
from conftest import CONFIG, Project

from bmzoo.config import model as config
from bmzoo.config.accuracy import Rule
from bmzoo.config.messages import MAX_SHOWN, keys_at
from bmzoo.config.model import Model
from bmzoo.config.schema import ModelConfig
from bmzoo.config.yamlfile import flow, parse_yaml
from bmzoo.errors import ConfigError
from bmzoo.target import parse

SHIPPED = Path(__file__).parents[2] / "configs" / "retinaface_mobilenet0.25.yaml"
DIGEST = "a" * 64
BASE = CONFIG.format(digest=DIGEST)
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


@pytest.fixture
def write(tmp_path: Path) -> Path:
    """The place of a config, not yet written."""
    return tmp_path / "tiny.yaml"


def load(path: Path, text: str | bytes = BASE) -> Model:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return config.load(path, "configs/tiny.yaml")


def edited(*edits: tuple[str, str]) -> str:
    text = BASE
    for old, new in edits:
        assert old in text, old
        text = text.replace(old, new, 1)
    return text


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


# What is edited in a good config, into what; the error without `configs/tiny.yaml`; a part of its hint.
ERRORS = {
    "unknown key": (("weights:", "colour: red\nweights:"), ": unknown key: colour", "allowed: weights, input,"),
    "misspelt key": (("height: 32", "heigth: 32"), ": input: unknown key: heigth", "did you mean height?"),
    "misspelt section": (("calibration: {", "calibraton: {"), ": unknown key: calibraton", "mean calibration?"),
    "misspelt key in a list": (
        ("precision: [", "precison: ["),
        ": targets[0]: unknown key: precison",
        "did you mean precision?",
    ),
    "missing key": (("height: 32, ", ""), ": input: missing key: height", "configs/"),
    "duplicate key": (("input:", "input: {}\ninput:"), ":4:1: key written twice: input", "first written in line 3"),
    "duplicate key inside": (
        ("width: 32}", "width: 32, width: 33}"),
        ":3:32: key written twice: width",
        "first written in line 3",
    ),
    "string for int": (
        ("height: 32", "height: '32'"),
        ": input.height: input should be a valid integer: '32'",
        "a whole number",
    ),
    "bool for int": (
        ("height: 32", "height: true"),
        ": input.height: input should be a valid integer: True",
        "a whole number",
    ),
    "float for int": (
        ("height: 32", "height: 32.0"),
        ": input.height: input should be a valid integer: 32.0",
        "decimal point",
    ),
    "bool for a batch": (
        ("batch: [1, 2]", "batch: true"),
        "targets[0].batch[0]: input should be",
        "a whole number",
    ),
    "digest read as a number": (
        (DIGEST, "1" * 64),
        ": weights[0].sha256: input should be a valid string: 1",
        "quotes",
    ),
    "pattern": (("name: given", "name: a b"), ": weights[0].name: string should match pattern '^[A-Za-z0-9]", ""),
    "unknown chip": (
        ("bm1684,", "bm1685,"),
        ": targets[0].chip[0]: not supported: bm1685",
        "did you mean bm1688? allowed: bm1684, bm1684x, bm1688, cv186x",
    ),
    "unknown precision": (
        ("int8]", "int7]"),
        ": targets[0].precision[1]: not supported: int7",
        "did you mean int8? allowed: fp32, fp16, bf16, int8, int4",
    ),
    "unknown method": (
        ("minimum: 2", "minimum: 2, method: kll"),
        ": calibration.method: not supported: kll",
        "did you mean kl? allowed: kl, mse",
    ),
    "fp16 on bm1684": (
        ("fp32, int8", "fp16"),
        ": targets[0]: bm1684_fp16_1b: bm1684 has no half-precision units",
        "nearest valid choice: bm1684_fp32_1b",
    ),
    "2 cores on bm1684x": (
        ("{chip: [bm1684, bm1688],", "{chip: bm1684x, cores: [1, 2],"),
        ": targets[0]: bm1684x_fp32_1b_2core: bm1684x has 1 TPU core",
        "nearest valid choice: bm1684x_fp32_1b",
    ),
    "batch 0": (("[1, 2]", "0"), ": targets[0].batch[0]: input should be greater than or equal to 1: 0", ""),
    "batch 257": (("[1, 2]", "[1, 257]"), ": targets[0].batch[1]: input should be less than or equal to 256", ""),
    "no batch": (("[1, 2]", "[]"), ": targets[0].batch: ", ""),
    "mean of two": (("width: 32}", "width: 32, mean: [1, 2]}"), ": input: mean has 2 values", ""),
    "mean of three for gray": (
        ("width: 32}", "width: 32, pixel_format: gray, mean: [1, 2, 3]}"),
        ": input: mean has 3 values",
        "",
    ),
    "deploy flag": (
        ("[1, 2]}", "1, deploy: [--high_precison]}"),
        ": targets[0]: deploy flag is not on the allowed list (did you mean --high_precision?): --high_precison",
        "",
    ),
    "deploy flag of bmzoo's own": (("[1, 2]}", "1, deploy: [--model]}"), "allowed list: --model", ""),
    "threshold": (
        ("selection}", "selection}, thresholds: [{sqnr: 3}, {cosine: 1.5}]"),
        ": verify.thresholds[1].cosine: input should be less than or equal to 1: 1.5",
        "",
    ),
    "threshold that is no number": (
        ("selection}", "selection}, thresholds: [{cosine: .nan}]"),
        ": verify.thresholds[0].cosine: ",
        "",
    ),
    "tag": (
        ("pictures/selection", "!!python/object/apply:os.system ['touch touched']"),
        ":6:27: not valid YAML: could not determine a constructor for the tag",
        "check",
    ),
    "alias": (("folder: pictures/selection", "folder: *a"), ":6:27: not valid YAML: aliases are not used", "check"),
    "merge key": (("weights:", "<<: {a: 1}\nweights:"), ":1:1: unknown key: <<", "allowed: weights"),
    "two documents": (("targets:", "---\ntargets:"), ":7:1: not valid YAML: ", "check"),
    "tab": (("weights:\n", "weights:\n\t"), ":2:1: not valid YAML: found character '\\t'", "check indentation"),
    "nothing left": (("targets:", "exclude: [{batch: [1, 2]}]\ntargets:"), ": targets: nothing is left", "exclude"),
    "int8 without calibration": (
        ("calibration: {images: {folder: pictures/calibration}, minimum: 2}\n", ""),
        ": calibration: missing key: int8 and int4 targets need one",
        "",
    ),
    "rule for no target": (
        ("selection}", "selection}, thresholds: [{target: bm1688_int8_9b, cosine: 0.5}]"),
        ": verify.thresholds[0].target: not a target of this model: bm1688_int8_9b",
        "did you mean bm1688_int8_",
    ),
    "rule for nonsense": (
        ("selection}", "selection}, thresholds: [{target: nonsense, cosine: 0.5}]"),
        ": verify.thresholds[0].target: target name: not of the form",
        "for example",
    ),
    "table for no target": (
        ("verify:", "quantization: {tables: {bm1688_int8_9b: a.qtable}}\nverify:"),
        ": quantization.tables: neither a chip nor an int8 or int4 target of this model: bm1688_int8_9b",
        "did you mean bm1688_int8_",
    ),
    "checkpoint without architecture": (("model.onnx", "model.pth"), "weights[0]: model.pth needs an", ""),
    **{
        f"{text} as a height": (
            ("height: 32", f"height: {text}"),
            f":3:9: input.height: input should be a valid integer: '{text}'",
            "a whole number",
        )
        for text in ("10:40", "1_000", "0b100000", "2001-01-01", "0o99", "yes")
    },
    "a height in exponents": (("height: 32", "height: 32e0"), ":3:9: input.height: ", "decimal point"),
    **{
        f"{text} as a switch": (
            ("minimum: 2", f"minimum: 2, equalize: {text}"),
            f": calibration.equalize: input should be a valid boolean: {shown}",
            "true or false",
        )
        for text, shown in (("yes", "'yes'"), ("no", "'no'"), ("on", "'on'"), ("Off", "'Off'"), ("1", "1"))
    },
    **{
        f"a scale of {text}": (
            ("width: 32}", f"width: 32, scale: [1, {text}, 1]}}"),
            f":3:43: input.scale[1]: {said}",
            "",
        )
        for text, said in (
            ("0", "all pictures would be the same to the network: 0"),
            ("-0.0", "all pictures would be the same to the network: -0"),
            ("1e-30", "all pictures would be the same to the network: 1e-30"),
            ("1e38", "must be 1e-06 to 1000, or the same below 0: 1e+38"),
            ("true", "input should be a valid number: True"),
        )
    },
    **{
        f"{text} for {key}": ((old, f"{old}{new}{text}"), f"{key}: not a finite number: {number}", "such as 0.5")
        for key, old, new in (
            ("input.mean[0]", "width: 32", ", mean: ["),
            ("input.scale[0]", "width: 32", ", scale: ["),
            ("verify.confidence", "pictures/selection}", ", confidence: "),
            ("verify.thresholds[0].sqnr", "pictures/selection}", ", thresholds: [{sqnr: "),
        )
        for text, number in ((".nan", "nan"), (".inf", "inf"), ("-.INF", "-inf"), ("1e999", "inf"))
        for new, text in [(new, text + {"[": "]", "{": "}]"}.get(new.rstrip("sqnr: ")[-1], ""))]
    },
    "a mean in another unit": (
        ("width: 32}", "width: 32, mean: [12370, 1, 1]}"),
        ": input.mean[0]: must be a pixel value, -255 to 255: 12370",
        "",
    ),
    "a picture twice": (
        ("pictures/selection}", "pictures/selection, first: [a.jpg, b.jpg, a.jpg]}"),
        ": verify.images: first names a picture twice: a.jpg",
        "",
    ),
    "a stride of nothing": (("kind: none", "kind: none, strides: [8, 0, 32]"), ": decoder.strides[1]: ", ""),
    "no anchors": (("kind: none", "kind: none, min_sizes: [[1], [], [1]]"), ": decoder.min_sizes[1]: ", ""),
    "a variance of nothing": (("kind: none", "kind: none, variance: [0.1, 0]"), ": decoder.variance[1]: ", ""),
    "neither checkpoint nor onnx": (("model.onnx", "model.zip"), ": weights[0]: neither a checkpoint", ""),
}


@pytest.mark.parametrize("name", ERRORS)
def test_an_error_says_where_what_and_what_is_allowed(
    name: str, write: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # where a command smuggled into the YAML would leave its trace
    edit, expected, hint = ERRORS[name]
    with pytest.raises(ConfigError) as caught:
        load(write, edited(edit))
    assert re.match(r"configs/tiny\.yaml:\d+:\d+: ", caught.value.message)
    assert expected in caught.value.message
    assert hint in caught.value.hint
    assert [p.name for p in tmp_path.iterdir()] == ["tiny.yaml"]


FILES = {
    "empty": (b"", "a mapping is expected at the top: NoneType"),
    "a comment only": (b"# later\n", "a mapping is expected at the top: NoneType"),
    "a list": (b"- weights\n- input\n", "a mapping is expected at the top: list"),
    "a word": (b"weights\n", "a mapping is expected at the top: str"),
    "huge": (BASE.encode() + b"#" * (1 << 20), "larger than 1048576 bytes"),
    "not UTF-8": (BASE.replace("given", "gegében").encode("latin-1"), "not UTF-8 text"),
    "deeply nested": (b"a: " + b"[" * 1500, "not valid YAML"),
    "endless number": (b"a: " + b"1" * 5000, "not valid YAML"),
    "a tag that its text is not of": (b"a: !!int 0b1", "not valid YAML: not of type int: 0b1"),
    "a date by its tag": (b"a: !!timestamp 2001-01-01", "not valid YAML"),
    "a control character": (b"a: \x00", "not valid YAML"),
    "a key that is a list": (b"? [1, 2]\n: 1\n", "not valid YAML"),
    "a key that is a number": (b"1: 2\n", "keys should be strings: 1"),
}


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_is_no_config_is_one_clear_error(name: str, write: Path) -> None:
    content, expected = FILES[name]
    with pytest.raises(ConfigError) as caught:
        load(write, content)
    place = "" if name == "huge" else r":\d+:\d+"
    assert re.match(rf"configs/tiny\.yaml{place}: ", caught.value.message)
    assert expected in caught.value.message


# What is edited in a good config, into what; where the part that is wrong is written, or what it belongs into.
PLACES = {
    "a key": (("height: 32", "heigth: 32"), "3:9"),
    "the section of a missing key": (("height: 32, ", ""), "3:1"),
    "the file, for a section that is missing": (("verify: {images: {folder: pictures/selection}}\n", ""), "1:1"),
    "a value by its key": (("width: 32", "width: wide"), "3:21"),
    "an item": (("fp32, int8", "fp32, int7"), "8:48"),
    "one value for a list": (("[bm1684, bm1688]", "bm1690"), "8:6"),
    "a section of another kind": (("{images: {folder: pictures/selection}}", "3"), "6:1"),
    "a name that names nothing": (
        ("verify:", "quantization:\n  tables:\n    bm1688_int8_9b: a.qtable\nverify:"),
        "8:5",
    ),
    "what two keys say together": (("verify:", "exclude: [{batch: [1, 2]}]\nverify:"), "8:1"),
    "a target that a chip cannot do": (("[fp32, int8]", "[fp16, int8]"), "8:5"),
    "a control character": (("given", "gi\aven"), "2:14"),
    "a tag that its text is not of": (("name: given", "name: !!int 0b1"), "2:12"),
    "a number that is none": (("height: 32", "height: 10:40"), "3:9"),
    "a number in a list": (("width: 32}", "width: 32, mean: [1, .nan, 1]}"), "3:42"),
}


def test_plain_words_mean_what_yaml_1_2_says() -> None:
    said = {
        **{"0640": 640, "0o17": 15, "0x1F": 31, "+1": 1, "-0": 0},
        **{"1e-2": 0.01, ".5": 0.5, "5.": 5.0, "-1.5E+3": -1500.0, ".inf": math.inf, "-.Inf": -math.inf},
        **{"true": True, "FALSE": False, "~": None, "null": None, "": None},
    }
    text = ("10:40", "1:2:3", "1_000", "0b1", "yes", "no", "on", "Off", "y", "n", "2001-01-01", "=", "0o8", "1e")
    for written, meant in {**said, **{one: one for one in text}, "nullable": "nullable", "truth": "truth"}.items():
        found = parse_yaml(f"a: {written}", "x").value["a"]
        assert (type(found), found) == (type(meant), meant), written
    assert math.isnan(parse_yaml("a: .NaN", "x").value["a"])


@pytest.mark.parametrize("text", ["0640", "0o17", "1e-2", "10:40", "yes", "~", "", "null", "true", ".nan", "0b1"])
def test_what_is_written_as_text_is_read_as_text(text: str) -> None:
    written = flow({"a": [text, 1e-05, 1e30, 640, True]})
    assert parse_yaml(written, "x").value == {"a": [text, 1e-05, 1e30, 640, True]}
    assert yaml.safe_load(written)["a"][0] == text  # others read YAML 1.1


@pytest.mark.parametrize("what", PLACES)
def test_an_error_names_line_and_column(what: str, write: Path) -> None:
    edit, place = PLACES[what]
    with pytest.raises(ConfigError) as caught:
        load(write, edited(edit))
    assert caught.value.message.startswith(f"configs/tiny.yaml:{place}: ")


def test_text_that_is_not_utf_8_is_found(write: Path) -> None:
    with pytest.raises(ConfigError, match=r"configs/tiny.yaml:2:4: not UTF-8"):
        load(write, "a: é\nb: ".encode() + b"\xff")


def test_many_mistakes_are_listed_and_the_rest_counted(write: Path) -> None:
    wrong = ", ".join(str(n) for n in range(300, 310))
    with pytest.raises(ConfigError) as caught:
        load(write, edited(("[1, 2]", f"[{wrong}]")))
    lines = caught.value.message.splitlines()
    assert len(lines) == MAX_SHOWN + 1
    assert lines[-1] == "configs/tiny.yaml: and 4 more"


def test_what_cannot_be_built_may_be_excluded(write: Path) -> None:
    text = edited(
        ("precision: [fp32, int8]", "precision: [fp16, int8]"),
        ("targets:", "exclude: [{chip: bm1684, precision: fp16}, {batch: 2, precision: [int8, fp32]}]\ntargets:"),
    )
    assert [str(t) for t in load(write, text).targets] == [
        "bm1684_int8_1b",
        "bm1688_fp16_1b",
        "bm1688_fp16_2b",
        "bm1688_int8_1b",
    ]


def test_a_target_asked_for_twice_is_one_target_with_the_flags_of_both(write: Path) -> None:
    text = edited(("[1, 2]}", "[1, 2], deploy: [--quant_input]}")) + (
        "  - {chip: bm1688, precision: int8, deploy: [--high_precision, --quant_input]}\n"
    )
    model = load(write, text)
    assert len(model.targets) == len(set(model.targets)) == 8
    assert model.deploy_flags(parse("tiny.bm1688_int8_1b", "")) == ("--quant_input", "--high_precision")
    assert model.deploy_flags(parse("tiny.bm1688_int8_2b", "")) == ("--quant_input",)


def test_later_thresholds_override_earlier_ones_value_by_value(write: Path) -> None:
    rules = """selection}, thresholds: [
      {cosine: 0.11, sqnr: 1, iou: 0.12, missed: 0.13},
      {precision: int8, sqnr: 2, iou: 0.22, missed: 0.23},
      {chip: [bm1688, cv186x], iou: 0.32, missed: 0.33},
      {target: bm1688_int8_2b, missed: 0.43}]"""
    model = load(write, edited(("selection}", rules)))
    default = config.DEFAULT_THRESHOLDS["int8"]

    def limits(name: str) -> tuple[float | None, ...]:
        found = model.thresholds(parse(name, "tiny"))
        return found.cosine, found.sqnr, found.iou, found.missed, found.extra

    assert limits("bm1684_fp32_1b") == (0.11, 1, 0.12, 0.13, config.DEFAULT_THRESHOLDS["fp32"].extra)
    assert limits("bm1684_int8_1b") == (0.11, 2, 0.22, 0.23, default.extra)
    assert limits("bm1688_int8_1b") == (0.11, 2, 0.32, 0.33, default.extra)
    assert limits("bm1688_int8_2b") == (0.11, 2, 0.32, 0.43, default.extra)


def test_thresholds_without_rules_are_those_of_the_precision(write: Path) -> None:
    model = load(write)
    for target in model.targets:
        assert model.thresholds(target) == config.DEFAULT_THRESHOLDS[target.precision]
    assert set(config.DEFAULT_THRESHOLDS) == {"fp32", "fp16", "bf16", "int8", "int4"}


def test_a_table_for_a_target_wins_over_its_chips_and_floats_have_none(write: Path) -> None:
    text = edited(("verify:", "quantization: {tables: {bm1688: a.qtable, bm1688_int8_2b: b.qtable}}\nverify:"))
    model = load(write, text)
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
    assert list(at.models) == ["aaa", "tiny"] and not at.broken
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
