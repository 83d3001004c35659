"""A small project that changes in every way that a build may have to notice."""

import hashlib
import json
import os
import random
import shutil
import struct
import zlib
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from pathlib import Path

from conftest import Project, Silent, draw

from bmzoo.plan.step import Step
from bmzoo.runtime.preprocess import InputSpec, prepare, read_image
from bmzoo.system.hashing import sha256
from bmzoo.workspace import Workspace

INT8, FP32 = "bm1688_int8_2b", "bm1684_fp32_1b"
CONFIG = """\
# {comment}
weights: [{{name: given, file: model.onnx, sha256: {digest}}}]
input: {{height: 32, width: 32, mean: {mean}}}
decoder: {{kind: none}}
calibration: {{images: {{folder: pictures/calibration}}, minimum: 2, method: {method}}}
verify:
  images: {{folder: pictures/selection}}
  thresholds: [{{cosine: {cosine}, iou: {iou}}}]
targets:
  - {{chip: bm1688, precision: int8, batch: 2, deploy: {flags}}}
  - {{chip: bm1684, precision: fp32, batch: 1}}
"""


@dataclass
class State:
    """All that a build depends on, and some that it does not."""

    comment: str = "nothing"
    mean: list[int] = field(default_factory=lambda: [0, 0, 0])
    method: str = "kl"
    cosine: float = 0.9
    iou: float = 0.5
    flags: list[str] = field(default_factory=list)
    version: str = "fake 1"
    reaching: str = "C"
    unread: str = "vi"  # a variable of the user's that no tool sees


def pixels(content: str) -> str:
    return content.partition("+")[0]


class Names(Silent):
    """A report that keeps the steps' whole names."""

    def finished(self, step: Step, seconds: float, where: str = "") -> None:
        self.steps.append(str(step))


class World:
    """The small project, everything in it that changes, and what is in its pictures."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self.state = State()
        self.random = random.Random(20_000_101)
        self.expected = Expected()
        self.digest = sha256(project.data / "model.onnx")
        self.names = Names()
        project.report = self.names
        # What is in a picture: `<seed>` and, after a plus sign, a number in a chunk that viewers ignore.
        self.content: dict[Path, str] = {}
        for folder in ("calibration", "selection"):
            for path in (project.data / "pictures" / folder).iterdir():
                self.paint(path, f"{folder}{path.stem}")
        self.configure()

    def paint(self, path: Path, content: str) -> None:
        draw(path, pixels(content))
        _, plus, number = content.partition("+")
        if plus:
            text = b"tEXt" + f"n\0{number}".encode()
            chunk = struct.pack(">I", len(text) - 4) + text + struct.pack(">I", zlib.crc32(text))
            path.write_bytes(path.read_bytes()[:-12] + chunk + path.read_bytes()[-12:])
        self.content[path] = content

    def configure(self) -> None:
        state = vars(self.state)
        self.project.config.write_text(CONFIG.format(**state, digest=self.digest))
        self.project.toolchain.version = self.state.version
        self.project.toolchain.environment = {"LANG": self.state.reaching}

    def folder(self, name: str) -> list[Path]:
        return sorted(path for path in self.content if path.parent.name == name)

    def pictures(self) -> dict[str, list[str]]:
        return {name: [self.content[p] for p in self.folder(name)] for name in ("calibration", "selection")}

    def threshold(self) -> str:
        """What the fake calibration finds now, as the table says it."""
        paths = sorted(self.folder("calibration"), key=sha256)
        return f"{calibrated(tuple(paths), tuple(self.state.mean)):.3g}"

    def open(self) -> Workspace:
        self.names.steps.clear()
        at = self.project.open()
        at.environ = {**at.environ, "EDITOR": self.state.unread}
        return at


def byte_in_a_picture(w: World) -> None:
    path = w.random.choice(list(w.content))
    w.paint(path, f"{pixels(w.content[path])}+{w.random.randrange(3)}")


def another_picture(w: World) -> None:
    path = w.random.choice(list(w.content))
    w.paint(path, f"{path.parent.name}{path.stem}, view {w.random.randrange(5)}")


def picture_added(w: World) -> None:
    folder = w.project.data / "pictures" / w.random.choice(["calibration", "selection"])
    path = folder / f"{w.random.randrange(20)}.png"
    w.paint(path, f"{folder.name}{path.stem}")


def picture_removed(w: World) -> None:
    files = w.folder(w.random.choice(["calibration", "selection"]))
    if len(files) > 3:
        path = w.random.choice(files)
        path.unlink()
        del w.content[path]


def picture_renamed(w: World) -> None:
    path = w.random.choice(list(w.content))
    other = path.with_name(f"{w.random.randrange(20)}.png")
    if other not in w.content:
        path.rename(other)
        w.content[other] = w.content.pop(path)


def flag(w: World) -> None:
    w.state.flags = w.random.choice([[], ["--high_precision"], ["--high_precision", "--disable_layer_group"]])


def mean(w: World) -> None:
    w.state.mean = w.random.choice([[0, 0, 0], [1, 2, 3]])


def method(w: World) -> None:
    w.state.method = w.random.choice(["kl", "mse", "max"])


def tool_version(w: World) -> None:
    w.state.version = f"fake {w.random.randrange(3)}"


def variable_that_reaches_tools(w: World) -> None:
    w.state.reaching = w.random.choice(["C", "de_DE"])


def variable_that_does_not(w: World) -> None:
    w.state.unread = f"ed{w.random.random()}"


def comment(w: World) -> None:
    w.state.comment = f"said {w.random.random()}"


def touched_file(w: World) -> None:
    files = [*w.content, w.project.config, w.project.data / "model.onnx", *w.project.root.glob("build/BM*/*")]
    os.utime(w.random.choice(sorted(files)))


def threshold(w: World) -> None:
    w.state.cosine = round(w.random.uniform(0.5, 0.95), 3)


def threshold_that_figures_depend_on(w: World) -> None:
    w.state.iou = w.random.choice([0.4, 0.5, 0.6])


def artifact_damaged(w: World) -> None:
    for path in w.project.root.glob(f"build/BM*/*{w.random.choice(['.bmodel', '.json'])}"):
        path.write_bytes(path.read_bytes()[:-9])


def artifact_deleted(w: World) -> None:
    for path in w.project.root.glob(f"build/BM*/*{w.random.choice(['.bmodel', '.json'])}"):
        path.unlink()


def result_lost(w: World) -> None:
    """One step's results, all of them, are gone or damaged: where they are referred to, they are made again."""
    name = w.random.choice(sorted(w.expected.known))
    damaged = w.random.random() < 0.5
    for manifest in w.project.root.glob("build/store/*/*/manifest.json"):
        told = json.loads(manifest.read_text())
        if told["facts"]["step"] == name and damaged:
            path = manifest.parent / min(told["files"])
            path.chmod(0o644)
            path.write_bytes(path.read_bytes() + b"!")
        elif told["facts"]["step"] == name:
            shutil.rmtree(manifest.parent)
    w.expected.known[name].clear()


