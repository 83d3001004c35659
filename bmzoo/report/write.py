"""The report's folder: pages, their style and script, pictures; and nothing that an earlier report left there."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from bmzoo.release.manifest import ZooManifest
from bmzoo.report.artifact_page import artifact_page
from bmzoo.report.gather import TargetEvidence, all_evidence, current_manifest
from bmzoo.report.index_page import Since, index_page
from bmzoo.report.rows import ZooRow
from bmzoo.system import files
from bmzoo.workspace import Workspace

ASSETS = ("report.css", "report.js")
_PICTURES = "pictures"


@dataclass(frozen=True)
class WrittenReport:
    """The page to open, and how many targets it has."""

    index: Path
    targets: int


def write_report(at: Workspace, manifest: ZooManifest | None = None, since: Since | None = None) -> WrittenReport:
    """Write all pages, of what is published now. Raises StoreError."""
    folder = at.layout.report
    style, script = (asset(name) for name in ASSETS)
    for name, text in zip(ASSETS, (style, script), strict=True):
        files.write(text, folder / name)
    taken = manifest if manifest is not None else current_manifest(at)
    kept: set[Path] = {folder / name for name in ASSETS}
    rows = list(_pages(folder, all_evidence(at, taken, folder / _PICTURES), kept))
    index = folder / "index.html"
    files.write(index_page(rows, taken, since, style, script), index)
    _remove_others(folder, kept | {index})
    return WrittenReport(index, len(rows))


def asset(name: str) -> str:
    """A file of bmzoo's own that goes with the pages."""
    return (Path(__file__).parent / "assets" / name).read_text(encoding="utf-8")


def _pages(folder: Path, found: Iterable[TargetEvidence], kept: set[Path]) -> Iterator[ZooRow]:
    for evidence in found:
        path = folder / evidence.row.page
        _write(artifact_page(evidence), path)
        kept |= {path, *(folder / _PICTURES / p.file for p in evidence.album.pictures if p.file)}
        yield evidence.row


def _write(text: str, path: Path) -> None:
    """Written where it differs: a rename over a file that is there takes longer than all else about a page."""
    data = text.encode("utf-8")
    if not path.is_file() or path.read_bytes() != data:
        files.write(text, path)


def _remove_others(folder: Path, kept: set[Path]) -> None:
    """Pages of targets that are gone, and pictures that no page shows."""
    for path in sorted(folder.rglob("*"), reverse=True):
        if path.is_dir() and not path.is_symlink():
            if not any(path.iterdir()):
                path.rmdir()
        elif path not in kept:
            path.unlink()
