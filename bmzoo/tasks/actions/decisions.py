"""What `decisions` does."""

from bmzoo.errors import ConfigError
from bmzoo.results.decisions import Listed, listing
from bmzoo.workspace import Workspace


def run_decisions(at: Workspace) -> None:
    """List committed decisions. Raises ConfigError under locked=yes where one is not current."""
    found = list(listing(at))
    at.report.say("\n".join(_line(one, at.layout.shown(one.path)) for one in found) or "no decisions")
    bad = [one for one in found if one.sound is False]
    if bad and at.options.locked:
        commands = dict.fromkeys(f"./doit {one.task} weights={one.weights}" for one in bad)
        raise ConfigError(
            f"{len(bad)} of {len(found)} decisions are not current, and locked=yes", "; ".join(commands)
        )


def _line(one: Listed, shown: str) -> str:
    return f"{shown}: {one.worth}"
