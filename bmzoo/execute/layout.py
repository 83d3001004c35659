"""Every path that the project reads or writes, from the checkout's root."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from bmzoo.plan.step import Step
from bmzoo.store.local import Store
from bmzoo.system.files import cannot_write
from bmzoo.target import Target

# The quantizer that most chips have: its calibration table goes without a mark.
COMMON = "bm1684x"


@dataclass(frozen=True)
class Layout:
    """Paths below the checkout; see docs/tasks.md for what lies where.

    `version`: of a TPU-MLIR whose zoo stands apart, in `build/upgrade/<version>`; empty for the checkout's own.
    """

    root: Path
    version: str = ""

    @property
    def configs(self) -> Path:
        return self.root / "configs"

    @cached_property  # every target asks for many paths below
    def build(self) -> Path:
        return self.upgrade / self.version if self.version else self.root / "build"

    @property
    def upgrade(self) -> Path:
        """Zoos of other versions of TPU-MLIR, and comparisons of them."""
        return self.root / "build" / "upgrade"

    def toolchain(self, version: str) -> Path:
        """Another version of TPU-MLIR, as tools/toolchain.py puts it there."""
        return self.root / "build" / "toolchains" / version

    def capabilities(self, version: str) -> Path:
        """What the tools of a version understand."""
        return self.root / "build" / "toolchains" / f"{version}.json"

    @property
    def memory(self) -> Path:
        """Digests of files that have not changed since they were last read."""
        return self.root / "build" / "cache" / "digests.json"

    @property
    def scenes(self) -> Path:
        """Sets of drawn scenes."""
        return self.root / "build" / "cache" / "scenes"

    def make_build(self) -> None:
        """Make `build/`, where everything made goes, and clear it of what a kill left. Raises BmzooError."""
        try:
            self.build.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise cannot_write(self.build, error) from None
        Store(self.build).sweep()

    def partial(self, fingerprint: str) -> Path:
        """What an interrupted step has finished so far."""
        return self.build / "partial" / fingerprint

    def qtable(self, model: str, weights: str, chip: str) -> Path:
        return self.root / "qtables" / f"{model}.{weights}.{chip}.qtable"

    @property
    def shared_data(self) -> Path:
        return self.root.parent / "shared" / "data"

    def artifact(self, target: Target) -> Path:
        return self.build / target.artifact

    def combined(self, targets: Sequence[Target]) -> Path:
        """Artifacts that differ in batch only, in one file; beside it lies a .json as every artifact has."""
        path, batches = Path(targets[0].artifact), "_".join(f"{target.batch}b" for target in targets)
        head, _, tail = path.name.rpartition(f"_{targets[0].batch}b")
        return self.build / "combined" / path.with_name(f"{head}_{batches}{tail}")

    def provenance(self, target: Target) -> Path:
        return self.build / f"{target.stem}.json"

    def profile(self, target: Target) -> Path:
        """The compiler's times by core and layer."""
        return self.build / f"{target.stem}.profile.json"

    def verification(self, target: Target) -> Path:
        return self.build / f"{target.stem}.verify.json"

    def export(self, target: Target) -> Path:
        """The archive for a board."""
        return self.build / "export" / f"{target.stem}.tar"

    def audit(self, model: str, weights: str) -> Path:
        """Whether the preprocessing is the network's own."""
        return self.build / "audit" / f"{model}.{weights}.json"

    def evaluation(self, model: str, weights: str, engine: str) -> Path:
        """Average precision of one engine: `onnx`, or `<chip>_<precision>` for a lowering."""
        return self.build / "eval" / f"{model}.{weights}.{engine}.json"

    def tuning(self, name: str) -> Path:
        """What `tune` found, by <model>.<weights>.<chip>."""
        return self.build / "tune" / name

    def bench(self, network: Path) -> Path:
        """Times of a network, an artifact or an imported model."""
        name = network.stem if network.suffix == ".onnx" else f"{network.parent.name}.{network.stem}"
        return self.build / "bench" / f"{name}.json"

    @property
    def junit(self) -> Path:
        """The verdicts of the last run that verified something, for CI."""
        return self.build / "verify.xml"

    @property
    def manifest(self) -> Path:
        """Every target with what it came to, as `zoo` leaves it."""
        return self.build / "zoo.json"

    @property
    def sums(self) -> Path:
        """sha256 of every sound artifact, for `sha256sum -c`."""
        return self.build / "SHA256SUMS"

    @property
    def known_sums(self) -> Path:
        """The committed sha256 of every artifact, by weights: see release/committed_sums.py."""
        return self.configs / "artifacts.sha256"

    @property
    def results(self) -> Path:
        """The manifest as tables for people."""
        return self.build / "RESULTS.md"

    @property
    def published_tables(self) -> Path:
        """The published tables with ours beside them, in English."""
        return self.build / "TABLES.md"

    @property
    def report(self) -> Path:
        """The zoo as pages for a browser."""
        return self.build / "report"

    @property
    def difference(self) -> Path:
        """What `diff` found, as JSON; the same for CI stands beside it as `.xml`."""
        return self.build / "diff.json"

    def onnx(self, model: str, weights: str) -> Path:
        return self.root / "models" / "onnx" / f"{model}.{weights}.onnx"

    def table(self, model: str, weights: str, quantizer: str = "") -> Path:
        """The calibration table. `quantizer`: whose it is, where one network does not serve all of them."""
        own = f".{quantizer}" if quantizer not in ("", COMMON) else ""
        return self.root / "calibration" / f"{model}.{weights}{own}.table"

    def scales(self, model: str, weights: str, quantizer: str) -> Path:
        """By what the channels of a quantizer's network are divided."""
        return self.table(model, weights, quantizer).with_suffix(".scales")

    def int8_settings(self, model: str, weights: str) -> Path:
        """How INT8 is calibrated and searched where the config does not say."""
        return self.root / "calibration" / f"{model}.{weights}.int8"

    def decision(self, step: Step) -> Path:
        """The committed file of a step that makes a decision."""
        about = step.subject
        if step.kind == "settings":
            return self.int8_settings(about.model, about.weights)
        place = {"scales": self.scales, "calibrate": self.table, "cut": self.qtable}[step.kind]
        return place(about.model, about.weights, about.chip)

    def log(self, step: Step) -> Path:
        """The log of a step's last successful run."""
        return self.build / "logs" / f"{_file_name(step)}.log"

    def last(self, step: Step) -> Path:
        """What a step's last result was made from."""
        return self.build / f"last/{_file_name(step)}.json"

    def evidence(self, step: Step) -> Path:
        """The scratch folder of a step's last failure, kept for a look."""
        return self.failed / _file_name(step)

    @property
    def failed(self) -> Path:
        """Where all that failed is kept for a look."""
        return self.build / "failed"

    def refused(self, target: Target) -> Path:
        """An artifact that was not published, with what it was judged by."""
        return self.failed / target.stem

    def irreproducible(self, target: Target) -> Path:
        """Artifacts of one target that differ though they must not."""
        return self.failed / f"{target.stem}.reproduce"

    def shown(self, path: Path) -> str:
        """A path as people see it: relative to the checkout where it lies inside."""
        return str(path.relative_to(self.root)) if path.is_relative_to(self.root) else str(path)


def _file_name(step: Step) -> str:
    return str(step).replace(" ", ".")
