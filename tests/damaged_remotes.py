"""Ways in which the entry KEY of a shared store can be damaged; it holds `out.bin` and `note.txt`."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bmzoo.store.entry import MANIFEST
from bmzoo.store.remote import Remote

KEY, OTHER = "ab" * 32, "cd" * 32


def rewrite(remote: Remote, name: str, data: bytes | None) -> None:
    """Change a file of the entry where it is shared, or remove it."""
    path = f"{remote.files.root}/ab/{KEY}/{name}"
    fs = remote.files.fs
    if data is None:
        fs.rm_file(path)
        return
    if isinstance(remote.files.root, str) and Path(path).exists():
        Path(path).chmod(0o644)
    fs.pipe_file(path, data)


def read(remote: Remote, name: str) -> bytes:
    return bytes(remote.files.fs.cat_file(f"{remote.files.root}/ab/{KEY}/{name}"))


def edited(change: Callable[[dict[str, Any]], object]) -> Callable[[Remote], None]:
    """The same entry with another manifest."""

    def damage(remote: Remote) -> None:
        manifest = json.loads(read(remote, MANIFEST))
        change(manifest)
        rewrite(remote, MANIFEST, json.dumps(manifest).encode())

    return damage


def named(name: str) -> Callable[[Remote], None]:
    """A manifest that asks for a file of that name in place of note.txt."""

    def change(manifest: dict[str, Any]) -> None:
        for key in ("files", "sizes"):
            manifest[key][name] = manifest[key].pop("note.txt")

    return edited(change)


DAMAGES: dict[str, Callable[[Remote], None]] = {
    "one bit": lambda r: rewrite(r, "out.bin", b"\1" + read(r, "out.bin")[1:]),
    "truncated": lambda r: rewrite(r, "out.bin", read(r, "out.bin")[:-1]),
    "empty": lambda r: rewrite(r, "out.bin", b""),
    "longer": lambda r: rewrite(r, "out.bin", read(r, "out.bin") + b"x" * 100_000),
    "file missing": lambda r: rewrite(r, "out.bin", None),
    "manifest cut off": lambda r: rewrite(r, MANIFEST, read(r, MANIFEST)[:-20]),
    "manifest empty": lambda r: rewrite(r, MANIFEST, b""),
    "manifest not text": lambda r: rewrite(r, MANIFEST, b"\xff\xfe\0"),
    "manifest a list": lambda r: rewrite(r, MANIFEST, b"[]"),
    "manifest nested deeply": lambda r: rewrite(r, MANIFEST, b"[" * 100_000),
    "manifest huge": lambda r: rewrite(r, MANIFEST, read(r, MANIFEST) + b" " * 100_000),
    "another fingerprint": edited(lambda m: m.update(fingerprint=OTHER)),
    "no fingerprint": edited(lambda m: m.pop("fingerprint")),
    "material of another step": edited(lambda m: m["facts"].update(material={"kind": "other"})),
    "no files": edited(lambda m: m.update(files={}, sizes={})),
    "too many files": edited(
        lambda m: [m[k].update({f"f{i}": m[k]["note.txt"] for i in range(2000)}) for k in ("files", "sizes")]
    ),
    "size missing": edited(lambda m: m["sizes"].pop("note.txt")),
    "size negative": edited(lambda m: m["sizes"].update({"note.txt": -1})),
    "size a truth": edited(lambda m: m["sizes"].update({"note.txt": True})),
    "size endless": edited(lambda m: m["sizes"].update({"note.txt": float("inf")})),
    "digest no digest": edited(lambda m: m["files"].update({"note.txt": "a" * 63})),
    "digest a number": edited(lambda m: m["files"].update({"note.txt": 7})),
    "name upwards": named("../note.txt"),
    "name absolute": named("/tmp/note.txt"),
    "name of a parent": named(".."),
    "name hidden": named(".publish"),
    "name empty": named(""),
    "name of the manifest": named(MANIFEST),
    "name with a backslash": named("a\\b"),
    "name with a null": named("a\0b"),
    "name too long": named("n" * 300),
}
