"""A checkout at work: its models, toolchain, store and sources, and what all targets of a model share."""

import json
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path, PurePosixPath
from typing import Any

from bmzoo.cluster.client import Cluster
from bmzoo.config import model as config
from bmzoo.config import project, scene_sets
from bmzoo.config.model import Model
from bmzoo.config.schema import Weights
from bmzoo.config.search_methods import LOCKED
from bmzoo.errors import BmzooError, ConfigError, ToolFailed, nearest
from bmzoo.execute.builder import Builder, Report
from bmzoo.execute.history import Last
from bmzoo.execute.layout import Layout
from bmzoo.execute.toolchain import LocalToolchain, Toolchain, find_installation, searches_of
from bmzoo.plan.build import Recipe, recipe
from bmzoo.plan.shared import calibrate_step, import_step, pictures, tables
from bmzoo.plan.step import Step, Tree
from bmzoo.quantization.tables import bare_choice
from bmzoo.results import calibration
from bmzoo.results.provenance import Told
from bmzoo.sources import download
from bmzoo.sources.lookup import Sources
from bmzoo.sources.weights import Choice, Fetch, choose
from bmzoo.store.local import Entry, Store
from bmzoo.store.remote import Remote
from bmzoo.store.shared import SharedStore
from bmzoo.system import files
from bmzoo.system.files import cannot_write
from bmzoo.system.hashing import Digests
from bmzoo.target import Target, parse

DEFAULT_MODEL = "retinaface_mobilenet0.25"


