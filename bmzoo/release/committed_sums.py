"""Digests of artifacts as committed in `configs/artifacts.sha256`, so that other bytes are seen. Pure.

# tpu_mlir 1.30.2
<sha256>  <weights>/<chip>/<artifact>
"""

from collections.abc import Mapping

from bmzoo.release.manifest import ZooManifest

Sums = dict[str, str]  # `<weights>/<chip>/<artifact>` -> sha256


def parse_sums(text: str) -> tuple[str, Sums]:
    """The toolchain's version, and the digests made with it. A file that is not of this form gives none."""
    first, _, rest = text.partition("\n")
    rows = (line.split("  ", 1) for line in rest.splitlines())
    return first.removeprefix("# "), {row[1]: row[0] for row in rows if len(row) == 2}


def text_of_sums(toolchain: str, sums: Mapping[str, str]) -> str:
    return "\n".join([f"# {toolchain}", *(f"{sums[name]}  {name}" for name in sorted(sums))]) + "\n"


def of(manifest: ZooManifest) -> Sums:
    """Digests of all artifacts that have not failed."""
    sound = (a for a in manifest.artifacts if a.status != "failed" and a.sha256 is not None)
    return {f"{a.weights}/{a.file}": str(a.sha256) for a in sound}


def merged(known: Mapping[str, str], manifest: ZooManifest, whole: bool = True) -> Sums:
    """What is known with what a manifest says. Targets of its weights that it does not have are left out.

    `whole`: no model was left out of the zoo; else what is not in the manifest may be such a model's.
    """
    partial = manifest.broken or not whole
    weights = {a.weights for a in manifest.artifacts}
    there = {f"{a.weights}/{a.file}" for a in manifest.artifacts}
    others = {n: d for n, d in known.items() if n.partition("/")[0] not in weights or n in there or partial}
    return {**others, **of(manifest)}


def differing(known: Mapping[str, str], manifest: ZooManifest) -> list[str]:
    """Artifacts whose bytes are not the known ones, or that are not known."""
    return sorted(name for name, digest in of(manifest).items() if known.get(name) != digest)
