"""Ways in which an entry of a store that holds `out.txt` can be damaged."""

from collections.abc import Callable

from bmzoo.store.entry import MANIFEST
from bmzoo.store.local import Entry


def truncate(entry: Entry) -> None:
    entry.path("out.txt").chmod(0o644)
    entry.path("out.txt").write_text("res")


def remove(entry: Entry) -> None:
    entry.path("out.txt").unlink()


def empty(entry: Entry) -> None:
    for path in entry.folder.iterdir():
        path.unlink()


def break_manifest(text: str) -> Callable[[Entry], None]:
    def damage(entry: Entry) -> None:
        entry.path(MANIFEST).chmod(0o644)
        entry.path(MANIFEST).write_text(text)

    return damage


def modify(entry: Entry) -> None:
    entry.path("out.txt").chmod(0o644)
    entry.path("out.txt").write_text("RESULT")  # of the same size


def link(entry: Entry) -> None:
    entry.path("out.txt").rename(entry.path("other"))
    entry.path("out.txt").symlink_to("other")


def not_text(entry: Entry) -> None:
    entry.path(MANIFEST).unlink()
    entry.path(MANIFEST).write_bytes(b"\xff")


DAMAGES: dict[str, Callable[[Entry], None]] = {
    "truncated": truncate,
    "modified": modify,
    "replaced by a link": link,
    "file missing": remove,
    "empty folder": empty,
    "manifest missing": lambda entry: entry.path(MANIFEST).unlink(),
    "manifest cut off": break_manifest('{"files": {"out'),
    "manifest of nothing": break_manifest("{}"),
    "manifest a list": break_manifest("[]"),
    "manifest without sizes": break_manifest('{"files": {"out.txt": "0"}}'),
    "manifest of wrong types": break_manifest('{"files": ["out.txt"], "sizes": 3}'),
    "manifest not text": not_text,
}
