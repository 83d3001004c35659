"""bmzoo.sail in the place of sophon.sail: for scripts that it runs, and for programs that others start."""

from __future__ import annotations

import importlib
import importlib.machinery
import os
import sys
from pathlib import Path
from types import ModuleType
from typing import List

import bmzoo.sail

# 1: bmzoo's is used where the vendor's is installed, too.
SHADOW = "BMZOO_SAIL_SHADOW"
# On $PYTHONPATH it makes `import sophon.sail` find bmzoo.sail.
HOOK = Path(__file__).resolve().parent / "hook"


def install() -> None:
    """Make `import sophon.sail` find bmzoo.sail in this process."""
    package = ModuleType("sophon", "Stands in for the package of a card's driver.")
    package.__path__ = []
    package.__spec__ = importlib.machinery.ModuleSpec("sophon", None, is_package=True)
    package.__dict__["sail"] = bmzoo.sail
    sys.modules.update({"sophon": package, "sophon.sail": bmzoo.sail})


def is_installed() -> bool:
    """Whether the vendor's sophon.sail is here."""
    package = importlib.machinery.PathFinder.find_spec("sophon", _other_paths())
    if package is None or package.submodule_search_locations is None:
        return False
    places = list(package.submodule_search_locations)
    return importlib.machinery.PathFinder.find_spec("sophon.sail", places) is not None


def answer(name: str) -> None:
    """What the hook's package `sophon` does when it is imported: give way to the vendor's, or to bmzoo's."""
    if os.environ.get(SHADOW) == "1" or not is_installed():
        install()
        return
    sys.path[:] = _other_paths()
    del sys.modules[name]
    importlib.import_module(name)


def _other_paths() -> List[str]:
    """Where modules are looked for, without the hook."""
    return [path for path in sys.path if Path(path or ".").resolve() != HOOK]
