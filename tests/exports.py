"""Archives of a small project, keys to sign them with, and archives with something in them changed."""

import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

from conftest import Project

from bmzoo.export.archive import packed, unpacked
from bmzoo.export.envelope import sealed
from bmzoo.export.export import export_target
from bmzoo.export.statement import ATTESTATION, stated
from bmzoo.results.verify import verify_target
from bmzoo.system import files


def export_of(project: Project, name: str, key: Path | None = None) -> Path:
    """The archive of a target, built and verified for it."""
    project.config.write_text(project.config.read_text().replace("selection}}", "selection, count: 3}}"))
    project.build(name)
    at = project.open()
    target = at.target(name)
    verify_target(at, target)
    export_target(at, target, key)
    return at.layout.export(target)


def make_keys(folder: Path, name: str = "key") -> tuple[Path, Path]:
    """A private and a public key, by the commands that the documentation names."""
    private, public = folder / f"{name}.pem", folder / f"{name}.pub"
    openssl("genpkey", "-algorithm", "ed25519", "-out", private)
    openssl("pkey", "-in", private, "-pubout", "-out", public)
    return private, public


def unpack(archive: Path, place: Path) -> Path:
    """The folder that an archive unpacks to, below `place`."""
    with tarfile.open(archive) as tar:
        tar.extractall(place)
    (folder,) = place.iterdir()
    return folder


def openssl(*words: str | Path) -> None:
    subprocess.run(["openssl", *words], check=True, capture_output=True, timeout=60)


def changed(archive: Path, change: Callable[[dict[str, bytes]], object], again: bool = False) -> Path:
    """A copy of an archive with members changed; `again`: and stated anew, as by who knows how."""
    content = archive.read_bytes()
    members = unpacked(content, "before")
    change(members)
    if again:
        members[ATTESTATION] = sealed(files.json_text(stated(members)).encode(), None)
    other = archive.with_name("changed.tar")
    other.write_bytes(packed(content[:100].split(b"/")[0].decode(), members))
    return other
