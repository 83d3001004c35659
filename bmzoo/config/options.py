"""Words of the command line that steer everything: `weights=NAME echo=yes scheduler=ADDRESS locked=yes`."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Options:
    """`scheduler`: where steps run. `locked`: a decision that is not committed and current is an error.

    `decided_with`: the release whose committed decisions count, where that is not the toolchain's own.
    """

    weights: str | None = None
    echo: bool = False  # show what the tools print
    scheduler: str | None = None
    locked: bool = False
    decided_with: str = ""
