"""What `zoo` does."""

from collections.abc import Iterator

from bmzoo.errors import VerifyFailed
from bmzoo.release import committed_sums, inventory
from bmzoo.release.manifest import ZooManifest, manifest_json
from bmzoo.release.outcomes import Outcomes
from bmzoo.release.results_table import render
from bmzoo.results import reference
from bmzoo.results.left_out import left_out
from bmzoo.results.truth import has_truth
from bmzoo.system import files
from bmzoo.workspace import Workspace


def run_zoo(at: Workspace, outcomes: Outcomes) -> None:
    manifest = inventory.take(at, outcomes)
    layout = at.layout
    texts = {
        layout.manifest: manifest_json(manifest),
        layout.sums: sums(manifest),
        layout.results: render(manifest, reference.reference(at)),
    }
    for path, text in texts.items():
        if not path.is_file() or path.read_bytes() != text.encode():
            files.write(text, path)
    absent = left_out(at)
    for model in absent:
        how = "; ".join(f"{w.file}: {w.obtain or 'no word of where it is from'}" for w in model.config.weights)
        at.report.warn(f"{model.name}: left out: weights not here: {how}")
    for model in (one for one in at.models.values() if one not in absent):
        if model.config.evaluate is not None and not has_truth(at, model):
            truth = model.config.evaluate.truth
            at.report.warn(f"{model.name}: not evaluated: no ground truth on this machine: {truth}")
    _compare_bytes(at, manifest)
    whole = len(manifest.artifacts)
    good, asked = (sum(a.status == name for a in manifest.artifacts) for name in ("verified", "unverified"))
    bad = whole - good - asked
    said = f"{good} of {whole} targets verified" + (f", {asked} unverified as their configs say" if asked else "")
    if not bad and not manifest.broken:
        at.report.say(f"zoo: {said}: {layout.shown(layout.manifest)}")
        return
    raise VerifyFailed("\n".join([said, *_failures(at, manifest)]), f"see {layout.shown(layout.results)}")


def _compare_bytes(at: Workspace, manifest: ZooManifest) -> None:
    """Keep the committed digests current; under locked=yes artifacts of other bytes are an error."""
    path = at.layout.known_sums
    before = path.read_text(encoding="utf-8") if path.is_file() else ""
    toolchain, known = committed_sums.parse_sums(before)
    same = toolchain == at.toolchain.release
    other = committed_sums.differing(known if same else {}, manifest)
    shown = at.layout.shown(path)
    if other and at.options.locked:
        why = "" if same else f", made with {toolchain or 'nothing'} where this is {at.toolchain.release}"
        named = ", ".join(other[:4])
        raise VerifyFailed(
            f"{len(other)} artifacts have other bytes than {shown} says{why}, and locked=yes: {named}",
            "./doit zoo without locked=yes writes them; ./doit reproduce:TARGET says whether one is reproducible",
        )
    merged = committed_sums.merged(known if same else {}, manifest, whole=not left_out(at))
    text = committed_sums.text_of_sums(at.toolchain.release, merged)
    if text != before and not at.options.locked and manifest.artifacts:
        files.write(text, path)
        at.report.say(f"zoo: {shown}: {len(other)} artifacts have other bytes than before")


def _failures(at: Workspace, manifest: ZooManifest) -> Iterator[str]:
    for artifact in manifest.artifacts:
        if artifact.status not in ("verified", "unverified"):
            name = artifact.target.qualified(at.default_model)
            where = f" ({artifact.evidence})" if artifact.evidence else ""
            what = f"{artifact.status}, {artifact.stage}" if artifact.status != "failed" else artifact.stage
            yield f"  {name}: {what}: {artifact.cause}{where}"
    for model, why in sorted(manifest.broken.items()):
        yield f"  {model}: all targets: {why}"


def sums(manifest: ZooManifest) -> str:
    """Digests for `sha256sum -c` in `build/`, of every artifact that has not failed."""
    sound = [a for a in manifest.artifacts if a.status != "failed"]
    return "".join(f"{a.sha256}  {a.file}\n" for a in sorted(sound, key=lambda a: a.file))
