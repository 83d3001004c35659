"""The local store in front of a shared one: what is missing here is fetched, what is made here is shared."""

from pathlib import Path

from bmzoo.store.local import Entry, Store
from bmzoo.store.remote import Remote


class SharedStore(Store):
    """Everything is used from the local store; the shared one is asked only for what is not there."""

    def __init__(self, root: Path, remote: Remote) -> None:
        super().__init__(root)
        self._remote = remote

    def fetch(self, fingerprint: str) -> Entry | None:
        """The entry from the shared store, checked and put here. Raises StoreError when it cannot be put here."""
        with self.scratch() as folder:
            manifest = self._remote.fetch(fingerprint, folder)
            if manifest is None:
                return None
            return self.publish(fingerprint, folder, tuple(manifest.files), manifest.facts, manifest.files)

    def push(self, entry: Entry) -> None:
        """Share an entry that was made here. Never fails: what is not shared can be made again."""
        self._remote.push(entry)
