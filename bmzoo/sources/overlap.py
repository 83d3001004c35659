"""Sets of pictures that must not overlap: to calibrate with, to choose by, and to report on."""

from collections.abc import Callable, Sequence
from pathlib import Path

from bmzoo.config import scene_sets
from bmzoo.config.model import Model
from bmzoo.errors import ConfigError
from bmzoo.measure import groundtruth
from bmzoo.plan.fed import pictures
from bmzoo.plan.step import Tree
from bmzoo.sources.lookup import Sources

Digest = Callable[[Path], str]


def check_overlap(model: Model, sources: Sources, digest: Digest) -> None:
    """Raises ConfigError where pictures of one set are in another. The model is that for the weights in use.

    A network would be judged on what tuned it. Pictures of the first verdict may be among those to choose by.
    """
    config = model.config
    chosen = [("verify.images", config.verify.images), ("quantization.images", config.quantization.images)]
    sets = [(name, sources.pictures(pictures(images)).files) for name, images in chosen if images is not None]
    apart = _Apart(model, digest)
    if config.calibration is not None and config.calibration.images is not None:
        own = sources.pictures(pictures(config.calibration.images)).files
        for name, files in sets:
            apart.check("calibration.images", own, name, files)
        sets.append(("calibration.images", own))
    shown = _evaluated(model, sources)
    for name, files in sets:
        apart.check(name, files, "evaluate.truth", shown)


def _evaluated(model: Model, sources: Sources) -> Sequence[Path]:
    """Pictures with ground truth. Not drawn ones: their seeds are kept apart when the config is read."""
    settings = model.config.evaluate
    if settings is None or scene_sets.split(settings.truth) is not None or sources.find(settings.truth) is None:
        return ()
    folder, _ = groundtruth.tree(settings.truth)
    return tuple(sources.tree(Tree(folder)).values())


class _Apart:
    def __init__(self, model: Model, digest: Digest) -> None:
        self._where = f"configs/{model.path.name}"
        self._digest = digest

    def check(self, one: str, files: Sequence[Path], other: str, others: Sequence[Path]) -> None:
        if not others:
            return
        taken = {self._digest(path): path for path in files if path.is_file()}
        for path in others:
            if (digest := self._digest(path)) in taken:
                raise ConfigError(
                    f"{self._where}: {one} and {other} overlap: "
                    f"{taken[digest].name} and {path.name} are the same picture",
                    "keep calibration, selection and evaluation pictures apart",
                )
