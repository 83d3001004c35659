"""Which files of the folder `configs/` are configs."""

from pathlib import Path

from bmzoo.errors import ConfigError
from bmzoo.runtime.listing import is_stray

SUFFIX = ".yaml"


def is_config(name: str) -> bool:
    """Whether a file is a config, or meant to be one and named otherwise."""
    return Path(name).suffix.lower() in (SUFFIX, ".yml") and not is_stray(name)


def misnamed(path: Path, shown: str) -> ConfigError:
    """The error for one that is named otherwise: nobody would notice that it is passed over."""
    return ConfigError(
        f"{shown}: a config's name ends in {SUFFIX}: {path.name}", f"rename it to {path.stem}{SUFFIX}"
    )
