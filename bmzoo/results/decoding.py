"""A config's decoder for use outside of steps: with the names that its files hold, and where its program lies."""

import os
from pathlib import Path
from typing import Any

from bmzoo.config.model import Model
from bmzoo.plan.decoding import named_files
from bmzoo.plan.step import File
from bmzoo.runtime.decoders.names import CHARACTERS, names_in, read_names
from bmzoo.workspace import Workspace


def told_decoder(at: Workspace, model: Model, folder: Path) -> dict[str, Any]:
    """The section as a document in `folder` has it. Raises SourceError for files that are not there."""
    decoder = model.config.decoder
    told = decoder.model_dump()
    for key, name in named_files(decoder).items():
        path = at.sources(model).files(File(name))[0]
        told[key] = os.path.relpath(path, folder) if key == "plugin" else list(read_names(path))
    if told.get("characters") == ():
        told["characters"] = _own_characters(at, model)
    return told


def _own_characters(at: Workspace, model: Model) -> list[str]:
    """Those that the ONNX file lists itself: an artifact has no place for them."""
    from bmzoo.runtime.engines.session import OnnxSession  # `list` and its like have no use for numpy

    weights = at.weights.chosen(model)
    if weights.architecture is not None:
        return []
    path = at.sources(model).files(File(weights.file, weights.sha256))[0]
    session = OnnxSession(path, threads=1)
    try:
        return list(names_in(session.metadata.get(CHARACTERS, "")))
    finally:
        session.close()
