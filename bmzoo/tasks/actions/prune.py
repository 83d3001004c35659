"""What `prune` does."""

import sys

from bmzoo.release import prune as pruning
from bmzoo.sources.git import tracked
from bmzoo.workspace import Workspace


def run_prune(at: Workspace, confirmed: bool) -> None:
    found = pruning.find_orphans(at, tracked(at.root, at.environ))
    if confirmed:
        pruning.remove(found)
    for line in pruning.lines(found, at.layout, removed=confirmed):
        sys.stdout.write(f"{line}\n")
