"""Downloads of pinned files, cached under their sha256 for all checkouts of a user.

A download is optional: any failure is a one-line error, and its duration is limited. A file appears in the cache
only when it is complete and has the pinned digest.
"""

import hashlib
import os
import tempfile
import time
from contextlib import closing, suppress
from http.client import HTTPException
from pathlib import Path
from typing import IO, Any
from urllib.error import HTTPError
from urllib.request import HTTPRedirectHandler, Request, build_opener

from bmzoo.errors import SourceError
from bmzoo.system.hashing import sha256
from bmzoo.system.text import printable

DOWNLOAD_TIMEOUT = 10.0  # seconds to connect, and for each read
TOTAL = 120.0  # seconds for all of it
LARGEST = 1 << 30
_CHUNK = 1 << 16


def fetch(url: str, digest: str, into: Path, timeout: float = DOWNLOAD_TIMEOUT, total: float = TOTAL) -> Path:
    """`into`/<digest>, downloaded unless cached. Raises SourceError, `url: what is wrong`, on one line."""
    path = into / digest
    try:
        if path.is_file() and sha256(path) == digest:
            return path
    except OSError as error:
        raise _unusable(path, "read", error) from None
    try:
        into.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=".", suffix=".part", dir=into)
    except OSError as error:
        raise _unusable(into, "written", error) from None
    try:
        with os.fdopen(handle, "wb") as part:
            _receive(url, digest, part, timeout, time.monotonic() + total)
        try:
            Path(name).replace(path)
        except OSError as error:
            raise _unusable(path, "written", error) from None
    except (OSError, ValueError, HTTPException) as error:  # URLError is an OSError, and so are timeouts
        if isinstance(error, HTTPError):
            error.close()  # an HTTPError is also the open response
        reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or error
        raise SourceError(f"{url}: cannot be fetched: {printable(str(reason)) or type(error).__name__}") from None
    finally:
        with suppress(OSError):
            Path(name).unlink(missing_ok=True)
    return path


def _unusable(path: Path, what: str, error: OSError) -> SourceError:
    hint = "$XDG_CACHE_HOME names another folder; BMZOO_OFFLINE=1 downloads nothing"
    return SourceError(f"{path}: the cache of downloads cannot be {what}: {error.strerror}", hint)


class _SameScheme(HTTPRedirectHandler):
    """Follows redirects, except from https to another scheme."""

    def redirect_request(  # noqa: PLR0913  # as urllib calls it
        self, req: Request, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> Request | None:
        new = super().redirect_request(req, fp, code, msg, headers, newurl)
        if new is not None and new.type != req.type:
            raise HTTPError(newurl, code, f"redirected from {req.type} to {new.type}", headers, fp)
        return new


def _receive(url: str, digest: str, part: IO[bytes], timeout: float, deadline: float) -> None:
    """Raises SourceError, OSError, ValueError."""
    with closing(build_opener(_SameScheme).open(url, timeout=timeout)) as answer:
        kind = answer.headers.get_content_type()
        if kind in ("text/html", "application/xhtml+xml"):
            raise SourceError(f"{url}: gives a web page and no file")
        length = answer.headers.get("Content-Length", "")
        found, size = hashlib.sha256(), 0
        while chunk := answer.read1(_CHUNK):
            size += len(chunk)
            if size > LARGEST:
                raise SourceError(f"{url}: larger than the {LARGEST >> 20} MiB allowed")
            if time.monotonic() > deadline:
                raise SourceError(f"{url}: took too long and was given up after {size} bytes")
            found.update(chunk)
            try:
                part.write(chunk)
                part.flush()
            except OSError as error:
                raise _unusable(Path(str(part.name)), "written", error) from None
    if length.isdecimal() and size != int(length):
        raise SourceError(f"{url}: ended after {size} of {length} bytes")
    if found.hexdigest() != digest:
        raise SourceError(f"{url}: not the file that the config pins: sha256 {found.hexdigest()}")
