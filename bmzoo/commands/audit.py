"""`audit`: whether a network is fed as it was trained, by what it does with pictures fed in other ways.

No ground truth is used. Each way that was tried is kept, so that a kill loses only one of them.
"""

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import astuple, dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
from numpy.typing import NDArray

from bmzoo.commands.prepare import input_spec
from bmzoo.commands.requests import model_facts, read_request
from bmzoo.commands.tensor_samples import tensor_sources
from bmzoo.errors import ConfigError, SourceError
from bmzoo.measure.audit.alternatives import alternatives
from bmzoo.measure.audit.findings import Shown, audit_document
from bmzoo.measure.audit.framing import AS_GIVEN, Framing, are_distorted
from bmzoo.measure.audit.judgement import judged
from bmzoo.measure.audit.likeness import Likeness
from bmzoo.measure.audit.loudness import Heard
from bmzoo.measure.audit.trials import AskedNetwork, Attempt, Listener, hopeless
from bmzoo.measure.picture_statistics import nearly_same, of_folder, statistics
from bmzoo.measure.specs import decoder_spec
from bmzoo.onnx_import.first_layer import first_layer
from bmzoo.runtime.engines.session import OnnxSession
from bmzoo.runtime.preprocess import InputSpec, read_image
from bmzoo.system.partial import Pieces

# Pictures are reduced to so many times the network's longer side: they are all held at once.
_LARGER = 2

Picture = NDArray[np.uint8]
Section = Mapping[str, Any]


def run(folder: Path, args: tuple[str, ...]) -> None:
    """Write `audit.json`. Raises BmzooError."""
    request = read_request(folder, args[0])
    longest = max(request["input"]["height"], request["input"]["width"])
    names = json.loads((folder / "pictures.json").read_text(encoding="utf-8"))
    pictures, warnings = _read(folder / "pictures", longest, names)
    if not pictures:
        raise SourceError(f"{names['folder']}: no picture that can be read", "; ".join(warnings[:3]))
    (folder / "warnings.json").write_text(json.dumps(warnings), encoding="utf-8")
    own = [statistics(one) for one in pictures.values()]
    pairs = nearly_same(list(pictures.values()))
    again = {second for _, second in pairs}
    different = [one for index, one in enumerate(pictures.values()) if index not in again]
    shown = Shown(len(pictures), len(different), own, of_folder(folder / "verify"), str(request["where"]))
    with ExitStack() as stack:
        network = _network(stack, folder, request, different)
        told = _audited(folder, network, request["input"], shown)
    told["copies"] = [[list(pictures)[a], list(pictures)[b]] for a, b in pairs]
    (folder / "audit.json").write_text(json.dumps(told, indent=1), encoding="utf-8")


def _audited(folder: Path, network: AskedNetwork, section: Section, shown: Shown) -> dict[str, Any]:
    judge = network.judge(input_spec(section))
    crops = judge is not None and judge.turned

    def others(now: Section) -> list[Any]:
        return [one for one in alternatives(now, crops) if _fits(one.of(now))]

    tried = others(section)
    attempts = _Attempts(network, judge, Pieces(folder, len(tried) + 1))
    result = judged(section, others, attempts, _least(network, judge, section))
    beside = _verified(folder / "verify", network, judge, input_spec(result.section))
    shown = replace(shown, beside=beside)
    return audit_document(section, result, judge, shown, len(tried), network.listener is not None)


def _verified(
    folder: Path, network: AskedNetwork, judge: Likeness | None, spec: InputSpec
) -> NDArray[np.float64] | None:
    """What is found in each picture of `verify`; None where there are none, or no judge. Raises SessionError."""
    if judge is None or not folder.is_dir():
        return None
    pictures, _ = _read(folder, max(spec.height, spec.width), {})  # who verifies warns of those that cannot be read
    return replace(network, pictures=list(pictures.values())).tried(spec, judge).found if pictures else None


def _least(network: AskedNetwork, judge: Likeness | None, section: Section) -> float | None:
    """In how much something is found, where the network says where things are that would be distorted."""
    if judge is None or not judge.mirrored:
        return None
    return judge.least if are_distorted(network.pictures, section["height"], section["width"]) else None


def _fits(section: Section) -> bool:
    """Whether the numbers are some that a network of its type can be fed: integers take few."""
    try:
        input_spec(section)
    except ConfigError:
        return False
    return True


@dataclass
class _Attempts:
    """Trials by what is fed, each made once."""

    network: AskedNetwork
    judge: Likeness | None
    pieces: Pieces

    def __call__(self, section: Section, beside: NDArray[np.float64] | None, framing: Framing) -> Attempt:
        asked = [section, *([astuple(framing)] if framing != AS_GIVEN else [])]
        name = hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()[:16]
        told = self.pieces.find(name)
        trial = _trial(told) if told is not None else None
        if trial is None or (trial.given_up and not hopeless(trial.found, beside)):
            trial = self.network.tried(input_spec(section), self.judge, beside, framing)
            self.pieces.keep(name, _told(trial))
        return trial


def _told(trial: Attempt) -> dict[str, Any]:
    apart = trial.heard.apart if trial.heard is not None else None
    return {
        "found": None if trial.found is None else trial.found.tolist(),
        "ratio": None if trial.heard is None else trial.heard.ratio,
        "apart": None if apart is None else apart.tolist(),
        "given_up": trial.given_up,
    }


def _trial(told: Mapping[str, Any]) -> Attempt:
    found, apart = (None if told[key] is None else np.array(told[key]) for key in ("found", "apart"))
    return Attempt(found, None if told["ratio"] is None else Heard(told["ratio"], apart), told["given_up"])


def _network(
    stack: ExitStack, folder: Path, request: Mapping[str, Any], pictures: Sequence[Picture]
) -> AskedNetwork:
    facts = model_facts(folder)
    sources = tensor_sources(folder, request, facts)
    session = stack.enter_context(closing(OnnxSession(folder / "model.onnx", threads=1)))
    layer, listener = first_layer(onnx.load(str(folder / "model.onnx"))), None
    if layer is not None and facts["input"] in {port.name for port in layer.model.graph.input}:
        heard = stack.enter_context(closing(OnnxSession(layer.model.SerializeToString(), threads=1)))
        listener = Listener(heard, layer.mean, layer.deviation, layer.bias)
    decoder = decoder_spec(request["decoder"], folder)
    others = {one.name: one for one in sources}

    def feeds(index: int) -> dict[str, NDArray[Any]]:
        return {name: one.sample(index) for name, one in others.items()}

    threads = len(os.sched_getaffinity(0))
    return AskedNetwork(session, listener, facts["input"], decoder, pictures, feeds, threads)


def _read(folder: Path, longest: int, names: Mapping[str, str]) -> tuple[dict[str, Picture], list[str]]:
    """Pictures that can be read, by the names that people know them by, and what is wrong with the others."""
    found: dict[str, Picture] = {}
    warnings = []
    for path in sorted(folder.iterdir()):
        try:
            found[names.get(path.name, path.name)] = reduced(read_image(path), longest)
        except SourceError as error:
            warnings.append(f"{names.get(path.name, path.name)}: skipped: {error.message.partition(': ')[2]}")
    return found, warnings


def reduced(picture: Picture, longest: int) -> Picture:
    """A picture, uint8 [H,W,3], no larger than an input of that side can make use of."""
    ratio = _LARGER * longest / max(picture.shape[:2])
    if ratio >= 1:
        return picture
    size = (max(1, round(picture.shape[1] * ratio)), max(1, round(picture.shape[0] * ratio)))
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)
