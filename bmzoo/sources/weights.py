"""Choice of a model's weights: the first in the config that are available as pinned, or downloadable."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from bmzoo.config.model import Model, using
from bmzoo.config.weights import Weights
from bmzoo.errors import BmzooError, SourceError
from bmzoo.plan.shared import external_data as external_data_of
from bmzoo.plan.step import ExternalData, File
from bmzoo.sources.external_data import external_data
from bmzoo.sources.lookup import Sources

# Downloads a file by URL and sha256. Raises SourceError.
Fetch = Callable[[str, str], object]


@dataclass(frozen=True)
class ChosenWeights:
    """The weights in use, and why those before them in the config are not, a line each."""

    weights: Weights
    problems: tuple[str, ...] = ()


class Voice(Protocol):
    """Says to people which weights are used."""

    def warn(self, text: str) -> None: ...

    def say(self, text: str) -> None: ...


@dataclass
class WeightsInUse:
    """The weights of each model in one run, found once. Safe for threads.

    `wanted`: those named on the command line; `preferred`: those that the project prefers, where a model has them.
    `sources`: of a model. `fetch`: None without downloads.
    """

    wanted: str | None
    preferred: str | None
    sources: Callable[[Model], Sources]
    digest: Callable[[Path], str]
    fetch: Fetch | None
    report: Voice
    _found: dict[str, ChosenWeights | BmzooError] = field(init=False, default_factory=dict)  # by model
    _announced: set[str] = field(init=False, default_factory=set)  # models
    _lock: threading.Lock = field(init=False, default_factory=threading.Lock)

    def chosen(self, model: Model) -> Weights:
        """The weights in use, fetched if need be. Raises SourceError when none are here."""
        with self._lock:
            known = self._found.get(model.name)
            if known is None:
                known = self._found[model.name] = self._find(model)
        if isinstance(known, BmzooError):
            raise type(known)(known.message, known.hint)
        return known.weights

    def likely(self, model: Model) -> Weights:
        """The weights in use, or the first of the list where none are here: for plans and listings."""
        known = self._found.get(model.name)
        if isinstance(known, ChosenWeights):
            return known.weights
        try:
            return self._choose(model, None).weights
        except BmzooError:
            return model.config.weights[0]

    def absent(self, model: Model) -> bool:
        """Whether none of the weights are here, as pinned or not, nor can be fetched. Fetches nothing."""
        sources = self.sources(model)
        asked = [w for w in model.config.weights if self.wanted in (None, w.name)]
        return bool(asked) and not any(
            all(sources.holds(file) or (url and self.fetch) for file, url in _files(weights)) for weights in asked
        )

    def using(self, model: Model) -> Model:
        """The model with what its config says for the weights in use. Raises SourceError."""
        return using(model, self.chosen(model))

    def announce(self, model: Model) -> None:
        """Say once in a run which weights are used, where there is a choice. Raises SourceError."""
        weights, listed = self.chosen(model), model.config.weights
        with self._lock:
            if len(listed) == 1 or model.name in self._announced:
                return
            self._announced.add(model.name)
        world = ", judged on drawn scenes" if weights.scenes is not None else ""
        before = [w.name for w in listed[: listed.index(weights)]]
        absent = f"; not here: {', '.join(before)}" if before and not self.wanted else ""
        self.report.say(f"weights: {model.name}: {weights.name}{world}{absent}")

    def _find(self, model: Model) -> ChosenWeights | BmzooError:
        try:
            choice = self._choose(model, self.fetch)
        except BmzooError as error:
            return error
        for problem in choice.problems:
            self.report.warn(f"{model.name}: {problem}")
        return choice

    def _choose(self, model: Model, fetch: Fetch | None) -> ChosenWeights:
        listed = [w.name for w in model.config.weights]
        wanted = self.wanted or (self.preferred if self.preferred in listed else None)
        return choose(self.sources(model), model.config.weights, wanted, self.digest, fetch)


def choose(
    sources: Sources,
    weights: Sequence[Weights],
    wanted: str | None,
    digest: Callable[[Path], str],
    fetch: Fetch | None = None,
) -> ChosenWeights:
    """The first available weights, or the `wanted` ones; `fetch` None: no downloads.

    Raises SourceError for `wanted` weights that the config lacks, and where none are available: with the places
    searched, and how to obtain them.
    """
    names = [w.name for w in weights]
    if wanted is not None and wanted not in names:
        raise SourceError(f"weights: not in the config: {wanted}", f"allowed: {', '.join(names)}")
    candidates = [w for w in weights if wanted in (None, w.name)]
    problems: list[SourceError] = []
    for candidate in candidates:
        if _has(sources, candidate, digest, problems) or _fetched(sources, candidate, digest, fetch, problems):
            return ChosenWeights(candidate, tuple(problem.message for problem in problems))
    raise _none(sources, candidates, problems)


def _has(sources: Sources, weights: Weights, digest: Callable[[Path], str], problems: list[SourceError]) -> bool:
    if not all(sources.holds(file) for file, _ in _files(weights)):
        return False
    try:
        _check(sources, weights, digest)
    except SourceError as error:
        problems.append(error)
        return False
    return True


def _files(weights: Weights) -> list[tuple[File, str | None]]:
    """What is pinned of the weights, and where it may be fetched from."""
    network = weights.prototxt
    beside = [] if network is None else [(File(network.file, network.sha256), network.url)]
    return [*beside, (File(weights.file, weights.sha256), weights.url)]  # the small one first


def _check(sources: Sources, weights: Weights, digest: Callable[[Path], str]) -> None:
    """Raises SourceError for weights that are not whole, and as pinned."""
    for file, _ in _files(weights):
        sources.pinned(file, digest)
    for ref in external_data_of(weights).values():
        if isinstance(ref, ExternalData):
            external_data(sources, ref, digest)


def _fetched(
    sources: Sources,
    weights: Weights,
    digest: Callable[[Path], str],
    fetch: Fetch | None,
    problems: list[SourceError],
) -> bool:
    missing = [(file, url) for file, url in _files(weights) if not sources.holds(file)] or _files(weights)
    if fetch is None or not all(url for _, url in missing):
        return False
    try:
        for file, url in missing:
            fetch(str(url), file.sha256)
        if all(sources.holds(file) for file, _ in missing):
            _check(sources, weights, digest)
    except SourceError as error:
        problems.append(error)
        return False
    return True


def _none(sources: Sources, candidates: Sequence[Weights], problems: Sequence[SourceError]) -> SourceError:
    obtain = [f"to get {w.name}: {w.obtain}" for w in candidates if w.obtain is not None]
    if problems:
        lines = "\n".join(problem.message for problem in problems)
        return SourceError(lines, "\n".join([*(p.hint for p in problems if p.hint), *obtain]))
    missing = ", ".join(f"{w.name} ({_absent(sources, w)})" for w in candidates)
    hint = "\n".join([sources.looked(candidates[0].file), *obtain])
    return SourceError(f"weights: none of them is here: {missing}", hint)


def _absent(sources: Sources, weights: Weights) -> str:
    return ", ".join(file.path for file, _ in _files(weights) if not sources.holds(file)) or weights.file
