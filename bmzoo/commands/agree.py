"""`agree`: agreement of a lowered network with the float model on the selection pictures.

`kept` is what a goal is judged by: what is kept of AP as far as that can be told, else the agreement, or the cosine
for networks without a decoder. `evidence` is what it is made of, picture by picture.
"""

import json
import math
from pathlib import Path

from bmzoo.commands.measure import aligned, decoded, detection_figures, reference_heads, tensor_figures
from bmzoo.commands.requests import picture_size, read_request
from bmzoo.errors import VerifyFailed
from bmzoo.measure.comparisons.registry import comparison_of
from bmzoo.measure.nouns import NOUNS
from bmzoo.measure.npz import arrays
from bmzoo.measure.specs import decoder_spec
from bmzoo.measure.sureness import Evidence, Means, figure_of
from bmzoo.quantization.loss import Reference, added, total

# Average precision needs low scores, too; this is the lowest in published WIDER FACE results.
FAINT = 0.02
# Float detections with at least this score are the ground truth: also those below a display threshold of 0.5.
SURE = 0.1


def run(folder: Path, args: tuple[str, ...]) -> None:
    """Write `agreement.json`. Raises VerifyFailed when the outputs are not comparable."""
    request = read_request(folder, args[0])
    feeds = arrays(folder / "inputs.npz")
    reference = reference_heads(folder, feeds)
    number = len(next(iter(reference.values())))
    test = aligned(reference, arrays(folder / "outputs.npz"), "its MLIR")
    size = picture_size(request)
    spec = decoder_spec(request["decoder"], folder)
    noise, signal, cosines = [], [], []
    for index in range(number):
        one = Reference({name: head[index : index + 1] for name, head in reference.items()}, spec, size)
        heads = {name: head[index : index + 1] for name, head in test.items()}
        noise.append(one.noise(heads))
        signal.append(one.signal)
        cosines.append(min(one.cosines(heads).values()))
    figures = {
        "pictures": number,
        "loss": round(total(added(noise), added(signal)), 6),
        "cosine": round(sum(cosines) / number, 6),
        "tensors": tensor_figures(reference, test),
        "detections": detection_figures(folder, reference, test, request),
        "agreement": None,
    }
    evidence: Evidence = Means(tuple(cosines))
    wanted, found = (decoded(folder, heads, request, FAINT) for heads in (reference, test))
    row = comparison_of(wanted)
    if row is not None:
        evidence = row.evidence(wanted, found, SURE)
        share = figure_of(evidence, number)
        if not math.isfinite(share):
            what = row.what(wanted[0])
            none = NOUNS[what].none
            raise VerifyFailed(
                f"nothing was compared: the ONNX model {none} of at least {SURE:g} in {number} pictures",
                f"put pictures with {what} below quantization.images, where float layers are chosen by them",
            )
        figures["agreement"] = round(share, 6)
        evidence = row.kept(wanted, found) if row.kept is not None else evidence
    figures |= {"kept": round(figure_of(evidence, number), 6), "evidence": evidence.as_json()}
    (folder / "agreement.json").write_text(json.dumps(figures, indent=1, sort_keys=True), encoding="utf-8")
