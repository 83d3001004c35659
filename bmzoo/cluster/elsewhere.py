"""Results and steps in other places: a shared store, other machines. Most runs name none, and do not load them."""

from pathlib import Path
from typing import TYPE_CHECKING

from bmzoo.store.local import Store

if TYPE_CHECKING:
    from bmzoo.cluster.client import Cluster
    from bmzoo.execute.run import RunReport
    from bmzoo.store.remote import Remote


def remote_at(url: str | None, report: "RunReport") -> "Remote | None":
    """The shared store of a URL."""
    if url is None:
        return None
    from bmzoo.store.remote import Remote

    return Remote(url, report.warn)


def store_with(remote: "Remote | None", build: Path) -> Store:
    """The store in a build folder, and in front of a shared one."""
    if remote is None:
        return Store(build)
    from bmzoo.store.shared import SharedStore

    return SharedStore(build, remote)


def cluster_at(address: str | None, store: Store, remote: "Remote | None", report: "RunReport") -> "Cluster | None":
    """The machines of a scheduler. Raises ConfigError."""
    if not address:
        return None
    from bmzoo.cluster.client import Cluster

    return Cluster(address, store, remote, report)
