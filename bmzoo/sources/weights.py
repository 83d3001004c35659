"""Which of a model's weights are used: the first that are here as the config pins them, or can be fetched."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bmzoo.config.schema import Weights
from bmzoo.errors import SourceError
from bmzoo.plan.step import File
from bmzoo.sources.lookup import Sources

# Fetches a file by URL and sha256. Raises SourceError.
Fetch = Callable[[str, str], object]


@dataclass(frozen=True)
class Choice:
    """The weights in use, and what was wrong with those before them, a line each."""

    weights: Weights
    problems: tuple[str, ...] = ()


def choose(
    sources: Sources,
    weights: Sequence[Weights],
    wanted: str | None,
    digest: Callable[[Path], str],
    fetch: Fetch | None = None,
) -> Choice:
    """The first weights that can be had, or the `wanted` ones; `fetch` None: without downloads.

    Raises SourceError: not in the config, or none to be had, with where it was looked and how to get them.
    """
    names = [w.name for w in weights]
    if wanted is not None and wanted not in names:
        raise SourceError(f"weights: not in the config: {wanted}", f"allowed: {', '.join(names)}")
    candidates = [w for w in weights if wanted in (None, w.name)]
    problems: list[SourceError] = []
    for candidate in candidates:
        if _has(sources, candidate, digest, problems) or _fetched(candidate, fetch, problems):
            return Choice(candidate, tuple(problem.message for problem in problems))
    raise _none(sources, candidates, problems)


def _has(sources: Sources, weights: Weights, digest: Callable[[Path], str], problems: list[SourceError]) -> bool:
    if not _files(sources, weights):
        return False
    try:
        sources.pinned(File(weights.file, weights.sha256), digest)
    except SourceError as error:
        problems.append(error)
        return False
    return True


def _files(sources: Sources, weights: Weights) -> tuple[Path, ...]:
    try:
        return sources.files(File(weights.file, weights.sha256))
    except SourceError:
        return ()


def _fetched(weights: Weights, fetch: Fetch | None, problems: list[SourceError]) -> bool:
    if weights.url is None or fetch is None:
        return False
    try:
        fetch(weights.url, weights.sha256)
    except SourceError as error:
        problems.append(error)
        return False
    return True


def _none(sources: Sources, candidates: Sequence[Weights], problems: Sequence[SourceError]) -> SourceError:
    obtain = [f"to get {w.name}: {w.obtain}" for w in candidates if w.obtain is not None]
    if problems:
        lines = "\n".join(problem.message for problem in problems)
        return SourceError(lines, "\n".join([*(p.hint for p in problems if p.hint), *obtain]))
    missing = ", ".join(f"{w.name} ({w.file})" for w in candidates)
    hint = "\n".join([sources.looked(candidates[0].file), *obtain])
    return SourceError(f"weights: none of them is here: {missing}", hint)
