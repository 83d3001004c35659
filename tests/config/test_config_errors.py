"""What is wrong with a config: where, what, and what is allowed."""

import re
from pathlib import Path

import pytest
from tiny_config import DIGEST, edited, load

from bmzoo.config.messages import MAX_SHOWN
from bmzoo.errors import ConfigError

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
    "missing key": (("chip: [bm1684, bm1688], ", ""), ": targets[0]: missing key: chip", "configs/"),
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
    "fp16 that would be bf16": (
        ("{chip: [bm1684, bm1688], precision: [fp32, int8],", "{chip: cv181x, precision: fp16,"),
        ": targets[0]: cv181x_fp16_1b: cv181x has no fp16 units: the compiler makes bf16 of it without a word; "
        "it has bf16, int8",
        "nearest valid choice: cv181x_bf16_1b",
    ),
    "a chip that nothing simulates": (
        ("[bm1684, bm1688]", "[bm1684, sg2262]"),
        ": targets[0]: sg2262_fp32_1b: it compiles, and nothing here runs it: ",
        "`unverified: true` in this entry builds it all the same",
    ),
    "unverified of what can be verified": (
        ("[1, 2]}", "1, unverified: true}"),
        ": targets[0]: unverified is for chips that nothing simulates, not for bm1684, bm1688",
        "",
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
    "checkpoint without architecture": (
        ("model.onnx", "model.pth"),
        "weights[0]: model.pth: needs architecture",
        "",
    ),
    "caffemodel without prototxt": (("model.onnx", "model.caffemodel"), "model.caffemodel: needs prototxt", ""),
    "prototxt of an ONNX file": (
        ("given, file", f"given, prototxt: {{file: a.prototxt, sha256: {'a' * 64}}}, file"),
        "model.onnx: leave out prototxt: it is of other files",
        "",
    ),
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
    "neither checkpoint nor onnx": (
        ("model.onnx", "model.zip"),
        ": weights[0]: no ONNX file, no checkpoint (.pth) and no .caffemodel",
        "",
    ),
}


@pytest.mark.parametrize("name", ERRORS)
def test_an_error_says_where_what_and_what_is_allowed(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # where a command smuggled into the YAML would leave its trace
    edit, expected, hint = ERRORS[name]
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, edited(edit))
    assert re.match(r"configs/tiny\.yaml:\d+:\d+: ", caught.value.message)
    assert expected in caught.value.message
    assert hint in caught.value.hint
    assert [p.name for p in tmp_path.iterdir()] == ["tiny.yaml"]


# What is edited in a good config, into what; where the part that is wrong is written, or what it belongs into.
PLACES = {
    "a key": (("height: 32", "heigth: 32"), "3:9"),
    "the section of a missing key": (("kind: none", "nms: 0.3"), "4:1"),
    "the file, for a section that is missing": (("verify: {images: {folder: pictures/selection}}\n", ""), "1:1"),
    "a value by its key": (("width: 32", "width: wide"), "3:21"),
    "an item": (("fp32, int8", "fp32, int7"), "8:48"),
    "one value for a list": (("[bm1684, bm1688]", "bm1691"), "8:6"),
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


@pytest.mark.parametrize("what", PLACES)
def test_an_error_names_line_and_column(what: str, tmp_path: Path) -> None:
    edit, place = PLACES[what]
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, edited(edit))
    assert caught.value.message.startswith(f"configs/tiny.yaml:{place}: ")


def test_many_mistakes_are_listed_and_the_rest_counted(tmp_path: Path) -> None:
    wrong = ", ".join(str(n) for n in range(300, 310))
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, edited(("[1, 2]", f"[{wrong}]")))
    lines = caught.value.message.splitlines()
    assert len(lines) == MAX_SHOWN + 1
    assert lines[-1] == "configs/tiny.yaml: and 4 more"
