"""What an error of a shared store costs: an entry, writing, or all of the store; each kind is said once."""

import errno
import threading
from collections.abc import Callable

from bmzoo.store import urls
from bmzoo.store.entry import Damaged, NotAManifest, WebPage

PATIENCE = 3  # entries in a row that may fail before the store is given up
# What a directory says that takes nothing more, from anybody; not EFBIG, as other files may be smaller.
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)


class Trouble:
    """Troubles with one store: what still can be done with it. Safe for threads.

    `reads`, `writes`: whether there is still a point in trying. `warn` is called once for each kind of trouble,
    with the first of it.
    """

    def __init__(self, url: str, warn: Callable[[str], None]) -> None:
        self._url = url
        self._scheme = urls.scheme(url)
        self._warn = warn
        self.reads = True
        self.writes = self._scheme not in urls.READ_ONLY
        self._said: set[str] = set()  # kinds of trouble
        self._failed = 0  # entries in a row
        self._lock = threading.Lock()

    def over(self) -> None:
        """An entry went well."""
        self._failed = 0

    def unopened(self, error: Exception) -> None:
        """The store cannot be opened: all of it is given up."""
        self._give_up(error, "going on without it", reads=True)

    def unsound(self, damage: Damaged, fingerprint: str) -> None:
        """An entry that is not as it was made, or an answer of a server that is about something else."""
        answer = self._scheme in urls.READ_ONLY and isinstance(damage, NotAManifest)
        if answer or isinstance(damage, WebPage):
            self._once("answer", f"{damage}; what is answered so counts as missing", fingerprint)
        else:
            self._warn(f"store {self._url}: {fingerprint[:16]} is not used, it is damaged: {damage}")

    def unread(self, error: Exception, fingerprint: str) -> None:
        """An entry that could not be read."""
        if urls.is_denied(error):
            so = "what is denied counts as missing"
            if self._scheme == "s3":
                so += ", as what is missing is denied without s3:ListBucket; results may not be shared"
            self._once("denied", f"{urls.cause(error, self._url)}; {so}", fingerprint)
        elif urls.is_away(error) or self.runs_out():
            self._give_up(error, "going on without it", reads=True)
        else:
            self._once("failed", f"{urls.cause(error, self._url)}; it counts as missing", fingerprint)

    def unshared(self, error: Exception, fingerprint: str) -> None:
        """An entry that could not be written; the store may still be readable."""
        denied, so = urls.is_denied(error), "results of this run are not shared"
        if denied and self._scheme == "file":  # another user's folder: the others may be open
            self._once("closed", f"not shared: {urls.cause(error, self._url)}", fingerprint, "")
        elif denied and "denied" in self._said:
            self.writes = False
        elif denied or urls.is_away(error) or isinstance(error, FileNotFoundError) or _is_full(error):
            self._give_up(error, so, reads=urls.is_away(error))
        elif self.runs_out():
            self._give_up(error, so, reads=urls.is_unreachable(error))
        else:
            self._once("unshared", f"not shared: {urls.cause(error, self._url)}", fingerprint, "")

    def runs_out(self) -> bool:
        """Count an entry that failed; whether there have been PATIENCE in a row."""
        with self._lock:
            self._failed += 1
            return self._failed >= PATIENCE

    def _once(self, kind: str, said: str, fingerprint: str, so: str = "is not used, ") -> None:
        """Warn of the first trouble of a kind."""
        with self._lock:
            news = kind not in self._said
            self._said.add(kind)
        if news:
            self._warn(f"store {self._url}: {fingerprint[:16]} {so}{said}")

    def _give_up(self, error: Exception, so: str, reads: bool) -> None:
        """Stop writing to the store, and reading from it too if `reads`. Only the first call warns."""
        with self._lock:
            news = self.reads if reads else self.writes
            self.writes = False
            self.reads = self.reads and not reads
        if news:
            self._warn(f"store {self._url}: {urls.cause(error, self._url)}; {so}")


def _is_full(error: Exception) -> bool:
    return isinstance(error, OSError) and error.errno in _FULL
