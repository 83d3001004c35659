"""The imported model, `models/onnx/<model>.<weights>.onnx`."""

from bmzoo.config.model import Model
from bmzoo.config.weights import Weights
from bmzoo.plan.shared import import_step
from bmzoo.system import files
from bmzoo.workspace import Workspace


def import_model(at: Workspace, model: Model) -> None:
    """Import the model and publish it. Raises BmzooError."""
    at.weights.announce(model)
    weights = at.weights.chosen(model)
    entry = at.builder(model).run(import_step(model, weights))
    if not is_source(at, model, weights):
        files.copy(entry.path("model.onnx"), at.layout.onnx(model.name, weights.name))


def is_current(at: Workspace, model: Model) -> bool:
    """Whether what is published is what an import gives now."""
    weights = at.weights.chosen(model)
    entry = at.builder(model).find(import_step(model, weights))
    path = at.layout.onnx(model.name, weights.name)
    return entry is not None and (
        is_source(at, model, weights) or at.digests.holds(path, entry.files["model.onnx"])
    )


def is_source(at: Workspace, model: Model, weights: Weights) -> bool:
    """Whether the published file is what the model is imported from, and so never written."""
    path = at.layout.onnx(model.name, weights.name)
    found = at.sources(model).find(weights.file)
    return found is not None and path.exists() and found.samefile(path)
