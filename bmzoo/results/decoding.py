"""A config's decoder for use outside of steps: with the names that its files hold, and where its program lies."""

import os
from pathlib import Path
from typing import Any

from bmzoo.config.model import Model
from bmzoo.plan.decoding import named_files
from bmzoo.plan.step import File
from bmzoo.runtime.decoders.names import read_names
from bmzoo.workspace import Workspace


def told_decoder(at: Workspace, model: Model, folder: Path) -> dict[str, Any]:
    """The section as a document in `folder` has it. Raises SourceError for files that are not there."""
    decoder = model.config.decoder
    told = decoder.model_dump()
    for key, name in named_files(decoder).items():
        path = at.sources(model).files(File(name))[0]
        told[key] = os.path.relpath(path, folder) if key == "plugin" else list(read_names(path))
    return told
