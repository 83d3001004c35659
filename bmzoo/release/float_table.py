"""The layers of a published artifact that stay in float, and why: read from store and checkout, never derived."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bmzoo.plan.fingerprint import fingerprint
from bmzoo.quantization import tables
from bmzoo.store.local import Store
from bmzoo.target import Target
from bmzoo.workspace import Workspace

_TABLE = "mixed.qtable"
_CHOICE = "choice.json"
_INTEGERS = ("INT8", "INT4")
# Of a step in a provenance: what is not a fact that its decision is derived from.
_BESIDE_FACTS = ("fingerprint", "seconds", "files")


@dataclass(frozen=True)
class FloatLayer:
    """`loss`: of the network with this layer alone in INT8; None and an empty `why` where that is not known."""

    layer: str
    mode: str
    loss: float | None = None
    why: str = ""


def float_table(at: Workspace, target: Target, told: Mapping[str, Any]) -> tuple[FloatLayer, ...] | None:
    """The float layers of an artifact by its provenance; empty without any, None where the table is gone."""
    wanted = told["steps"]["deploy"]["inputs"].get(_TABLE)
    if wanted is None:
        return ()
    store = Store(at.layout.build, stamping=False)
    for path in _places(at, store, target, told):
        try:
            if at.digests.holds(path, wanted):
                rows = tables.float_layers(path.read_text(encoding="utf-8"))
                return _with_reasons(rows, _reasons(store, told))
        except (OSError, ValueError):
            continue
    return None


def _places(at: Workspace, store: Store, target: Target, told: Mapping[str, Any]) -> Iterator[Path]:
    cut = told["steps"].get("cut")
    entry = store.lookup(cut["fingerprint"]) if cut is not None else None
    if entry is not None and _TABLE in entry.files:
        yield entry.path(_TABLE)
    model = at.models.get(target.model)
    named = model.table(target) if model is not None else None
    found = at.sources(model).find(named) if model is not None and named is not None else None
    if found is not None:
        yield found


def _reasons(store: Store, told: Mapping[str, Any]) -> Mapping[str, Mapping[str, Any]]:
    """Layer -> its row of the search, where that ran here; a table from the checkout says no reasons."""
    cut = told["steps"].get("cut")
    if cut is None:
        return {}
    derived = store.lookup(fingerprint({key: value for key, value in cut.items() if key not in _BESIDE_FACTS}))
    if derived is None or _CHOICE not in derived.files:
        return {}
    return {row["layer"]: row for row in derived.read_json(_CHOICE)["rows"]}


def _with_reasons(
    rows: tuple[tuple[str, str], ...], reasons: Mapping[str, Mapping[str, Any]]
) -> tuple[FloatLayer, ...]:
    return tuple(
        FloatLayer(layer, mode, reasons.get(layer, {}).get("loss"), str(reasons.get(layer, {}).get("why", "")))
        for layer, mode in rows
        if mode not in _INTEGERS
    )
