"""The manifest of a cache entry, `manifest.json`: names, digests and sizes of its files, and facts about the step.

A manifest may come from a store that others write, so it is untrusted until `parse_manifest` has validated it.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from bmzoo.plan.fingerprint import fingerprint as fingerprint_of

MANIFEST = "manifest.json"
MAX_ENTRY_MANIFEST_BYTES = (
    16 << 20
)  # of a manifest; the largest known are 0.5 MB, one line for each of 3,000 pictures
MAX_FILES = 1000
_FINGERPRINT = re.compile(r"[0-9a-f]{64}")
# Plain names only: nothing that leaves the folder, hides in it or cannot be shown.
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.,+@ \-]{0,199}")


class Damaged(Exception):
    """An entry is corrupt, or does not belong to its fingerprint. The text says what is wrong with it."""


class NotAManifest(Damaged):
    """Something else came in place of a manifest: what is left of one, or an answer of a server about something."""


class WebPage(NotAManifest):
    """A page came in its place, as servers send it for a login or for what is missing."""


@dataclass(frozen=True)
class StoreManifest:
    """`files` maps name to sha256 and `sizes` name to bytes; `facts` is metadata from the step."""

    fingerprint: str
    files: Mapping[str, str]
    sizes: Mapping[str, int]
    facts: Mapping[str, Any]

    def text(self) -> str:
        return json.dumps(asdict(self), indent=1, sort_keys=True)


def is_fingerprint(text: str) -> bool:
    """Whether a text is a well-formed fingerprint: 64 lower-case hex digits."""
    return _FINGERPRINT.fullmatch(text) is not None


def parse_manifest(data: bytes, fingerprint: str) -> StoreManifest:
    """Parse and validate the manifest of the entry with that fingerprint. Raises Damaged."""
    if len(data) > MAX_ENTRY_MANIFEST_BYTES:
        raise Damaged(f"{MANIFEST} is larger than {MAX_ENTRY_MANIFEST_BYTES} bytes")
    if data.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"<"):
        raise WebPage("a web page came in place of a result, as for a login or for what is missing")
    try:
        raw = json.loads(data.decode("utf-8"))
    except (ValueError, RecursionError):
        raise NotAManifest(f"{MANIFEST} is not JSON") from None
    if not isinstance(raw, dict) or not all(isinstance(raw.get(k), dict) for k in ("files", "sizes", "facts")):
        raise NotAManifest(f"{MANIFEST} lacks files, sizes or facts")
    if raw.get("fingerprint") != fingerprint:
        raise Damaged(f"{MANIFEST} is another entry's: {str(raw.get('fingerprint'))[:64]}")
    _check_files(raw["files"], raw["sizes"])
    return StoreManifest(fingerprint, raw["files"], raw["sizes"], raw["facts"])


def _check_files(files: Mapping[str, object], sizes: Mapping[str, object]) -> None:
    if not 0 < len(files) <= MAX_FILES or files.keys() != sizes.keys():
        raise Damaged(f"{MANIFEST} names no files, too many, or others than it has sizes for")
    for name, digest in files.items():
        size = sizes[name]
        if _NAME.fullmatch(name) is None or name == MANIFEST:
            raise Damaged(f"{MANIFEST}: not a plain file name: {name[:80]!r}")
        if not isinstance(digest, str) or not is_fingerprint(digest):
            raise Damaged(f"{MANIFEST}: {name}: not a sha256: {str(digest)[:64]!r}")
        if type(size) is not int or size < 0:
            raise Damaged(f"{MANIFEST}: {name}: not a size in bytes: {str(size)[:40]!r}")


def check_material(manifest: StoreManifest) -> None:
    """Check the fingerprint against the material recorded in the facts, if any. Raises Damaged on a mismatch."""
    material = manifest.facts.get("material")
    if material is not None and (
        not isinstance(material, dict) or fingerprint_of(material) != manifest.fingerprint
    ):
        raise Damaged(f"{MANIFEST}: its material gives another fingerprint")
