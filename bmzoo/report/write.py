"""The report's folder: pages, their style and script, pictures; and nothing that an earlier report left there."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from bmzoo.release.manifest import Artifact, ZooManifest
from bmzoo.report.artifact_page import artifact_page
from bmzoo.report.gather import all_evidence, current_manifest
from bmzoo.report.index_page import Since, index_page
from bmzoo.report.rows import ZooRow
from bmzoo.system import files
from bmzoo.system.forks import forked
from bmzoo.workspace import Workspace

ASSETS = ("report.css", "report.js")
_PICTURES = "pictures"
# Pages that a process is worth: they take it 0.3 s.
FEWEST_PAGES = 64


@dataclass(frozen=True)
class _WrittenPage:
    """A page's row, and the files that make it."""

    row: ZooRow
    files: tuple[Path, ...]


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
    written = forked(partial(_pages, at, folder), taken.artifacts, FEWEST_PAGES)
    rows, index = [page.row for page in written], folder / "index.html"
    files.write(index_page(rows, taken, since, style, script), index)
    _remove_others(
        folder, {index, *(folder / name for name in ASSETS), *(f for page in written for f in page.files)}
    )
    return WrittenReport(index, len(rows))


def asset(name: str) -> str:
    """A file of bmzoo's own that goes with the pages."""
    return (Path(__file__).parent / "assets" / name).read_text(encoding="utf-8")


def _pages(at: Workspace, folder: Path, artifacts: Sequence[Artifact]) -> list[_WrittenPage]:
    found = []
    for evidence in all_evidence(at, artifacts, folder / _PICTURES):
        path = folder / evidence.row.page
        _write(artifact_page(evidence), path)
        shown = (folder / _PICTURES / picture.file for picture in evidence.album.pictures if picture.file)
        found.append(_WrittenPage(evidence.row, (path, *shown)))
    return found


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