def index_lost(w: World) -> None:
    for path in w.project.root.glob("build/last/*"):
        path.write_text("{]") if w.random.random() < 0.5 else path.unlink()


CHANGES: tuple[Callable[[World], None], ...] = (
    *(byte_in_a_picture, another_picture, picture_added, picture_removed, picture_renamed, flag, mean, method),
    *(tool_version, variable_that_reaches_tools, variable_that_does_not, comment, touched_file, threshold),
    *(threshold_that_figures_depend_on, artifact_damaged, artifact_deleted, result_lost, index_lost),
)


def calibrated(paths: tuple[Path, ...], offset: tuple[int, ...]) -> float:
    """The fake calibration's threshold for these pictures."""
    spec = InputSpec(32, 32, "bgr", tuple(map(float, offset)), (1.0, 1.0, 1.0), "letterbox")
    total = hashlib.sha256()
    for path in paths:
        total.update(prepare(read_image(path), spec)[0][None].tobytes())
    return 1 + int(total.hexdigest()[:4], 16) / 65536


class Expected:
    """Which steps have to run: those that read something that they have not been run on before."""

    def __init__(self) -> None:
        self.known: dict[str, set[Hashable]] = {}
        self.committed: Hashable = None

    def build(self, state: State, pictures: dict[str, list[str]], threshold: str) -> set[str]:
        """Steps that run now, by kind and subject.

        `pictures`: digests of each folder's, in order of names. `threshold`: what a calibration finds now.
        """
        mean, tools = tuple(state.mean), (state.version, state.reaching)
        ran: set[str] = set()

        def step(name: str, *reads: Hashable) -> None:
            # A decision is recognised by its sources: not by the variables that reach its tools.
            key = reads if name.startswith("calibrate") else (state.reaching, reads)
            known = self.known.setdefault(name, set())
            taken = name == "calibrate tiny.given" and key == self.committed
            if key not in known and not taken:
                ran.add(name)
            known.add(key)

        step("import tiny.given", mean)  # always gives the same
        step("transform tiny.given 1b", tools, mean)  # the fake one does not look at the mean
        step("transform tiny.given 2b", tools, mean)
        step("calibrate tiny.given", *self._calibration(state, pictures))
        bmodels = {INT8: (tuple(state.flags), threshold), FP32: ()}
        for target, bmodel in bmodels.items():
            shown = tuple(pictures["selection"][: 2 if target == INT8 else 1])
            step(f"deploy tiny.given {target}", tools, bmodel)
            step(f"simulate tiny.given {target}", tools, mean, shown, bmodel)
            # Pictures that differ in a byte only look the same: the step after them need not run.
            step(f"measure tiny.given {target}", mean, state.iou, tuple(map(pixels, shown)))
        return ran

    def committed_table(self, state: State, pictures: dict[str, list[str]]) -> None:
        self.committed = self._calibration(state, pictures)

    def _calibration(self, state: State, pictures: dict[str, list[str]]) -> tuple[Hashable, ...]:
        """Whatever the names of the pictures are, and so their order."""
        return state.version, tuple(state.mean), state.method, tuple(sorted(pictures["calibration"]))
