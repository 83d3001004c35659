"""What is known of every target, from published documents and the store. Builds and measures nothing."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bmzoo.errors import SourceError
from bmzoo.plan.verify import engine
from bmzoo.release import inventory
from bmzoo.release.float_table import FloatLayer, float_table
from bmzoo.release.manifest import MAX_MANIFEST_BYTES, Artifact, ZooManifest, read_manifest
from bmzoo.release.outcomes import Outcomes
from bmzoo.report.pictures import PictureEvidence, album
from bmzoo.report.profiles import NoProfile, StoredProfile, stored_profile
from bmzoo.report.rows import ZooRow, zoo_row
from bmzoo.sources import fetch
from bmzoo.store.local import Store
from bmzoo.target import Target
from bmzoo.workspace import Workspace


@dataclass(frozen=True)
class TargetEvidence:
    """All that a target's page shows. Documents are as published, empty where there is none of these bytes.

    `float_layers`: None where there are some and their table is gone. `profile`: of these bytes.
    """

    row: ZooRow
    provenance: Mapping[str, Any]
    verified: Mapping[str, Any]
    evaluated: Mapping[str, Any]
    profile: StoredProfile | NoProfile
    float_layers: tuple[FloatLayer, ...] | None
    album: PictureEvidence

    @property
    def drift(self) -> Mapping[str, Any]:
        """The comparison layer by layer, where a verification failed; empty otherwise."""
        found = self.verified.get("drift")
        return found if isinstance(found, dict) else {}


def current_manifest(at: Workspace) -> ZooManifest:
    """What is published now, with the failures that the last `zoo` names where nothing was published since."""
    now, last = inventory.take(at, Outcomes()), _last(at)
    before = {artifact.target: artifact for artifact in last.artifacts} if last is not None else {}
    return now.model_copy(update={"artifacts": tuple(_newer(a, before.get(a.target)) for a in now.artifacts)})


def _last(at: Workspace) -> ZooManifest | None:
    path = at.layout.manifest
    if not path.is_file():
        return None
    shown = at.layout.shown(path)
    try:
        return read_manifest(fetch.text(str(path), at.root, MAX_MANIFEST_BYTES), shown)
    except SourceError as error:
        at.report.warn(f"{error.message}: failures of the last ./doit zoo are not known")
        return None


def _newer(now: Artifact, before: Artifact | None) -> Artifact:
    """A failure stands until something is published after it."""
    stands = before is not None and before.status == "failed" and before.sha256 in (None, now.sha256)
    if not stands or before is None or (before.stage == "build" and now.sha256 is not None):
        return now
    trouble = {"status": "failed", "stage": before.stage, "cause": before.cause, "evidence": before.evidence}
    return now.model_copy(update=trouble)


def all_evidence(at: Workspace, artifacts: Iterable[Artifact], pictures: Path) -> Iterator[TargetEvidence]:
    """Read what is there of targets. `pictures`: the folder that shown pictures are written to."""
    store = Store(at.layout.build, stamping=False)
    return (_evidence(at, store, artifact, pictures) for artifact in artifacts)


def _evidence(at: Workspace, store: Store, artifact: Artifact, pictures: Path) -> TargetEvidence:
    target = artifact.target
    told = at.documents.by(at.layout.provenance(target)) if artifact.sha256 is not None else {}
    verified = at.documents.by(at.layout.verification(target))
    verified = verified if told and verified.get("sha256") == artifact.sha256 else {}
    profile = known_profile(at, target, told)
    return TargetEvidence(
        row=zoo_row(target.qualified(at.default_model), artifact, profile),
        provenance=told,
        verified=verified,
        evaluated=_evaluated(at, artifact),
        profile=profile,
        float_layers=float_table(at, target, told) if told else (),
        album=_album(store, verified, told, pictures),
    )


def _album(store: Store, verified: Mapping[str, Any], told: Mapping[str, Any], folder: Path) -> PictureEvidence:
    try:
        return album(store, verified, told.get("input", {}), folder)
    except (SourceError, KeyError, TypeError, ValueError) as error:
        return PictureEvidence(why=f"what is kept of its pictures cannot be read: {error}")


def _evaluated(at: Workspace, artifact: Artifact) -> Mapping[str, Any]:
    if artifact.accuracy is None or artifact.weights is None:
        return {}
    name = engine(at.models[artifact.model], artifact.target)
    return at.documents.by(at.layout.evaluation(artifact.model, artifact.weights, name))


def known_profile(at: Workspace, target: Target, told: Mapping[str, Any]) -> StoredProfile | NoProfile:
    """The profile beside an artifact, by its provenance."""
    if not told:
        return NoProfile("it is not built")
    path = at.layout.profile(target)
    wanted = told["steps"]["deploy"]["files"].get("profile.json")
    if wanted is None or not path.is_file():
        return NoProfile("no profile is kept beside the artifact")
    try:
        data = path.read_bytes()
        if hashlib.sha256(data).hexdigest() != wanted:
            return NoProfile("the profile beside it is not that of the artifact: changed behind bmzoo's back")
        return stored_profile(json.loads(data))
    except (OSError, ValueError) as error:
        return NoProfile(f"its profile cannot be read: {error}")
