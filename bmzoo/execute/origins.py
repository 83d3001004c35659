"""Where a step's inputs come from, in the words of people: files by their names at the source. Pure."""

from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath

from bmzoo.plan.step import ExternalData, File, Output, Pictures, Step


def origins(step: Step, names: Iterable[str], pictures: Mapping[str, str]) -> dict[str, str]:
    """Name in the step's folder -> its origin: `faces/a.jpg`, `model.mlir of transform tiny.given 1b`.

    pictures: name inside the step's folder of pictures -> name at the source.
    """
    refs = dict(step.inputs)
    found = {}
    for name in names:
        ref, inside = refs.get(name), ""
        if ref is None:
            top, _, inside = name.partition("/")
            ref = refs[top]
        if isinstance(ref, Output):
            found[name] = f"{ref.file} of {ref.step}"
        elif isinstance(ref, File):
            found[name] = ref.path
        elif isinstance(ref, ExternalData):
            found[name] = str(PurePosixPath(ref.model.path).parent / inside)
        else:
            found[name] = f"{ref.folder}/{pictures[inside] if isinstance(ref, Pictures) else inside}"
    return found
