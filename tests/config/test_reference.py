"""docs/config.md and configs/schema.json: made from the schema, current, and with a word on every key."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bmzoo.config.descriptions import described_schema
from bmzoo.config.project import ZooConfig
from bmzoo.config.reference import reference
from bmzoo.config.schema import ModelConfig, json_schema

ROOT = Path(__file__).parents[2]


def keys(schema: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, section in {"": schema, **schema["$defs"]}.items():
        for key, value in section["properties"].items():
            yield f"{name}.{key}", value


def test_the_reference_is_current() -> None:
    assert (ROOT / "docs/config.md").read_text() == reference(), "python -m bmzoo.config.reference > docs/config.md"


def test_the_schema_for_editors_is_current() -> None:
    assert (ROOT / "configs/schema.json").read_text() == json_schema(), (
        "python -m bmzoo.config.schema > configs/schema.json"
    )


def test_every_key_is_described_in_a_sentence() -> None:
    found = [*keys(described_schema(ModelConfig)), *keys(described_schema(ZooConfig))]
    assert len(found) > 80
    assert [name for name, value in found if not value.get("description", "").endswith(".")] == []


def test_every_key_has_a_row_and_every_section_its_place() -> None:
    page = reference()
    for schema in (described_schema(ModelConfig), described_schema(ZooConfig)):
        for name, value in keys(schema):
            key = name.partition(".")[2]
            assert any(
                row.startswith(f"| `{key}` |") and row.endswith(f"| {value['description']} |")
                for row in page.splitlines()
            ), name
    assert "### `quantization.search`, `quantization.chips.*`, `quantization.targets.*`" in page
    assert "| `batch` | whole number, 1 to 256, or a list of such | `[1]` |" in page
    assert "| `cost` | number, 0 to 1,000, or `null` | `5.0` |" in page


def test_an_editor_sees_what_a_key_means_where_sections_are_shared() -> None:
    schema = json.loads(json_schema())
    assert schema["properties"]["verify"]["$ref"] == "#/$defs/Verify"
    assert schema["properties"]["verify"]["description"].startswith("When an artifact")
    assert schema["$defs"]["Rule"]["properties"]["sqnr"]["description"].endswith("in dB.")
