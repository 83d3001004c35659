"""Where a model can come from, as its config says: its files, and drawn scenes in place of pictures."""

from itertools import combinations
from pathlib import Path, PurePosixPath
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from bmzoo.config.fields import Digest, Name, PathText, Section, as_tuple
from bmzoo.config.scene_sets import FIRST_TRAINED_SCENE, common, trained_on


class SceneRange(Section):
    """Drawn scenes by their seeds: `count` of them from `seed` on."""

    seed: Annotated[int, Field(ge=0, lt=FIRST_TRAINED_SCENE)]
    """The first scene; a million and more are what the project's own weights were trained on."""
    count: Annotated[int, Field(ge=1, le=10_000)]
    """How many scenes, each of the seed after the one before."""

    @property
    def seeds(self) -> range:
        return range(self.seed, self.seed + self.count)

    @model_validator(mode="after")
    def _unseen(self) -> "SceneRange":
        if problem := trained_on(self.seeds):
            raise ValueError(problem)
        return self


class SceneSets(Section):
    """Drawn scenes in place of the pictures that a section of the config names, in the size of the input; for a
    network that reads text, lines of Latin letters and digits.
    """

    calibration: SceneRange | None = None
    """In place of `calibration.images`."""
    quantization: SceneRange | None = None
    """In place of `quantization.images`."""
    verify: SceneRange | None = None
    """In place of `verify.images`."""
    evaluate: SceneRange | None = None
    """In place of `evaluate.truth`; where the faces are, or what the lines say, is known exactly."""

    @model_validator(mode="after")
    def _apart(self) -> "SceneSets":
        sets = [(name, found.seeds) for name, found in self if found is not None]
        for (one, seeds), (other, others) in combinations(sets, 2):
            if shared := common(seeds, others):
                raise ValueError(f"{one} and {other} overlap in the scenes {shared}")
        return self


Architecture = Literal["retinaface_mobilenet0.25", "retinaface_resnet50"]
# The key that names the graph of a file of weights, by suffix; an ONNX file has its own.
_GRAPH_OF = {".onnx": "", ".pth": "architecture", ".pt": "architecture", ".caffemodel": "prototxt"}


def _download_url(text: str) -> str:
    """A URL that weights may be fetched from. ValueError says why not."""
    parts = urlsplit(text)
    if parts.scheme != "https" or not parts.hostname:
        raise ValueError(f"not an https URL: {text}")
    if "@" in parts.netloc:  # it would be shown in messages and logs
        raise ValueError(f"credentials do not belong in a URL: https://...@{parts.hostname}")
    return text


def _path_inside(text: str) -> str:
    """A path below the folder of another file. ValueError says why not."""
    path = PurePosixPath(text)
    if path.is_absolute() or ".." in path.parts or str(path) != text or not text.isprintable():
        raise ValueError(f"not a path below the model's folder: {text!r}")
    return text


class ExternalDataFile(Section):
    """A file that an ONNX file keeps weights in."""

    file: Annotated[PathText, AfterValidator(_path_inside)]
    """Its path from the folder of the ONNX file, as that names it."""
    sha256: Digest
    """What the file must hold, as `sha256sum` prints it."""


class Prototxt(Section):
    """The network that a `.caffemodel` holds the weights of."""

    file: PathText
    """The deploy version, which begins with an Input; looked up as every file of a config."""
    sha256: Digest
    """What the file must hold, as `sha256sum` prints it."""
    url: Annotated[str, AfterValidator(_download_url)] | None = None
    """Where the file is fetched from when it is nowhere here."""


class Weights(Section):
    """One place that the model can come from. The first that is available is used.

    With `scenes`, what is made from them is calibrated, chosen, verified and evaluated on drawn scenes.
    """

    name: Name
    """Stands in the name of all that is made from these weights, and in tables and results."""
    file: PathText
    """An ONNX file, a checkpoint (`.pth`, `.pt`) or a `.caffemodel`, looked up as every file of a config."""
    sha256: Digest
    """What the file must hold, as `sha256sum` prints it."""
    url: Annotated[str, AfterValidator(_download_url)] | None = None
    """Where the file is fetched from when it is nowhere here; `https` only, never with `BMZOO_OFFLINE=1`."""
    obtain: Annotated[str, Field(min_length=1, max_length=500)] | None = None
    """How people get the file; shown when it is missing."""
    scenes: SceneSets | None = None
    """Drawn scenes in place of pictures."""
    external_data: Annotated[tuple[ExternalDataFile, ...], BeforeValidator(as_tuple)] = ()
    """All files that an ONNX file keeps weights in; found beside it without this, and then not pinned."""
    architecture: Architecture | None = None
    """The graph that a `.pth` state dict belongs to; an `.onnx` file brings its own."""
    prototxt: Prototxt | None = None
    """The graph that a `.caffemodel` belongs to."""

    # By the one key that differs among a model's weights: steps are looked up by them all the time.
    def __hash__(self) -> int:
        return hash(self.name)

    @model_validator(mode="after")
    def _kind(self) -> "Weights":
        suffix = Path(self.file).suffix
        if suffix not in _GRAPH_OF:
            raise ValueError(f"no ONNX file, no checkpoint (.pth) and no .caffemodel: {self.file}")
        for key in ("architecture", "prototxt"):
            if (_GRAPH_OF[suffix] == key) == (getattr(self, key) is None):
                need = f"needs {key}" if _GRAPH_OF[suffix] == key else f"leave out {key}: it is of other files"
                raise ValueError(f"{self.file}: {need}")
        names = [one.file for one in self.external_data]
        if names and suffix != ".onnx":
            raise ValueError(f"{self.file} has no external data: leave out external_data")
        if twice := [name for i, name in enumerate(names) if name in names[:i]]:
            raise ValueError(f"external_data names a file twice: {twice[0]}")
        return self
