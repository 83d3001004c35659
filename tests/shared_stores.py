"""What tests of shared stores write into them, and what was said of them."""

from typing import Any

from damaged_remotes import KEY

from bmzoo.store.local import Entry, Store
from bmzoo.store.remote import Remote


class Said(list[str]):
    """Warnings, each as often as it was said."""

    def one(self) -> str:
        assert len(self) == 1, self
        return self[0]


def publish(store: Store, key: str = KEY, **facts: Any) -> Entry:
    with store.scratch() as folder:
        (folder / "out.bin").write_bytes(bytes(range(256)) * 300)
        (folder / "note.txt").write_text("said in passing")
        return store.publish(key, folder, ("out.bin", "note.txt"), facts)


def web(server: Any, said: Said) -> Remote:
    return Remote(f"http://127.0.0.1:{server.server_port}", said.append)
