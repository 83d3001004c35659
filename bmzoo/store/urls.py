"""fsspec drivers of shared stores: requirements, opening, and messages for their errors."""

from contextlib import suppress
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from stat import S_IMODE, S_ISGID
from typing import Any
from urllib.parse import urlsplit

from bmzoo.errors import ConfigError

CONNECT_TIMEOUT, READ_TIMEOUT = 5.0, 30.0  # seconds
# Scheme -> package of its driver, where that is not part of fsspec.
DRIVERS = {"s3": "s3fs", "http": "aiohttp", "https": "aiohttp"}
READ_ONLY = ("http", "https")
# How often s3fs asks when there is no answer; its own five times of READ_TIMEOUT are minutes.
TRIES = 2
# In the names of drivers' errors: no connection comes about.
_AWAY = (
    "EndpointConnection",
    "ConnectTimeout",
    "ConnectionTimeout",
    "ClientConnector",
    "ProxyConnection",
    "DNS",
    "SSL",
)


def scheme(url: str) -> str:
    """The URL's scheme; a plain path is a `file`."""
    return urlsplit(url).scheme or "file"


def require(url: str) -> None:
    """Raises ConfigError when the driver is not installed."""
    driver = DRIVERS.get(scheme(url))
    if driver is not None and find_spec(driver) is None:
        # s3fs is released together with fsspec, under the same version, and works with that version only.
        pin = f"s3fs=={version('fsspec')}" if driver == "s3fs" else driver
        raise ConfigError(f"store: {driver} is not installed: {url}", f".venv/bin/pip install {pin}")


def open_url(url: str) -> tuple[Any, str]:
    """A file system and the root in it. Importing a driver takes about a second."""
    from fsspec.core import url_to_fs

    kind = scheme(url)
    options: dict[str, Any] = {"skip_instance_cache": True, "use_listings_cache": False}
    if kind == "s3":
        timeouts = {"connect_timeout": CONNECT_TIMEOUT, "read_timeout": READ_TIMEOUT}
        options["config_kwargs"] = {**timeouts, "retries": {"max_attempts": 1}}
    if kind in READ_ONLY:
        from aiohttp import ClientTimeout

        timeout = ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT, sock_read=READ_TIMEOUT)
        options["client_kwargs"] = {"timeout": timeout}
    fs, root = url_to_fs(url, **options)
    if kind == "s3":
        fs.retries = TRIES
    if kind == "file":  # created here, but never its parent, which may be the mount point of a missing mount
        _make_root(Path(root))
    return fs, str(root).rstrip("/")


def _make_root(root: Path) -> None:
    """A new root is as open as its parent where that is a group's, which its setgid bit says."""
    try:
        root.mkdir()
    except FileExistsError:
        return
    mode = root.parent.stat().st_mode
    if mode & S_ISGID:
        with suppress(OSError):
            root.chmod(S_IMODE(mode))


def cause(error: Exception, url: str) -> str:
    """One-line cause of a driver's error."""
    name, text = type(error).__name__, str(error).partition("\n")[0][:200]
    if is_unreachable(error):
        return f"cannot be reached ({text or name})"
    if is_denied(error):
        check = ": check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and what they may do there"
        return f"access denied ({text or name}){check if scheme(url) == 's3' else ''}"
    if isinstance(error, OSError) and error.strerror:
        return f"cannot be used: {error.strerror}"
    return f"cannot be used: {name}: {text}"


def is_unreachable(error: Exception) -> bool:
    """Whether a connection failed or broke; every driver has its own classes for that."""
    words = ("Connect", "Disconnected", "Timeout", "DNS")
    return isinstance(error, TimeoutError | ConnectionError) or any(w in type(error).__name__ for w in words)


def is_away(error: Exception) -> bool:
    """Whether nothing can be asked of the store: no connection comes about, or nobody said who asks."""
    names = [kind.__name__ for kind in type(error).__mro__]
    return isinstance(error, ConnectionRefusedError) or any(word in name for word in _AWAY for name in names)


def is_denied(error: Exception) -> bool:
    """Whether the store says no to this question. Some say so of whatever is missing."""
    denied = isinstance(error, PermissionError) or getattr(error, "status", 0) in (401, 403)
    return denied or "Credentials" in type(error).__name__


def is_gone(error: Exception) -> bool:
    """Whether the store says that something is not there any more."""
    return getattr(error, "status", 0) == 410
