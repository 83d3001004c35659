"""`vendor-start`: prepares what TPU-MLIR's search needs at its end, so that it does not fail there."""

import shlex
import shutil
from pathlib import Path

from bmzoo.errors import ToolFailed

# After the search, and before it writes its table, the tool draws the network with Graphviz, and crashes if `dot`
# fails. Debian's `dot` always fails (seen after 15 minutes of search): TPU-MLIR's LD_LIBRARY_PATH keeps it from
# loading its own plugins. The wrapper clears that variable, and ignores failures: nobody needs the drawing.
WRAPPER = """\
#!/bin/sh
unset LD_LIBRARY_PATH
{dot} "$@" || echo "dot: failed, so the network is not drawn" >&2
"""


def run(folder: Path, args: tuple[str, ...]) -> None:
    """Write `bin/dot`, which comes first on the tools' PATH, and `tool.table`, a calibration table they may modify.

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
    # Copied, as the input is a link into the store, whose files must not change.
    (folder / "tool.table").write_bytes((folder / "calibration.table").read_bytes())
