"""Reading of a text from a path or URL, with limits on size and time."""

import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import IO, Any
from urllib.error import URLError
from urllib.parse import urlsplit
from urllib.request import urlopen

from bmzoo.errors import SourceError
from bmzoo.system.text import printable

FETCH_TIMEOUT = 60.0
_CHUNK = 1 << 16


def text(where: str, root: Path, limit: int, timeout: float = FETCH_TIMEOUT) -> str:
    """The text at a URL, or in a file whose path is relative to `root`. Raises SourceError.

    `limit` is in bytes, `timeout` in seconds in total. http and https are built in; other schemes are opened by
    fsspec (`s3://` needs s3fs).
    """
    scheme = urlsplit(where).scheme if "://" in where else ""
    opened: Callable[[], Any] = {
        "": lambda: (root / where).open("rb"),
        "http": lambda: urlopen(where, timeout=timeout),  # noqa: S310  # http and https only get here
        "https": lambda: urlopen(where, timeout=timeout),  # noqa: S310
    }.get(scheme, lambda: _open(where))
    shown = printable(_without_password(where))
    try:
        with closing(opened()) as file:
            content = _read(file, shown, limit, time.monotonic() + timeout)
        return content.decode("utf-8")
    except UnicodeDecodeError:
        raise SourceError(f"{shown}: not text in UTF-8") from None
    except (OSError, ValueError) as error:  # URLError is an OSError, and so are timeouts
        reason = getattr(error, "strerror", None) or getattr(error, "reason", None) or error
        hint = "a path, or a URL: https://, s3://, file://" if not isinstance(error, URLError) else ""
        raise SourceError(f"{shown}: cannot be read: {printable(str(reason))}", hint) from None


def _open(where: str) -> Any:  # noqa: ANN401  # fsspec's own file types
    import fsspec

    try:
        return fsspec.open(where, "rb").open()
    except ImportError as error:  # fsspec names the package that the protocol needs
        raise SourceError(f"{where}: cannot be read: {error}", "install that package into .venv") from None
    except (OSError, ValueError):
        raise
    except Exception as error:  # libraries behind fsspec have errors of their own: credentials, endpoints
        raise SourceError(f"{where}: cannot be read: {type(error).__name__}: {printable(str(error))}") from None


def _read(file: IO[bytes], shown: str, limit: int, deadline: float) -> bytes:
    content = b""
    while chunk := file.read(_CHUNK):
        content += chunk
        if len(content) > limit:
            raise SourceError(f"{shown}: larger than the {limit >> 20} MiB allowed", "is this the right file?")
        if time.monotonic() > deadline:
            raise SourceError(f"{shown}: took too long and was given up")
    return content


def _without_password(where: str) -> str:
    """A URL without its credentials, for messages and logs."""
    scheme, marker, rest = where.partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme}{marker}{host.rpartition('@')[2]}{slash}{path.partition('?')[0]}" if marker else where
