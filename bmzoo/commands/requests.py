"""Requests, the documents that tell a command what to do, joined with what the import knows of the model."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bmzoo.measure.model_facts import resolved_input


def read_request(folder: Path, name: str) -> dict[str, Any]:
    """A request whose `input`, if it has one, says all that the config may leave to the model's file."""
    request: dict[str, Any] = json.loads((folder / name).read_text(encoding="utf-8"))
    if request.get("input") is not None:
        request["input"] = resolved_input(request["input"], model_facts(folder))
    return request


def model_facts(folder: Path) -> dict[str, Any]:
    """`model.json` of the import."""
    told: dict[str, Any] = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    return told


def picture_size(request: Mapping[str, Any]) -> tuple[int, int]:
    """Height and width of what a network is fed, by a request that is read; zeros where it takes no picture."""
    section = request["input"]
    return (section["height"], section["width"]) if section is not None else (0, 0)