@dataclass
class Workspace:
    """Everything that varies is a field: tests hand in another root, toolchain or report."""

    root: Path
    environ: Mapping[str, str]
    report: Report
    weights: str | None = None  # `weights=NAME` on the command line
    echo: bool = False  # `echo=yes` there: show what the tools print
    scheduler: str | None = None  # `scheduler=ADDRESS` there: where steps run
    toolchain_override: Toolchain | None = None
    layout: Layout = field(init=False)
    _choices: dict[str, Choice | BmzooError] = field(init=False, default_factory=dict)  # by model
    _announced: set[str] = field(init=False, default_factory=set)  # models
    _choosing: threading.Lock = field(init=False, default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.layout = Layout(self.root)

    @cached_property
    def _loaded(self) -> tuple[dict[str, Model], dict[str, BmzooError]]:
        return config.load_all(self.layout.configs, self.root, self._searches)

    @property
    def _searches(self) -> frozenset[str]:
        """The vendor's searches that are installed; those of the locked version where nothing is."""
        if self.toolchain_override is not None:
            return self.toolchain_override.searches
        installation = find_installation(self.environ)
        return searches_of(installation.root) if installation is not None else LOCKED

    @property
    def models(self) -> Mapping[str, Model]:
        return self._loaded[0]

    @property
    def broken(self) -> Mapping[str, BmzooError]:
        """Model name -> what is wrong with its config."""
        return self._loaded[1]

    @cached_property
    def settings(self) -> project.ZooConfig:
        """Settings of the whole project. Raises ConfigError."""
        return project.read(self.layout.configs / project.FILE, self.root)

    @cached_property
    def default_model(self) -> str:
        """The model that needs no name in front of its targets: `default_model` in zoo.yaml, or the first."""
        named = self.settings.default_model
        names = [*self.models, *self.broken]
        if named is not None and named not in names:
            shown = self.layout.shown(self.layout.configs / project.FILE)
            raise ConfigError(f"{shown}: default_model: no such model: {named}", f"models: {', '.join(names)}")
        if named is not None:
            return named
        return DEFAULT_MODEL if DEFAULT_MODEL in names or not names else names[0]

    @cached_property
    def digests(self) -> Digests:
        return Digests(self.layout.memory)

    @cached_property
    def toolchain(self) -> Toolchain:
        """The toolchain that runs steps. Raises ToolFailed when there is none."""
        if self.toolchain_override is not None:
            return self.toolchain_override
        installation = find_installation(self.environ)
        if installation is None:
            raise ToolFailed("TPU-MLIR is not installed here", "start bmzoo with ./doit, which installs it")
        return LocalToolchain(installation, self.digests, echo=self.echo)

    @cached_property
    def remote(self) -> Remote | None:
        """Where results are shared with other checkouts. Raises ConfigError."""
        url = project.store_url(self.settings, self.environ)
        return Remote(url, self.report.warn) if url is not None else None

    @cached_property
    def store(self) -> Store:
        remote = self.remote
        store = Store(self.layout.build) if remote is None else SharedStore(self.layout.build, remote)
        store.sweep()
        return store

    @cached_property
    def cluster(self) -> Cluster | None:
        """Other machines that run the steps; None for this one. Raises ConfigError."""
        address = self.scheduler or self.environ.get("BMZOO_SCHEDULER")
        return Cluster(address, self.store, self.remote, self.report) if address else None

    def sources(self, model: Model) -> Sources:
        """Where files named in a model's config are looked up, in order."""
        data = self.environ.get("BMZOO_DATA")
        folders = [model.path.parent, *([Path(data)] if data else []), self.layout.shared_data]
        return Sources(folders, self.layout.scenes, download.folder(self.environ))

    def builder(self, model: Model) -> Builder:
        builders = self._builders
        if model.name not in builders:
            builder = Builder(
                self.toolchain, self.store, self.sources(model), self.digests, self.layout, self.report
            )
            builder.elsewhere = self._committed_table
            builder.executor = self.cluster
            builder.noted = self.last.note
            builders[model.name] = builder
        return builders[model.name]

    @cached_property
    def told(self) -> Told:
        """What was published before."""
        return Told()

    @cached_property
    def last(self) -> Last:
        return Last(self.layout)

    def plain_builder(self) -> Builder:
        """A builder for steps that read no files from outside."""
        return Builder(self.toolchain, self.store, Sources(()), self.digests, self.layout, self.report)

    @cached_property
    def _builders(self) -> dict[str, Builder]:
        return {}

    def target(self, text: str) -> Target:
        """The configured target of a name. ConfigError says why not, and the nearest there is."""
        target = parse(text, self.default_model)
        if target.model in self.broken:
            raise self.broken[target.model]
        if target.model not in self.models:
            guess = nearest(target.model, self.models)
            raise ConfigError(
                f"{text}: no such model: {target.model}",
                f"did you mean {guess}?" if guess else f"models: {', '.join(self.models)}",
            )
        targets = self.models[target.model].targets
        if target not in targets:
            guess = nearest(str(target), map(str, targets))
            raise ConfigError(
                f"{text}: not a target in configs/{target.model}.yaml",
                f"nearest there: {guess}" if guess else "./doit list --all shows every target",
            )
        return target

    def chosen(self, model: Model) -> Weights:
        """The weights in use, fetched if need be; found once for a run. Raises SourceError when none are here."""
        with self._choosing:
            known = self._choices.get(model.name)
            if known is None:
                known = self._choices[model.name] = self._choice(model)
        if isinstance(known, BmzooError):
            raise type(known)(known.message, known.hint)
        return known.weights

    def _choice(self, model: Model) -> Choice | BmzooError:
        offline = self.environ.get(download.OFFLINE, "") not in ("", "0")
        fetch = partial(download.fetch, into=download.folder(self.environ))
        try:
            choice = self._choose(model, None if offline else fetch)
        except BmzooError as error:
            return error
        for problem in choice.problems:
            self.report.warn(f"{model.name}: {problem}")
        return choice

    def _choose(self, model: Model, fetch: Fetch | None) -> Choice:
        wanted, listed = self.settings.weights, [w.name for w in model.config.weights]
        wanted = self.weights or (wanted if wanted in listed else None)
        return choose(self.sources(model), model.config.weights, wanted, self.digests.of, fetch)

    def likely(self, model: Model) -> Weights:
        """The weights in use, or the first of the list where none are here: for plans and listings."""
        known = self._choices.get(model.name)
        if isinstance(known, Choice):
            return known.weights
        try:
            return self._choose(model, None).weights
        except BmzooError:
            return model.config.weights[0]

    def using(self, model: Model) -> Model:
        """The model with what its config says for the weights in use. Raises SourceError."""
        return config.using(model, self.chosen(model))

    def model(self, target: Target) -> Model:
        """The model of a target, with what its config says for the weights in use. Raises SourceError."""
        return self.using(self.models[target.model])

    def announce(self, model: Model) -> None:
        """Say once in a run which weights are used, where there is a choice. Raises SourceError."""
        weights, listed = self.chosen(model), model.config.weights
        with self._choosing:
            if len(listed) == 1 or model.name in self._announced:
                return
            self._announced.add(model.name)
        world = ", judged on drawn scenes" if weights.scenes is not None else ""
        before = [w.name for w in listed[: listed.index(weights)]]
        absent = f"; not here: {', '.join(before)}" if before and not self.weights else ""
        self.report.say(f"weights: {model.name}: {weights.name}{world}{absent}")

    def recipe(self, target: Target) -> Recipe:
        model = self.models[target.model]
        return recipe(model, target, self.chosen(model))

    def is_source(self, model: Model, weights: Weights) -> bool:
        """Whether `models/onnx/<model>.<weights>.onnx` is what the model is imported from, and so never written."""
        path = self.layout.onnx(model.name, weights.name)
        found = self.sources(model).find(weights.file)
        return found is not None and path.exists() and found.samefile(path)

    def open(self) -> None:
        """Make `build/`, where everything made goes. Raises StoreError."""
        try:
            self.layout.build.mkdir(exist_ok=True)
        except OSError as error:
            raise cannot_write(self.layout.build, error) from None

    def close(self) -> None:
        """Keep what was learned about files for the next run."""
        self.digests.save()

    # --- making things -----------------------------------------------------------------------------------

    def make_model(self, model: Model) -> None:
        """`models/onnx/<model>.<weights>.onnx`."""
        self.announce(model)
        weights = self.chosen(model)
        entry = self.builder(model).run(import_step(model, weights))
        if not self.is_source(model, weights):
            files.copy(entry.path("model.onnx"), self.layout.onnx(model.name, weights.name))

    def make_table(self, model: Model) -> None:
        """`calibration/<model>.<weights>.table`, tied to its inputs by two lines on top; one for each quantizer."""
        self.announce(model)
        weights = self.chosen(model)
        wanted = {quantizer: self.layout.table(model.name, weights.name, quantizer) for quantizer in tables(model)}
        for path in wanted.values():
            if path.exists() and not calibration.is_our_table(path.read_text(encoding="utf-8", errors="replace")):
                raise ConfigError(
                    f"{self.layout.shown(path)}: written or edited by hand, so it is not overwritten",
                    f"name it below `calibration` as `table` in {self.layout.shown(model.path)}, or remove it",
                )
        self.check_image_sets(model)
        for quantizer, path in wanted.items():
            entry = self.builder(model).run(calibrate_step(model, weights, quantizer))
            files.write(calibration.table_text(entry), path)

    def make_step(self, model: Model, step: Step) -> None:
        self.announce(model)
        self.builder(model).run(step)

    # --- is it there already? ----------------------------------------------------------------------------

    def has_step(self, model: Model, step: Step) -> bool:
        return self.builder(model).find(step) is not None

    def has_model(self, model: Model) -> bool:
        weights = self.chosen(model)
        entry = self.builder(model).find(import_step(model, weights))
        path = self.layout.onnx(model.name, weights.name)
        return entry is not None and (self.is_source(model, weights) or self.holds(path, entry.files["model.onnx"]))

    def has_table(self, model: Model) -> bool:
        weights = self.chosen(model)
        return all(self._has_table(model, weights, quantizer) for quantizer in tables(model))

    def _has_table(self, model: Model, weights: Weights, quantizer: str) -> bool:
        entry = self.builder(model).find(calibrate_step(model, weights, quantizer))
        path = self.layout.table(model.name, weights.name, quantizer)
        return (
            entry is not None
            and path.is_file()
            and path.read_text(encoding="utf-8") == calibration.table_text(entry)
        )

    def holds(self, path: Path, digest: str) -> bool:
        """Whether a file is there with this content."""
        try:
            return self.digests.of(path) == digest
        except OSError:
            return False

    # --- details -----------------------------------------------------------------------------------------

    def _committed_table(self, step: Step, fingerprint: str, folder: Path) -> bool:
        """A table in the checkout that was made from these very inputs saves making it again."""
        if step.kind not in ("calibrate", "cut"):
            return False
        if "mixed.qtable" in step.outputs and "calibration.table" in step.outputs:
            return False  # only the qtable is committed, and it is nothing without its thresholds
        model, _, rest = step.subject.rpartition(".")
        weights, _, chip = rest.partition(" ")
        place = self.layout.qtable if step.kind == "cut" else self.layout.table
        path = place(model, weights, chip)
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            return False
        content = calibration.table_content(text, fingerprint)
        if content is None:
            return False
        (folder / step.outputs[0]).write_text(content, encoding="utf-8")
        if step.kind == "cut":
            (folder / "choice.json").write_text(json.dumps(bare_choice(content)), encoding="utf-8")
        return True

    def check_image_sets(self, model: Model) -> None:
        """Pictures to calibrate, to choose by and to report on must not overlap. Raises ConfigError.

        A network would be judged on what tuned it. Pictures of the first verdict may be among those to choose by.
        """
        config, sources = self.using(model).config, self.sources(model)
        chosen = [("verify.images", config.verify.images)]
        if config.quantization.images is not None:
            chosen.append(("quantization.images", config.quantization.images))
        sets = [(name, sources.pictures(pictures(images)).files) for name, images in chosen]
        if config.calibration is not None and config.calibration.images is not None:
            own = sources.pictures(pictures(config.calibration.images)).files
            for name, files in sets:
                self._check_apart(model, "calibration.images", own, name, files)
            sets.append(("calibration.images", own))
        # Drawn scenes are kept apart by their seeds when the config is read; drawing them to compare takes long.
        if (
            config.evaluate is not None
            and scene_sets.split(config.evaluate.truth) is None
            and sources.find(config.evaluate.truth) is not None
        ):
            truth = PurePosixPath(config.evaluate.truth)
            folder = str(truth.parent if truth.suffix == ".json" else truth)
            shown = tuple(sources.tree(Tree(folder)).values())
            for name, files in sets:
                self._check_apart(model, name, files, "evaluate.truth", shown)

    def _check_apart(
        self, model: Model, one: str, files: Sequence[Path], other: str, others: Sequence[Path]
    ) -> None:
        taken = {self.digests.of(path): path for path in files if path.is_file()}
        for path in others:
            if (digest := self.digests.of(path)) in taken:
                raise ConfigError(
                    f"configs/{model.path.name}: {one} and {other} overlap: "
                    f"{taken[digest].name} and {path.name} are the same picture",
                    "keep calibration, selection and evaluation pictures apart",
                )


def read_json(entry: Entry, name: str) -> Any:  # noqa: ANN401  # documents of our own steps
    """A JSON file of a step's result."""
    return json.loads(entry.path(name).read_text(encoding="utf-8"))
