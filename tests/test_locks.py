"""The locks of what is installed."""

import re
from pathlib import Path

import pytest
from bootstrap_module import ROOT, bootstrap


def names(path: Path) -> list[str]:
    lines = [line.split("#")[0].strip() for line in path.read_text().splitlines()]
    return [re.split(r"[=<>]", line)[0].strip().lower().replace("_", "-") for line in lines if line]


@pytest.mark.parametrize("name", ["requirements", "requirements-dev"])
def test_the_lock_is_complete_hashed_and_names_no_index(name: str) -> None:
    text = (ROOT / f"{name}.lock").read_text()
    lines = bootstrap.requirements(text, True)
    assert all(re.fullmatch(r"[a-z0-9-]+==[0-9.]+( --hash=sha256:[0-9a-f]{64})+", line) for line in lines)
    assert lines == sorted(lines)
    assert "://" not in text
    assert sorted(names(ROOT / f"{name}.in")) == sorted(line.split("==")[0] for line in lines)
    for pin in re.findall(r"^(\S+==\S+)$", (ROOT / f"{name}.in").read_text(), re.MULTILINE):
        assert any(line.startswith(pin.replace("_", "-") + " ") for line in lines)


def test_the_two_locks_share_no_package() -> None:
    assert not set(names(ROOT / "requirements.lock")) & set(names(ROOT / "requirements-dev.lock"))
