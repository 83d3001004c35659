"""What a step would be made from now: its inputs as files with digests, and the fingerprint that they give.

Looks at files; runs, draws and fetches nothing but scenes that have to be there as pictures.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from bmzoo.config import scene_sets
from bmzoo.errors import SourceError
from bmzoo.execute.toolchain import Toolchain
from bmzoo.plan.decisions import facts
from bmzoo.plan.fingerprint import fingerprint, material
from bmzoo.plan.step import ExternalData, File, Input, Output, Pictures, Step, Tree
from bmzoo.sources.external_data import external_data
from bmzoo.sources.lookup import PictureSet, Sources
from bmzoo.store.local import Entry
from bmzoo.system.hashing import Digests

Entries = Mapping[Step, Entry]


@dataclass(frozen=True)
class Resolved:
    """A step's inputs as they are now: name in the folder -> (file, digest), and the fingerprint they give.

    `material` is what the commands depend on, see plan/fingerprint.py; `facts` what a decision is derived from, see
    plan/decisions.py, and empty for other steps. The fingerprint is of the facts where there are any.
    """

    files: Mapping[str, tuple[Path, str]]
    fingerprint: str
    material: Mapping[str, object]
    facts: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    pictures: Mapping[str, str] = field(default_factory=dict)  # name in the folder -> name at the source


class Resolver:
    """Looks inputs up for one toolchain and set of sources. Safe for threads."""

    def __init__(self, toolchain: Toolchain, sources: Sources, digests: Digests) -> None:
        self._toolchain = toolchain
        self._sources = sources
        self._digests = digests
        self._seen: dict[Pictures, tuple[PictureSet, tuple[str, ...]]] = {}

    def resolve(self, step: Step, results: Entries, again: bool = True) -> Resolved:
        """What the step's commands would read. Raises SourceError.

        `results`: of every step that it needs. A file there may have an empty digest: what it will be is not known,
        and then neither is the fingerprint. `again`: look at pictures even if they have been looked at before; what
        is made is made from pictures as they are then.
        """
        files: dict[str, tuple[Path, str]] = {}
        warnings: list[str] = []
        names: dict[str, str] = {}
        for name, ref in step.inputs:
            if isinstance(ref, Output):
                entry = results[ref.step]
                files[name] = entry.path(ref.file), entry.files[ref.file]
            elif isinstance(ref, Pictures):
                found, digests = self._look(ref, again)
                listed = list(zip(found.files, digests, strict=True))
                if step.decision is not None:  # what is derived from a set of pictures must not hang on their names
                    listed.sort(key=lambda one: one[1])
                numbered = _numbered(listed)
                files |= {f"{name}/{inside}": one for inside, one in numbered.items()}
                names |= {inside: path.name for inside, (path, _) in numbered.items()}
                names["folder"] = str(found.folder)
                warnings += _trouble(ref, found)
            else:
                files |= self._files(name, ref)
            if isinstance(ref, ExternalData):
                warnings += _unpinned(ref, files, f"{name}/")
        made_of = material(
            step,
            {name: digest for name, (_, digest) in files.items()},
            {c.tool: self._toolchain.identity(c.tool) for c in step.commands},
            self._toolchain.environment,
        )
        told = self.facts(step, results, again)
        return Resolved(files, fingerprint(told or made_of), made_of, told, tuple(warnings), names)

    def facts(self, step: Step, results: Entries, again: bool = True) -> dict[str, str]:
        """What a decision is derived from; empty for other steps. Raises SourceError.

        `results`: of the decisions that it rests on.
        """
        if step.decision is None:
            return {}
        sources = {name: self._source(ref, results, again) for name, ref in step.decision.sources}
        present = {name: text for name, text in sources.items() if text}
        return facts(step.decision, present, self._toolchain.release)

    def _source(self, ref: Input, results: Entries, again: bool) -> str:
        """What stands for a source's content; empty for external data where there is none."""
        if isinstance(ref, Output):
            return results[ref.step].files[ref.file]
        if isinstance(ref, File):  # what is pinned need not be here
            return ref.sha256 or self._sources.pinned(ref, self._digests.of)[1]
        if isinstance(ref, ExternalData):
            return self._external(ref)
        if isinstance(ref, Tree):
            tree = self._sources.tree(ref)
            lines = tuple(f"{self._digest(path)} {name}" for name, path in tree.items())
            return f"{len(lines)}, sha256 of their digests: {_digest_of_set(lines)}"
        assert isinstance(ref, Pictures), "nothing else is a source of a decision"
        drawn = scene_sets.split(ref.folder)
        if drawn is not None:  # what is drawn follows from the seeds, and need not be here
            count = min(ref.count or drawn[0].count, drawn[0].count)
            return f"{count} of {drawn[0]}, drawing {drawn[0].drawing}"
        found, digests = self._look(ref, again)
        return f"{len(found.files)}, sha256 of their digests: {_digest_of_set(digests)}"

    def _files(self, name: str, ref: File | ExternalData | Tree) -> dict[str, tuple[Path, str]]:
        if isinstance(ref, File):
            return {name: self._sources.pinned(ref, self._digests.of)}
        if isinstance(ref, ExternalData):
            found = external_data(self._sources, ref, self._digest)
            return {f"{name}/{inside}": one for inside, one in found.items()}
        tree = self._sources.tree(ref).items()
        return {f"{name}/{inside}": (path, self._digest(path)) for inside, path in tree}

    def _external(self, ref: ExternalData) -> str:
        """Of files that are pinned none need be here; of an ONNX file that is not here nothing else is known."""
        pinned = {one.path: one.sha256 for one in ref.files}
        if not pinned and self._sources.holds(ref.model):
            found = external_data(self._sources, ref, self._digest)
            pinned = {name: digest for name, (_, digest) in found.items()}
        lines = tuple(f"{digest} {name}" for name, digest in pinned.items())
        return f"{len(lines)}, sha256 of their digests: {_digest_of_set(lines)}" if lines else ""

    def _digest(self, path: Path) -> str:
        try:
            return self._digests.of(path)
        except OSError as error:
            raise SourceError(f"{path}: cannot be read: {error.strerror}") from None

    def _look(self, ref: Pictures, again: bool) -> tuple[PictureSet, tuple[str, ...]]:
        """Pictures and their digests. Every target asks for the same few sets of them."""
        seen = None if again else self._seen.get(ref)
        if seen is None:
            found = self._sources.pictures(ref)
            seen = self._seen[ref] = found, tuple(map(self._digest, found.files))
        return seen


