"""What a draft looks like as YAML: read back it is the same, with its comments beside or above."""

import pytest

from bmzoo.config.yamlfile import parse_yaml
from bmzoo.config_import.draft import Draft
from bmzoo.config_import.yaml_text import yaml_text


def draft() -> Draft:
    found = Draft("net", "Written by `./doit new` from net.onnx.")
    found.put("targets", [{"chip": ["bm1684x", "bm1688"], "precision": "fp16", "batch": 1}])
    found.put("weights", [{"name": "given", "file": "a, b [1].onnx", "sha256": "0" * 64}])
    found.took("input.height", 640, "fixed in the file", "a comment")
    found.guessed("input.mean", [123.675, 116.28, 103.53], "a long reason " * 12)
    found.unknown("input.scale", "what: it is, multiplied with # and more")
    found.put(
        "verify.images", {"folder": "x", "count": 12, "first": [f"a picture {index}.jpg" for index in range(12)]}
    )
    return found


def test_it_reads_back_the_same() -> None:
    assert parse_yaml(yaml_text(draft()), "").value == draft().config


def test_sections_come_in_the_order_of_the_schema() -> None:
    keys = [line.partition(":")[0] for line in yaml_text(draft()).splitlines() if line[:1].isalpha()]
    assert keys == ["weights", "input", "verify", "targets"]


def test_comments_stand_beside_where_there_is_room_and_else_above() -> None:
    lines = yaml_text(draft(), "schema.json").splitlines()
    assert lines[0] == "# yaml-language-server: $schema=schema.json"
    assert "  height: 640  # a comment" in lines
    assert lines[lines.index("  mean: [123.675, 116.28, 103.53]") - 1].startswith("  # ")
    assert max(map(len, lines)) <= 112
    assert "  - {chip: [bm1684x, bm1688], precision: fp16, batch: 1}" in lines


@pytest.mark.parametrize("text", ["yes", "0640", "a: b", "# no", "- x", "é", "a\tb", "[x", "null", "TODO: say it"])
def test_texts_of_all_kinds_survive(text: str) -> None:
    found = Draft("net", "here")
    found.put("decoder.kind", text)
    found.put("targets", [{"chip": text, "deploy": [text]}])
    assert parse_yaml(yaml_text(found), "").value == found.config


def test_a_line_is_said_once() -> None:
    found = Draft("net", "here")
    for _ in range(2):
        found.dropped("--x", "no")
    assert [str(remark) for remark in found.remarks] == ["dropped  --x: no"]
