"""The npz files in which steps pass arrays to each other."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bmzoo.errors import SourceError


def arrays(path: Path) -> dict[str, NDArray[np.float32]]:
    """The arrays of an npz, in file order. Raises SourceError."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except (OSError, ValueError) as error:
        raise SourceError(f"{path.name}: cannot be read: {error}") from None