def _numbered(pictures: list[tuple[Path, str]]) -> dict[str, tuple[Path, str]]:
    """Pictures by names that keep their order."""
    return {f"{index:05d}{path.suffix.lower()}": (path, d) for index, (path, d) in enumerate(pictures)}


def _unpinned(ref: ExternalData, files: Mapping[str, tuple[Path, str]], below: str) -> list[str]:
    """What to add to the config for external data that it does not pin."""
    found = {name.removeprefix(below): digest for name, (_, digest) in files.items() if name.startswith(below)}
    if ref.files or not found:
        return []
    rows = [f"{{file: {json.dumps(name, ensure_ascii=False)}, sha256: {digest}}}" for name, digest in found.items()]
    line = f"external_data: [{', '.join(rows)}]"
    return [f"{ref.model.path}: its external data is not pinned: add `{line}` to these weights in the config"]


def _trouble(ref: Pictures, found: PictureSet) -> list[str]:
    warnings = [f"{found.folder / other}: skipped: not a picture" for other in found.skipped[:5]]
    if ref.count > len(found.files):
        warnings.append(f"{found.folder}: {ref.count} pictures asked for, {len(found.files)} found")
    return warnings


def _digest_of_set(digests: tuple[str, ...]) -> str:
    return hashlib.sha256("\n".join(sorted(digests)).encode()).hexdigest()
