"""A checkout at work: what its parts are, and how they are tied together. No work is done here."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from bmzoo.cluster import elsewhere
from bmzoo.config.catalogue import Catalogue
from bmzoo.config.model import Model
from bmzoo.config.options import Options
from bmzoo.execute.history import Last
from bmzoo.execute.int8_settings import with_settings
from bmzoo.execute.layout import Layout
from bmzoo.execute.published import Documents
from bmzoo.execute.toolchain import Toolchain, find_installation, installed_searches, opened
from bmzoo.plan.build import Recipe, recipe
from bmzoo.sources import cache
from bmzoo.sources.lookup import Sources
from bmzoo.sources.weights import WeightsInUse
from bmzoo.store.local import Store
from bmzoo.system.hashing import Digests
from bmzoo.target import Target

if TYPE_CHECKING:
    from bmzoo.cluster.client import Cluster
    from bmzoo.execute.builder import Builder
    from bmzoo.execute.run import RunReport
    from bmzoo.store.remote import Remote


@dataclass
class Workspace:
    """Everything that varies is a field: tests hand in another root, toolchain or report. Reads the configs."""

    root: Path
    environ: Mapping[str, str]
    report: "RunReport"
    options: Options = Options()
    toolchain_override: Toolchain | None = None
    apart: str = ""  # the version of a TPU-MLIR whose results lie apart, see Layout
    layout: Layout = field(init=False)
    searches: frozenset[str] = field(init=False)  # those of TPU-MLIR that are installed
    configs: Catalogue = field(init=False)
    models: Mapping[str, Model] = field(init=False)
    digests: Digests = field(init=False)
    documents: Documents = field(init=False, default_factory=Documents)
    last: Last = field(init=False)
    weights: WeightsInUse = field(init=False)
    _builders: dict[str, "Builder"] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self.layout = Layout(self.root, self.apart)
        self.digests = Digests(self.layout.memory)
        self.last = Last(self.layout)
        given = self.toolchain_override
        self._installation = find_installation(self.environ) if given is None else None
        self.searches = installed_searches(self._installation) if given is None else given.searches
        self.configs = Catalogue.read(self.layout.configs, self.root, self.searches)
        wanted, preferred, fetch = self.options.weights, self.configs.preferred_weights, cache.fetcher(self.environ)
        self.weights = WeightsInUse(wanted, preferred, self.sources, self.digests.of, fetch, self.report)
        self.models = with_settings(self.configs.models, self.layout, self.weights.likely)

    @cached_property
    def default_model(self) -> str:
        """The model that needs no name in front of its targets. Raises ConfigError."""
        return self.configs.default_model

    @cached_property
    def toolchain(self) -> Toolchain:
        """What runs steps. Raises ToolFailed when there is none."""
        return self.toolchain_override or opened(self._installation, self.digests, self.options.echo)

    @cached_property
    def remote(self) -> "Remote | None":
        """Where results are shared with other checkouts. Raises ConfigError."""
        return elsewhere.remote_at(self.configs.store_url(self.environ), self.report)

    @cached_property
    def store(self) -> Store:
        """Results of steps. Raises ConfigError."""
        return elsewhere.store_with(self.remote, self.layout.build)

    @cached_property
    def cluster(self) -> "Cluster | None":
        """Other machines that run the steps; None for this one. Raises ConfigError."""
        address = self.options.scheduler or self.environ.get("BMZOO_SCHEDULER")
        return elsewhere.cluster_at(address, self.store, self.remote, self.report)

    def sources(self, model: Model) -> Sources:
        """Where files named in a model's config are looked up, in order."""
        data = self.environ.get("BMZOO_DATA")
        folders = [model.path.parent, *([Path(data)] if data else []), self.layout.shared_data]
        return Sources(folders, self.layout.scenes, cache.folder(self.environ))

    def builder(self, model: Model | None) -> "Builder":
        """The builder of a model's steps, or of steps that read no files from outside. Raises BmzooError."""
        from bmzoo.execute.builder import Builder  # listing and planning do without

        name = model.name if model is not None else ""
        if name not in self._builders:
            sources, cluster = (self.sources(model), self.cluster) if model is not None else (Sources(()), None)
            self._builders[name] = Builder(
                *(self.toolchain, self.store, sources, self.digests, self.layout, self.report),
                *(cluster, self.last.note, self.options.locked, self.options.decided_with),
            )
        return self._builders[name]

    def target(self, text: str) -> Target:
        """The configured target of a name. Raises ConfigError, which says the nearest there is."""
        return self.configs.target(text)

    def model(self, target: Target) -> Model:
        """The model of a target, with what its config says for the weights in use. Raises SourceError."""
        return self.weights.using(self.models[target.model])

    def recipe(self, target: Target) -> Recipe:
        model = self.models[target.model]
        return recipe(model, target, self.weights.chosen(model))
