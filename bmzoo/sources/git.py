"""Which files git tracks."""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from bmzoo.errors import ToolFailed
from bmzoo.system import process

GIT_TIMEOUT = 60.0


def tracked(root: Path, environ: Mapping[str, str]) -> frozenset[Path] | None:
    """Tracked files below `root`; empty where there is no repository, None when git fails."""
    if not any((folder / ".git").exists() for folder in (root, *root.parents)):
        return frozenset()
    git = shutil.which("git")
    if git is None:
        return None
    # Only what git needs to find its settings (such as `safe.directory`); never the whole environment.
    env = {key: environ[key] for key in ("PATH", "HOME") if key in environ}
    with TemporaryDirectory() as folder:
        out = Path(folder) / "names"
        call = process.Call((git, "ls-files", "-z"), root, Path(folder) / "log", env, out, GIT_TIMEOUT)
        try:
            if process.run(call):
                return None
        except ToolFailed:
            return None
        names = out.read_bytes().split(b"\0")
    return frozenset(root / os.fsdecode(name) for name in names if name)
