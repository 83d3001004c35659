"""`infer`: runs inputs through a lowered MLIR."""

from pathlib import Path

import numpy as np

from bmzoo.runtime.engines.registry import open_session
from bmzoo.runtime.engines.session import as_taken
from bmzoo.runtime.engines.simulate import write_arrays


def run(folder: Path, args: tuple[str, ...]) -> None:
    """args: MLIR, inputs npz, outputs npz to write. Raises SessionError."""
    session = open_session(folder / args[0], engine="mlir", log=folder / "engine.log")
    try:
        with np.load(folder / args[1], allow_pickle=False) as archive:
            outputs = session.run(as_taken(dict(archive.items()), session.inputs))
    finally:
        session.close()
    write_arrays(folder / args[2], outputs)
