"""`import`: converts a pinned checkpoint or ONNX file to `model.onnx`, within the config's contract."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import onnx

from bmzoo.onnx_import import contract, retinaface
from bmzoo.onnx_import.batches import Settled, batch_of, settle
from bmzoo.onnx_import.branches import without_branches
from bmzoo.onnx_import.caffe import load_caffe
from bmzoo.onnx_import.checkpoint import load_state_dict
from bmzoo.onnx_import.cut import copied, cut
from bmzoo.onnx_import.fed_inputs import Fed, described, is_plain, settle_inputs
from bmzoo.onnx_import.names import rename
from bmzoo.onnx_import.offers import Offer, offer
from bmzoo.onnx_import.onnx_file import io_signature
from bmzoo.onnx_import.ports import check_outputs
from bmzoo.onnx_import.ranks import give_ranks
from bmzoo.onnx_import.resizes import rewritten_resizes
from bmzoo.onnx_import.samples import Feeds, network_feeds, stacked

# Below the step's folder: the external data of the source.
EXTERNAL = "external"


def run(folder: Path, args: tuple[str, ...]) -> None:
    """Write `model.onnx` and `model.json` (inputs, outputs, and what was renamed). Raises SourceError."""
    request = json.loads((folder / args[0]).read_text(encoding="utf-8"))
    shown = request["shown"]
    source, model, fed = _model(folder, request)
    renamed = rename(model)
    settled = settle(model, fed.picture, request["batches"], shown, renamed)
    offered = _offered(source, request, settled, renamed)
    (folder / "model.onnx").write_bytes(settled.model.SerializeToString(deterministic=True))
    now = {before: after for after, before in renamed.items()}
    plain = is_plain(fed, request["input"])
    signature = {
        "input": now.get(fed.name, fed.name) or None,
        **({} if plain else {"inputs": described(settled.model, fed, now)}),
        "outputs": [o.name for o in model.graph.output],
        **({"renamed": renamed} if renamed else {}),
        **_told(settled),
        **({"offer": offered.document()} if offered else {}),
    }
    (folder / "warnings.json").write_text(json.dumps(_warnings(shown, offered, settled)), encoding="utf-8")
    (folder / "model.json").write_text(json.dumps(signature, indent=1), encoding="utf-8")


def _model(folder: Path, request: Mapping[str, Any]) -> tuple[onnx.ModelProto | None, onnx.ModelProto, Fed]:
    """The file as it is given, None for a checkpoint; what it holds, within the contract; and how it is fed."""
    shown, spec = request["shown"], request["input"]
    source = folder / request["source"]
    if request["architecture"]:
        state = load_state_dict(source, shown)
        model = retinaface.build(state, spec["height"], spec["width"], request["architecture"])
        model = cut(model, request["outputs"], shown) if request.get("outputs") else model
        return None, model, settle_inputs(model, request, shown)
    given = model = _given(folder, request)
    if request.get("outputs"):
        model = cut(model, request["outputs"], shown)
    fed = settle_inputs(model, request, shown)  # first, as much of what is wrong with a model comes from this
    check_outputs(model, shown)
    feeds = _feeds(model, fed.picture)
    give_ranks(model, feeds[0])
    model = without_branches(model, feeds[0], shown)
    if request.get("contract") == "toolchain":
        conforming = contract.as_toolchain_reads(model, shown)
    else:
        conforming = contract.conform(model, shown, feeds)
    found = rewritten_resizes(conforming, feeds[0])
    return given, copied(found) if found is given else found, fed


def _given(folder: Path, request: Mapping[str, Any]) -> onnx.ModelProto:
    """The ONNX file, or what a Caffe network is in ONNX."""
    source, shown = folder / request["source"], request["shown"]
    if network := request.get("prototxt"):
        return load_caffe(folder / "source.prototxt", source, (network, shown), request["input"] or {})
    return contract.load_onnx(source, shown, folder / EXTERNAL)


def _feeds(model: onnx.ModelProto, spec: Mapping[str, Any] | None) -> list[Feeds]:
    """What a conversion is tried on: a batch as the model holds it; one picture and two where it is free."""
    ports, size = io_signature(model).inputs, batch_of(model)
    rows = [network_feeds(ports, spec, seed) for seed in range(max(2, size))]
    return [stacked(rows[:number]) for number in ((size,) if size else (1, 2))]


def _offered(
    given: onnx.ModelProto | None, request: Mapping[str, Any], settled: Settled, renamed: Mapping[str, str]
) -> Offer | None:
    """The cut that INT8 needs, in names of the given file; None where the config names one already."""
    if given is None or request.get("outputs"):
        return None
    return offer(given, {renamed.get(name, name): value for name, value in settled.seen.items()})


def _warnings(shown: str, offered: Offer | None, settled: Settled) -> list[str]:
    """What a user should know of an import, shown when it runs."""
    told = [f"{shown}: {offered.told}"] if offered else []
    if settled.reshaped:
        names = ", ".join(f"`{name}`" for name in settled.reshaped)
        told.append(f"{shown}: {names}: one dimension more in front, for the picture")
    return told


def _told(settled: Settled) -> dict[str, Any]:
    """What of a batch is not as in most models: held at a size, freed, outputs that did not begin with it."""
    return {
        **({"batch": settled.batch} if settled.batch else {}),
        **({"batch_freed": True} if settled.freed else {}),
        **({"outputs_without_batch": list(settled.reshaped)} if settled.reshaped else {}),
    }
