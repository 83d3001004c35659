"""Layer-by-layer comparison of a lowered network with the float one, to find where quantization error comes in."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from bmzoo.measure.tensors import cosine, sqnr_db

Tensors = Mapping[str, NDArray[np.float32]]

# Noise powers add: a layer whose SQNR drops by 3 dB contributes as much noise as it receives.
OWN_NOISE_DB = 3.0
# Suffixes that lowering appends to the name of a tensor that it casts.
CASTS = ("_f32", "_f16", "_bf16", "_si8", "_ui8")
_OPERATION = re.compile(r'^\s*(?:(%\w+)(?::\d+)? = )?"([\w.]+)"\(([^)]*)\).*loc\(#(loc\d*)\)$', re.MULTILINE)
_NAMES = re.compile(r"^#(loc\d*) = loc\((.*)\)$", re.MULTILINE)
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"')
_ALIAS = re.compile(r"#(loc\d*)")
_OPERAND = re.compile(r"(%\w+)(?:#(\d+))?")


@dataclass(frozen=True)
class Row:
    """One layer: similarity of its output to the float one, and its drop in SQNR below the worst of its inputs.

    `lost_db` is inf for a noisy layer with exact inputs, 0 for a layer that is no worse than its inputs.
    """

    layer: str
    cosine: float
    sqnr_db: float
    lost_db: float


@dataclass(frozen=True)
class Drift:
    """The first layer at fault with its metrics, or None and the worst layer's; all compared layers in order.

    `gradual`: no single layer contributes more noise than it receives; `layer` is then where the accumulated
    error crosses the limit.
    """

    layer: str | None
    cosine: float
    sqnr_db: float
    gradual: bool
    rows: tuple[Row, ...]


class Layers(Protocol):
    """The part of a session that `compare_layers` needs; implemented by MlirSession."""

    @property
    def tensor_names(self) -> tuple[str, ...]: ...

    def tensors(
        self, feeds: Mapping[str, NDArray[Any]], names: Sequence[str] | None = None
    ) -> dict[str, NDArray[np.float32]]: ...


def first_drift(
    reference: Tensors,
    test: Tensors,
    order: Sequence[str],
    inputs: Mapping[str, Sequence[str]] | None = None,
    limit_cosine: float | None = None,
    limit_sqnr: float | None = None,
) -> Drift:
    """The first layer of `order` whose output is below a limit because of noise that the layer itself adds.

    Below a limit: cosine below `limit_cosine` or SQNR below `limit_sqnr` dB; a non-finite value is below every
    limit. Noise of its own: its SQNR is at least 3 dB below the lowest SQNR of its `inputs` (layer -> layers
    that it reads, see `layer_inputs`; by default the preceding layer), so a layer that only propagates noise is
    not at fault. Where error accumulates past a limit without such a layer, the first layer below the limit is
    named and `gradual` set. Layers that `test` lacks, or has in another shape, are skipped, and their inputs
    count as those of their readers. `order` must be topological: a layer comes after its inputs.
    """
    rows: dict[str, Row] = {}
    sources = _chain(order) if inputs is None else inputs
    for layer in order:
        value = _matching(layer, reference, test)
        if value is not None:
            given = min((rows[name].sqnr_db for name in _measured(layer, sources, rows)), default=math.inf)
            rows[layer] = _row(layer, reference[layer], value, given)

    def under(row: Row) -> bool:
        near = limit_cosine is None or row.cosine >= limit_cosine
        return not (near and (limit_sqnr is None or row.sqnr_db >= limit_sqnr) and math.isfinite(row.cosine))

    low = [row for row in rows.values() if under(row)]
    own = [row for row in low if row.lost_db >= OWN_NOISE_DB]
    worst = min(rows.values(), key=lambda row: row.sqnr_db, default=Row("", math.nan, math.nan, math.nan))
    named = (own or low or [worst])[0]
    return Drift(
        named.layer if low else None, named.cosine, named.sqnr_db, bool(low and not own), tuple(rows.values())
    )


def compare_layers(
    top: Layers,
    lowered: Layers,
    feeds: Mapping[str, NDArray[Any]],
    inputs: Mapping[str, Sequence[str]] | None = None,
    limit_cosine: float | None = None,
    limit_sqnr: float | None = None,
) -> Drift:
    """`first_drift` of a lowered MLIR against the float one it came from, on the same `feeds`.

    Holds all tensors of both: 220 MB an image in a RetinaFace of 640x640.
    """
    wanted = [name for name in lowered.tensor_names if _stem(name) in top.tensor_names or name in top.tensor_names]
    test = lowered.tensors(feeds, wanted)
    return first_drift(top.tensors(feeds), test, top.tensor_names, inputs, limit_cosine, limit_sqnr)


def layer_inputs(mlir: Path) -> dict[str, tuple[str, ...]]:
    """The layers that each layer of an .mlir file reads, without weights, in topological order."""
    text = mlir.read_text(encoding="utf-8")
    located = {match[1]: match[2] for match in _NAMES.finditer(text)}
    made: dict[str, list[str]] = {}  # SSA value -> names of its results
    found: dict[str, tuple[str, ...]] = {}
    for match in _OPERATION.finditer(text):
        value, kind, operands, location = match.groups()
        names = _names(location, located)
        if value is None or not names or kind.endswith(".Weight"):
            continue
        made[value] = names
        read = [(made.get(operand), int(index or 0)) for operand, index in _OPERAND.findall(operands)]
        sources = tuple(dict.fromkeys(of[index] for of, index in read if of is not None and index < len(of)))
        found.update(dict.fromkeys(names, sources))
    return found


def _names(location: str, located: Mapping[str, str]) -> list[str]:
    """The names behind a location: one, or one for each result of an operation (`fused`)."""
    text = located.get(location, "")
    quoted = _QUOTED.findall(text)
    return quoted or [name for alias in _ALIAS.findall(text) for name in _names(alias, located)]


def _row(layer: str, reference: NDArray[np.float32], test: NDArray[np.float32], given: float) -> Row:
    sqnr = sqnr_db(reference, test)
    sqnr = -math.inf if math.isnan(sqnr) else sqnr
    lost = 0.0 if sqnr >= given else given - sqnr
    return Row(layer, cosine(reference, test), sqnr, lost)


def _matching(layer: str, reference: Tensors, test: Tensors) -> NDArray[np.float32] | None:
    """The tensor of that layer in `test`: lowering keeps names, but may leave only a cast copy."""
    if layer not in reference:
        return None
    for name in (layer, *(layer + cast for cast in CASTS)):
        if name in test and test[name].shape == reference[layer].shape:
            return test[name]
    return None


def _measured(layer: str, inputs: Mapping[str, Sequence[str]], rows: Mapping[str, Row]) -> set[str]:
    """The nearest measured ancestors of `layer`, through layers that were not measured."""
    found: set[str] = set()
    seen: set[str] = set()
    waiting = list(inputs.get(layer, ()))
    while waiting:
        name = waiting.pop()
        if name in rows:
            found.add(name)
        elif name not in seen:
            seen.add(name)
            waiting += inputs.get(name, ())
    return found


def _chain(order: Sequence[str]) -> dict[str, tuple[str, ...]]:
    return {layer: (order[i - 1],) for i, layer in enumerate(order) if i}


def _stem(name: str) -> str:
    return next((name.removesuffix(cast) for cast in CASTS if name.endswith(cast)), name)
