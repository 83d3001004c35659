import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from manifests import artifact

from bmzoo.errors import SourceError
from bmzoo.release.manifest import ZooManifest, json_schema, manifest_json, read_manifest
from bmzoo.system.text import printable

ROOT = Path(__file__).parents[2]


def edited(**more: Any) -> str:
    """A manifest of one artifact with some of its keys set to something else."""
    raw = json.loads(manifest_json(ZooManifest(artifacts=(artifact(),))))
    raw["artifacts"][0] |= more
    return json.dumps(raw)


def test_what_is_written_reads_back_and_is_the_same_bytes_again() -> None:
    made = ZooManifest(
        artifacts=(artifact(), artifact(precision="fp32")), broken={"other": "why"}, tools={"t": ("1", "2")}
    )
    assert read_manifest(manifest_json(made), "zoo.json") == made
    assert manifest_json(read_manifest(manifest_json(made), "zoo.json")) == manifest_json(made)


def test_the_schema_for_other_programs_is_current() -> None:
    assert (ROOT / "configs" / "manifest.schema.json").read_text() == json_schema(), (
        "python -m bmzoo.release.manifest > configs/manifest.schema.json"
    )


WRONG = [
    ({"sha256": "b" * 63}, "artifacts[0].sha256: string should match pattern"),
    ({"sha256": "A" * 64}, "artifacts[0].sha256: string should match pattern"),
    ({"sha256": None}, "sha256 and size go together"),
    ({"sha256": None, "size": None}, "sha256 is null, and the status is verified"),
    ({"size": -1}, "artifacts[0].size: input should be greater than or equal to 0: -1"),
    ({"size": "1"}, "artifacts[0].size: input should be a valid integer: 1"),
    ({"file": "../../etc/passwd"}, "file is not that of the target, BM1688/m_int8_1b.bmodel: ../../etc/passwd"),
    ({"file": "/etc/passwd"}, "file is not that of the target"),
    ({"file": "BM1688/m_int8_1b.bmodel\n0  x"}, "artifacts[0].file: string should match pattern"),
    ({"model": "../m"}, "artifacts[0].model: string should match pattern"),
    ({"estimate": {"ms": 2.0, "low": 2.1, "high": 3.0}}, "ms is not between low and high: 2.0 in 2.1 to 3.0"),
    (
        {"estimate": {"ms": 2.0, "low": 0.0, "high": 3.0}},
        "artifacts[0].estimate.low: input should be greater than 0",
    ),
    ({"estimate": {"ms": 2.0, "low": 1.0}}, "artifacts[0].estimate: missing key: high"),
    ({"no_estimate": "a\nb"}, "artifacts[0].no_estimate: string should match pattern"),
    ({"chip": "bm9999"}, "artifacts[0].chip: input should be"),
    ({"cause": "\x1b[2Jgone"}, "artifacts[0].cause: string should match pattern"),
    ({"status": "fine"}, "artifacts[0].status: input should be"),
    ({"sise": 3}, "artifacts[0]: unknown key: sise"),
    ({"cost": 1e3}, "artifacts[0].cost: input should be a valid integer"),
    (
        {"accuracy": {"pictures": 1, "ap": {"easy": 1.5}, "onnx": {}}},
        "artifacts[0].accuracy.ap.easy: input should be",
    ),
    ({"accuracy": {"pictures": 1, "ap": {}}}, "artifacts[0].accuracy: missing key: onnx"),
    ({"accuracy": {"pictures": 1, "onnx": {}}}, "artifacts[0].accuracy: needs either ap, or metric and figures"),
    (
        {"accuracy": {"pictures": 1, "metric": "COCO", "ap": {}, "onnx": {}}},
        "artifacts[0].accuracy: needs either ap, or metric and figures",
    ),
]


@pytest.mark.parametrize(("more", "said"), WRONG)
def test_an_edited_manifest_is_refused_where_it_is_wrong(more: dict[str, Any], said: str) -> None:
    with pytest.raises(SourceError) as caught:
        read_manifest(edited(**more), "old/zoo.json")
    assert caught.value.message.startswith("old/zoo.json: ") and said in caught.value.message
    assert caught.value.hint and caught.value.message.isprintable()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "not JSON"),
        ("[]", "no schema_version"),
        ('{"artifacts": []}', "no schema_version"),
        ('{"schema_version": 2, "artifacts": 3}', "schema_version: this bmzoo reads 1, and not: 2"),
        ('{"schema_version": true, "artifacts": []}', "schema_version: this bmzoo reads 1, and not: True"),
        ('{"schema_version": 1}', "missing key: artifacts"),
        ('{"schema_version": 1, "artifacts": [], "artifacts": []}', "not JSON: there twice: artifacts"),
        ('{"schema_version": 1, "artifacts": NaN}', "null says that a figure is missing): NaN"),
        ("[" * 200_000, "nested too deeply"),
        ('{"schema_version": ' + "9" * 5000 + "}", "not JSON"),
    ],
)
def test_what_is_no_manifest_is_said(text: str, said: str) -> None:
    with pytest.raises(SourceError) as caught:
        read_manifest(text, "zoo.json")
    assert caught.value.message.startswith("zoo.json: ") and said in caught.value.message


def test_a_figure_that_is_infinite_is_refused() -> None:
    text = edited().replace('"sqnr_db": 12.5', '"sqnr_db": 1e999')
    with pytest.raises(SourceError, match=r"artifacts\[0\].agreement.sqnr_db: input should be a finite number"):
        read_manifest(text, "zoo.json")


def test_a_target_that_is_there_twice_is_refused() -> None:
    raw = json.loads(edited())
    raw["artifacts"] *= 2
    with pytest.raises(SourceError, match="there twice: BM1688/m_int8_1b.bmodel"):
        read_manifest(json.dumps(raw), "zoo.json")


@given(st.text())
def test_what_is_made_printable_fits_into_a_manifest(text: str) -> None:
    assert artifact(cause=printable(text)).cause == printable(text)


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused(text: str) -> None:
    with pytest.raises(SourceError):
        read_manifest(text, "zoo.json")
