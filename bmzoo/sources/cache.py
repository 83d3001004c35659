"""Where downloads are kept, and whether there are any. What downloads is loaded by the first: it brings urllib."""

from collections.abc import Callable, Mapping
from pathlib import Path

OFFLINE = "BMZOO_OFFLINE"


def folder(environ: Mapping[str, str]) -> Path:
    """The cache folder of downloads."""
    cache = environ.get("XDG_CACHE_HOME") or f"{environ.get('HOME') or Path.home()}/.cache"
    return Path(cache) / "bmzoo" / "weights"


def fetcher(environ: Mapping[str, str]) -> Callable[[str, str], Path] | None:
    """`download.fetch` into the usual folder; None where nothing is to be fetched."""
    offline = environ.get(OFFLINE, "") not in ("", "0")

    def fetch_here(url: str, digest: str) -> Path:
        from bmzoo.sources.download import fetch

        return fetch(url, digest, folder(environ))

    return None if offline else fetch_here
