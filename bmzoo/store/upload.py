"""Source files as entries of a shared store, addressed by their content alone."""

from pathlib import Path

from bmzoo.plan.fingerprint import FINGERPRINT_SCHEMA, fingerprint
from bmzoo.store.entry import MANIFEST, StoreManifest
from bmzoo.store.local import Entry
from bmzoo.store.remote import Remote

CONTENT = "content"


def key(sha256: str) -> str:
    """The fingerprint of the entry for a file with this content."""
    return fingerprint(_material(sha256))


def send(path: Path, sha256: str, remote: Remote, folder: Path) -> None:
    """Upload a file unless the store has it. `folder` is an empty scratch folder. Like `push`, warns on errors.

    Raises OSError when the file itself is gone.
    """
    (folder / CONTENT).symlink_to(path.absolute())
    facts = {"step": f"source {path.name}", "material": _material(sha256)}
    manifest = StoreManifest(key(sha256), {CONTENT: sha256}, {CONTENT: path.stat().st_size}, facts)
    (folder / MANIFEST).write_text(manifest.text(), encoding="utf-8")
    remote.push(Entry(manifest.fingerprint, folder, manifest.files, manifest.facts))


def _material(sha256: str) -> dict[str, object]:
    return {"schema": FINGERPRINT_SCHEMA, "kind": "source", "sha256": sha256}
