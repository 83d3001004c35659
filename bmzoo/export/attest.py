"""Is an archive what was exported? Verified offline: every member, what is said of them, and who signed that."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bmzoo.errors import SourceError
from bmzoo.export.archive import unpacked
from bmzoo.export.envelope import Envelope, check_signature, opened_envelope
from bmzoo.export.statement import ATTESTATION, BUILD_TYPE, CHECK, FORMAT, PREDICATE_TYPE, TYPE, stated
from bmzoo.system.files import json_text

_AGAIN = "copy the archive again, or export it again"


@dataclass(frozen=True)
class Attested:
    """`signers`: ids of the keys that it says to be signed by. `checked`: the one of these that was verified."""

    target: str
    members: int
    signers: tuple[str, ...]
    checked: str = ""

    def __str__(self) -> str:
        signed = f"signed by {self.checked[:16]}"
        if not self.checked:
            names = ", ".join(name[:16] for name in self.signers)
            signed = f"says to be signed by {names}, not checked: key=PUBLIC" if names else "not signed"
        return f"{self.target}: all {self.members} files as they were exported, {signed}"


def attested(archive: Path, shown: str, key: Path | None) -> Attested:
    """Verify an archive. `key`: a public key that it must be signed by. Raises SourceError."""
    try:
        content = archive.read_bytes()
    except OSError as error:
        raise SourceError(f"{shown}: cannot be read: {error.strerror}", "name a .tar of ./doit export") from None
    members = unpacked(content, shown)
    if ATTESTATION not in members:
        raise SourceError(f"{shown}: no {ATTESTATION} in it", "name an archive of ./doit export")
    where = f"{shown}: {ATTESTATION}"
    envelope = opened_envelope(members[ATTESTATION], where)
    signer = check_signature(envelope, key, where) if key is not None else ""
    said = _statement(envelope, where)
    _check_members(said, members, shown)
    wanted = _stated_again(members, shown)
    if envelope.payload != json_text(wanted).encode():
        raise SourceError(f"{where}: says other than the files: {_differs(said, wanted)}", _AGAIN)
    target = str(json.loads(members[CHECK]).get("target"))
    return Attested(target, len(members), tuple(envelope.signatures), signer)


def _stated_again(members: Mapping[str, bytes], shown: str) -> dict[str, Any]:
    try:
        return stated(members)
    except SourceError as error:
        raise SourceError(f"{shown}: {error.message}", error.hint) from None
    except (
        AttributeError,
        KeyError,
        TypeError,
        ValueError,
    ):  # of documents that are JSON, and not as they should be
        why = f"{CHECK}, or a document that it names, is not as export writes it"
        raise SourceError(f"{shown}: {why}", _AGAIN) from None


def _statement(envelope: Envelope, where: str) -> dict[str, Any]:
    """The statement in an envelope, of a format that is known."""
    try:
        said = json.loads(envelope.payload)
        kinds = (said["_type"], said["predicateType"], said["predicate"]["buildDefinition"]["buildType"])
        _ = {one["name"]: one["digest"]["sha256"] for one in said["subject"]}
    except (ValueError, KeyError, TypeError, RecursionError):
        raise SourceError(f"{where}: damaged: not an in-toto statement", _AGAIN) from None
    known = (TYPE, PREDICATE_TYPE, f"{BUILD_TYPE}{FORMAT}")
    other = next((kind for kind, one in zip(kinds, known, strict=True) if kind != one), "")
    if other:
        hint = f"known: {' '.join(known)}; verify it with the bmzoo that wrote it, or a newer one"
        raise SourceError(f"{where}: of a format that this bmzoo does not know: {other}", hint)
    return dict(said)


def _check_members(said: Mapping[str, Any], members: Mapping[str, bytes], shown: str) -> None:
    wanted = {str(one["name"]): one["digest"]["sha256"] for one in said["subject"]}
    for name in sorted(wanted.keys() | members.keys() - {ATTESTATION}):
        if name not in members:
            raise SourceError(f"{shown}: not in it: {name}", _AGAIN)
        if name not in wanted:
            raise SourceError(f"{shown}: in it, and not exported with it: {name}", "do not use it")
        if hashlib.sha256(members[name]).hexdigest() != wanted[name]:
            raise SourceError(f"{shown}: not as {ATTESTATION} says: {name}", _AGAIN)


def _differs(said: Any, wanted: Any, place: str = "") -> str:
    """Where two documents differ first."""
    if isinstance(said, dict) and isinstance(wanted, dict):
        for key in sorted(said.keys() | wanted.keys()):
            if said.get(key) != wanted.get(key):
                return _differs(said.get(key), wanted.get(key), f"{place}.{key}" if place else key)
    return place or "how it is written"
