"""How long an artifact takes on a card, from what is kept of it."""

from collections.abc import Mapping
from typing import Any

from bmzoo.measure.latency import Latency, NoLatency, essentials, estimated
from bmzoo.store.local import Entry
from bmzoo.target import Target


def of_artifact(target: Target, told: Mapping[str, Any]) -> Latency | NoLatency:
    """Of a published artifact; `told`: its provenance, which is enough and quick to read."""
    compiler = str(told.get("toolchain", "a compiler that is not named")).partition(" (")[0]
    return estimated(target, told.get("profile", {}), told["facts"], compiler)


def of_step(target: Target, deploy: Entry, compiler: str) -> Latency | NoLatency:
    """Of what a deploy step made. `compiler`: the release, as a toolchain tells it."""
    profile, facts = deploy.read_json("profile.json"), deploy.read_json("facts.json")
    return estimated(target, essentials(profile), facts, compiler)
