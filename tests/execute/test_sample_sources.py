"""Samples of inputs as sources of decisions: which files there are, and what is in them."""

from dataclasses import replace
from pathlib import Path

from conftest import Project

from bmzoo.config.inputs import TensorInput
from bmzoo.plan.shared import calibrate_step


def facts(project: Project) -> dict[str, str]:
    at = project.open()
    model = at.models["tiny"]
    weights = at.weights.chosen(model)
    given = {"state": TensorInput(samples="states")}
    fed = replace(model, config=model.config.model_copy(update={"inputs": given}))
    step = calibrate_step(fed, weights)
    return dict(at.builder(model).resolver.facts(step, {}))


def test_thresholds_are_derived_from_every_sample(project: Project) -> None:
    folder: Path = project.data / "states"
    folder.mkdir()
    (folder / "a.npy").write_bytes(b"one")
    first = facts(project)
    assert first["given/0"].startswith("1, sha256 of their digests: ")
    (folder / "b.npy").write_bytes(b"two")
    (folder / "a.npy").rename(folder / "c.npy")
    assert facts(project)["given/0"].startswith("2, ")
    assert facts(project)["given/0"] != first["given/0"]
