"""A two-level cache: misses of the local store are fetched from the shared one, local results are uploaded."""

from pathlib import Path

from bmzoo.store.local import Entry, Store
from bmzoo.store.remote import Remote


class SharedStore(Store):
    """A local store with read-through and write-through to a shared one."""

    def __init__(self, root: Path, remote: Remote) -> None:
        super().__init__(root)
        self._remote = remote

    def fetch(self, fingerprint: str) -> Entry | None:
        """Download, verify and publish locally. Raises StoreError when the local store cannot be written."""
        with self.scratch() as folder:
            manifest = self._remote.fetch(fingerprint, folder)
            if manifest is None:
                return None
            return self.publish(fingerprint, folder, tuple(manifest.files), manifest.facts, manifest.files)

    def push(self, entry: Entry) -> None:
        """Upload an entry. Never fails: other checkouts can build what was not uploaded."""
        self._remote.push(entry)
