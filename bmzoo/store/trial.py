"""Whether a shared store can be used: asks it for an entry that is missing, then writes one and reads it back."""

import secrets
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from bmzoo.store import urls
from bmzoo.store.entry import MANIFEST, MAX_ENTRY_MANIFEST_BYTES
from bmzoo.store.remote_files import RemoteFiles
from bmzoo.store.shared_folder import closed_folders


@dataclass(frozen=True)
class Health:
    """What a trial found: why a store cannot be read, why not written, and which of its folders are closed."""

    reading: str = ""
    writing: str = ""
    closed: tuple[str, ...] = ()


def trial(files: RemoteFiles, folder: Path) -> Health:
    """Health check. Never fails. `folder` is an empty scratch folder."""
    denied = ""
    try:
        files.opened  # noqa: B018  # opens it
    except Exception as error:  # fsspec drivers have no common base class of errors
        denied = urls.cause(error, files.url)
        return Health(denied, denied)
    try:
        files.get(f"{files.folder('0' * 64)}/{MANIFEST}", folder / MANIFEST, MAX_ENTRY_MANIFEST_BYTES)
        return Health("answers for what it does not hold, such as a login page would", "not tried")
    except FileNotFoundError:
        pass
    except Exception as error:  # as above
        denied = urls.cause(error, files.url)
        if not urls.is_gone(error) and (not urls.is_denied(error) or files.scheme == "file"):
            return Health(denied, denied)
    if files.read_only:
        return Health(denied, "a web server is only read from")
    try:
        _try_writing(files, folder)
    except Exception as error:  # as above
        # Without the right to list, a bucket denies what is missing: only what was written can be told from it.
        return Health(denied, urls.cause(error, files.url))
    return Health(closed=tuple(closed_folders(Path(files.root))) if files.scheme == "file" else ())


def _try_writing(files: RemoteFiles, folder: Path) -> None:
    """Write a file as an entry's files are, read it, and leave nothing. Raises what the driver raises."""
    probe = f"{files.root}/.probe-{secrets.token_hex(8)}/content"
    (folder / "probe").write_text("bmzoo", encoding="utf-8")
    try:
        files.put(folder / "probe", probe)
        files.get(probe, folder / "back", MAX_ENTRY_MANIFEST_BYTES)
        files.remove(probe)
    finally:
        if files.scheme == "file":
            with suppress(OSError):
                Path(probe).parent.rmdir()
