"""All configs of a project: its models, those whose config is broken, and the settings of the whole."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bmzoo.config import model, project
from bmzoo.config.model import Model
from bmzoo.errors import BmzooError, ConfigError, nearest
from bmzoo.target import Target, parse


@dataclass(frozen=True)
class Catalogue:
    """What the folder `configs/` says. `broken`: model name -> what is wrong with its config."""

    models: Mapping[str, Model]
    broken: Mapping[str, BmzooError]
    _settings: project.ZooConfig | BmzooError
    _shown: str  # zoo.yaml, as people see it

    @staticmethod
    def read(folder: Path, root: Path, searches: frozenset[str]) -> "Catalogue":
        """Read every config. `searches`: which of search_methods.SEARCHES are installed."""
        models, broken = model.load_all(folder, root, searches)
        path = folder / project.FILE
        settings: project.ZooConfig | BmzooError
        try:
            settings = project.read_project(path, root)
        except BmzooError as error:
            settings = error
        return Catalogue(models, broken, settings, str(path.relative_to(root)))

    @property
    def settings(self) -> project.ZooConfig:
        """Settings of the whole project. Raises ConfigError."""
        if isinstance(self._settings, BmzooError):
            raise type(self._settings)(self._settings.message, self._settings.hint)
        return self._settings

    @property
    def preferred_weights(self) -> str | None:
        """The weights that the project prefers, where a model has them; None also where zoo.yaml is broken."""
        return None if isinstance(self._settings, BmzooError) else self._settings.weights

    @property
    def default_model(self) -> str:
        """The model whose targets need no name in front: as zoo.yaml says, or the first. Raises ConfigError."""
        named, names = self.settings.default_model, sorted([*self.models, *self.broken])
        if named is None:
            return names[0] if names else ""
        if named not in names:
            raise ConfigError(
                f"{self._shown}: default_model: no such model: {named}", f"models: {', '.join(names)}"
            )
        return named

    def store_url(self, environ: Mapping[str, str]) -> str | None:
        """Where results are shared; None where they are not. Raises ConfigError."""
        return project.store_url(self.settings, environ)

    def broken_one(self, text: str) -> BmzooError | None:
        """What is wrong with the config of the model that a name begins with; None where that is sound."""
        names = sorted([*self.models, *self.broken], key=len, reverse=True)
        fits = (name for name in names if text == name or text.startswith(f"{name}."))
        return self.broken.get(next(fits, "" if "." in text else self.default_model))

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
