"""The doit task that lists committed decisions."""

from bmzoo.errors import ConfigError
from bmzoo.results.decisions import Listed, listing
from bmzoo.tasks.guard import Task, guarded
from bmzoo.tasks.row import Context


def decisions(context: Context) -> Task:
    """List decisions with what each is worth; under locked=yes one that is not current is a failure."""
    at = context.workspace

    def show() -> None:
        found = list(listing(at))
        at.report.say("\n".join(_line(one, at.layout.shown(one.path)) for one in found) or "no decisions")
        bad = [one for one in found if one.sound is False]
        if bad and at.options.locked:
            commands = dict.fromkeys(f"./doit {one.task} weights={one.weights}" for one in bad)
            raise ConfigError(
                f"{len(bad)} of {len(found)} decisions are not current, and locked=yes", "; ".join(commands)
            )

    return {"actions": [guarded(show)], "verbosity": 2}


def _line(one: Listed, shown: str) -> str:
    return f"{shown}: {one.worth}"
