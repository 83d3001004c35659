"""`vendor-start`: what TPU-MLIR's search would miss only after it has searched, made ready before."""

import shlex
import shutil
from pathlib import Path

from bmzoo.errors import ToolFailed

# The search draws the network in the end, before it writes its table, and fails with `dot`. Nobody needs the
# drawing, so a `dot` that fails costs nothing; and TPU-MLIR's libraries, which come first in the search's
# environment, keep Debian's `dot` from loading its own plugins.
WRAPPER = """\
#!/bin/sh
unset LD_LIBRARY_PATH
{dot} "$@" || echo "dot: failed, so the network is not drawn" >&2
"""


def run(folder: Path, args: tuple[str, ...]) -> None:
    """Write `bin/dot`, which the tools find first, and `tool.table`, a calibration table that they may write to.

    Raises ToolFailed when there is no `dot`.
    """
    dot = shutil.which("dot")
    if dot is None:
        raise ToolFailed(
            "dot: no such program, and TPU-MLIR's search for float layers fails without it after it has searched",
            "apt-get install graphviz; method: bmzoo needs none",
        )
    wrapper = folder / "bin" / "dot"
    wrapper.parent.mkdir()
    wrapper.write_text(WRAPPER.format(dot=shlex.quote(dot)), encoding="utf-8")
    wrapper.chmod(0o755)
    # The input is a link into the store.
    (folder / "tool.table").write_bytes((folder / "calibration.table").read_bytes())
