"""Toolchains for benchmarks of bmzoo itself, where no compiler is to run."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path

from bmzoo.commands.registry import COMMANDS
from bmzoo.config.search_methods import LOCKED
from bmzoo.errors import ToolFailed
from bmzoo.execute.toolchain import Toolchain
from bmzoo.plan.step import Command

# What a search for float layers writes: the fake tools have no layers to search, and it is slow.
SEARCHED = {
    "rank": {"ranking.json": json.dumps({"layers": [], "pictures": 1})},
    "choose": {"path.json": json.dumps({"choices": [], "alone": {}, "pictures": 1})},
    "cut": {"mixed.qtable": "# no layer\n", "choice.json": json.dumps({"layers": [], "mode": "F32", "rows": []})},
}


class Disguised:
    """The tools of one toolchain under the name of another, so that the other one finds everything made."""

    def __init__(self, name: Toolchain, tools: Toolchain) -> None:
        self._name = name
        self._tools = tools

    @property
    def version(self) -> str:
        return self._name.version

    @property
    def release(self) -> str:
        return self._name.release

    @property
    def searches(self) -> frozenset[str]:
        return self._name.searches

    @property
    def environment(self) -> Mapping[str, str]:
        return self._name.environment

    def identity(self, tool: str) -> str:
        return self._name.identity(tool)

    def run(self, command: Command, folder: Path, log: Path, timeout: float) -> None:
        if command.tool in SEARCHED:
            for name, text in SEARCHED[command.tool].items():
                (folder / name).write_text(text, encoding="utf-8")
        elif command.tool == "equalize":  # slow as well, and its result is as good as its input here
            shutil.copyfile(folder / command.args[0], folder / "model.onnx")
        else:
            self._tools.run(command, folder, log, timeout)


class Idle:
    """Has the names of the tests' fake tools and runs nothing: where all is made, nothing is missed."""

    version = release = "fake 1"
    searches = LOCKED
    environment: Mapping[str, str] = {}

    def identity(self, tool: str) -> str:
        own = COMMANDS.get(tool)
        return f"bmzoo {tool}" if own is not None and not own.installation else self.version

    def run(self, command: Command, folder: Path, log: Path, timeout: float) -> None:
        raise ToolFailed(f"{command.tool}: was to run, though nothing had changed")
