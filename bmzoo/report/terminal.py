"""Why a target is slow, as lines for the terminal. Pure."""

from collections.abc import Collection

from bmzoo.errors import legible
from bmzoo.measure.latency import Latency, NoLatency
from bmzoo.report.layer_hints import hints
from bmzoo.report.profiles import BOUNDS, NoProfile, StoredProfile
from bmzoo.system.text import aligned
from bmzoo.target import Target

MAX_NAME = 44


def slow_layers(
    name: str,
    target: Target,
    profile: StoredProfile | NoProfile,
    floats: Collection[str],
    cost: int | None,
    estimate: Latency | NoLatency,
) -> str:
    """The ten costliest layers, or why they are not known. `estimate`: of the whole on a card."""
    if isinstance(profile, NoProfile):
        return _unknown(name, profile, cost)
    found = hints(profile, target, floats)
    engine = {"arithmetic": "arithmetic", "memory": "memory", "launch": "memory"}
    several = len(profile.cores) > 1
    columns: dict[str, list[str]] = {
        "layer": [_short(hint.layer.layer) for hint in found],
        **({"core": [str(hint.layer.core) for hint in found]} if several else {}),
        "engine": [engine[hint.layer.bound] for hint in found],
        "ms": [f"{hint.layer.milliseconds:.3f}" for hint in found],
        "share": [f"{hint.share:.0%}" for hint in found],
        "bound by": [hint.layer.bound for hint in found],
    }
    heading, *rows = aligned(columns, {"layer", "engine", "bound by"})
    used = [bound for bound in BOUNDS if bound in columns["bound by"]]
    lines = [
        *_heading(name, target, profile),
        _on_a_card(estimate),
        "",
        heading,
        *(line for row, hint in zip(rows, found, strict=True) for line in (row, f"    {hint.helps}")),
        "",
        *(f"{bound}: {BOUNDS[bound]}" for bound in used),
    ]
    return legible("\n".join(lines)) + "\n"


def _heading(name: str, target: Target, profile: StoredProfile) -> list[str]:
    pictures = f"{target.batch} pictures" if target.batch > 1 else "one picture"
    lines = [f"{name}: {profile.milliseconds:.3f} ms for {pictures}, by the compiler's own profile"]
    for number, core in enumerate(profile.cores):
        which = f"core {number}: " if len(profile.cores) > 1 else ""
        share = f"arithmetic {core.arithmetic:.3f} ms, memory {core.memory:.3f} ms"
        lines.append(f"{which}{share}, at the same time where it can; {core.bytes / 1e6:.1f} MB moved")
    return lines


def _on_a_card(estimate: Latency | NoLatency) -> str:
    if isinstance(estimate, NoLatency):
        return f"on a card: not known: {estimate.why}"
    return f"on a card: {estimate} for one picture"


def _unknown(name: str, profile: NoProfile, cost: int | None) -> str:
    said = f"{name}: no profile: {profile.why}\n"
    if cost is None:
        return said
    return f"{said}its cost for a run, of all layers together: {cost:,} cycles, says the compiler\n"


def _short(layer: str) -> str:
    return layer if len(layer) <= MAX_NAME else f"{layer[: MAX_NAME - 3]}..."
