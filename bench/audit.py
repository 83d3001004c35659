"""How many planted faults `audit` names, and how often it names one in a config that is right: bench/audit.json.

    python bench/audit.py [MODEL...] [--pictures=N] [--memory=FOLDER]

Eight faults a model, as far as it can have them: channels in the other order, a scale that is off by 255, the mean
forgotten, the mean in another unit (that of what comes out, or of 0 to 1), stretched for letterboxed or the other
way round, padding of another colour, pictures of nothing (clouds of colour), five pictures. Rules were chosen while
looking at some of the models (`CHOSEN_ON`), and had nothing of the others. False alarms are also
counted over random 16 of the pictures: what is found in each picture is taken from the run over all.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from bmzoo.commands import audit as command  # noqa: E402
from bmzoo.commands.prepare import input_spec  # noqa: E402
from bmzoo.commands.requests import read_request  # noqa: E402
from bmzoo.config.model import Model  # noqa: E402
from bmzoo.measure.audit.alternatives import AXES, alternatives  # noqa: E402
from bmzoo.measure.audit.findings import Shown, audit_document  # noqa: E402
from bmzoo.measure.audit.framing import AS_GIVEN, Framing  # noqa: E402
from bmzoo.measure.audit.judgement import judged  # noqa: E402
from bmzoo.measure.audit.trials import AskedNetwork, Attempt  # noqa: E402
from bmzoo.measure.picture_statistics import nearly_same, statistics  # noqa: E402
from bmzoo.measure.stages import machine  # noqa: E402
from bmzoo.plan.audit import audit_pictures, audit_step  # noqa: E402
from bmzoo.plan.decoding import decoder_files  # noqa: E402
from bmzoo.plan.fed import pictures as pictures_of  # noqa: E402
from bmzoo.plan.shared import import_step  # noqa: E402
from bmzoo.runtime.preprocess import read_image  # noqa: E402
from bmzoo.system.partial import Pieces  # noqa: E402
from bmzoo.tasks.progress import Progress  # noqa: E402
from bmzoo.workspace import Workspace  # noqa: E402

CHOSEN_ON = (
    *("ultraface_rfb_320", "yunet_n_320", "yolox_nano", "yolov5n", "retinaface_mobilenet0.25"),
    *("retinaface_mnet25_caffe", "deeplabv3", "ppocr_v3_det", "orinet"),
)
JUDGED_ON = ("ppocr_v4_rec",)
SETS, OF = 20, 16
FEW = 5
Section = dict[str, Any]


class Study:
    """A model with its pictures, and everything that was tried with it, kept between runs below `memory`."""

    def __init__(self, stack: ExitStack, at: Workspace, name: str, count: int, memory: Path) -> None:
        model = at.weights.using(at.models[name])
        weights = at.weights.chosen(model)
        self.folder = memory / name
        self.folder.mkdir(parents=True, exist_ok=True)
        self._link(at, model)
        step = audit_step(at.models[name], weights, count)
        (self.folder / "request.json").write_text(dict(step.documents)["request.json"], encoding="utf-8")
        self.request = read_request(self.folder, "request.json")
        self.section: Section = dict(self.request["input"])
        longest = max(self.section["height"], self.section["width"])
        asked = audit_pictures(model)
        assert asked is not None
        files = at.sources(model).pictures(replace(pictures_of(asked[1]), count=count)).files
        shown = [command.reduced(read_image(path), longest) for path in files]
        again = {second for _, second in nearly_same(shown)}
        self.pictures = [one for index, one in enumerate(shown) if index not in again]
        self._stack = stack

    def _link(self, at: Workspace, model: Model) -> None:
        weights = at.weights.chosen(model)
        entry = at.builder(model).run(import_step(at.models[model.name], weights))
        given = {name: entry.path(name) for name in ("model.onnx", "model.json")}
        given |= {name: at.sources(model).files(file)[0] for name, file in decoder_files(model)}
        for name, path in given.items():
            (self.folder / name).unlink(missing_ok=True)
            (self.folder / name).symlink_to(path.absolute())

    def audit(self, section: Section, pictures: Sequence[Any], key: str) -> dict[str, Any]:
        """`audit.json` for a section and pictures, whose trials are kept below `key`."""
        network = command._network(self._stack, self.folder, self.request, pictures)
        place = self.folder / key
        place.mkdir(exist_ok=True)
        judge = network.judge(input_spec(section))
        attempts = command._Attempts(network, judge, Pieces(place, 1))
        return self._document(section, network, judge, attempts, [statistics(one) for one in pictures])

    def some(self, section: Section, seed: int, key: str) -> dict[str, Any]:
        """The same over some of the pictures, at random, by what is kept of all."""
        picked = np.sort(np.random.default_rng(seed).permutation(len(self.pictures))[:OF])
        network = command._network(self._stack, self.folder, self.request, self.pictures)
        judge = network.judge(input_spec(section))
        attempts = command._Attempts(network, judge, Pieces(self.folder / key, 1))

        def attempt(now: Mapping[str, Any], beside: Any, framing: Framing) -> Attempt:
            return _of(attempts(now, None if beside is None else self._whole(attempts), framing), picked)

        return self._document(section, network, judge, attempt, [statistics(self.pictures[i]) for i in picked])

    def _whole(self, attempts: Any) -> Any:
        return attempts(self.section, None, AS_GIVEN).found

    def _document(
        self, section: Section, network: AskedNetwork, judge: Any, attempt: Any, own: Any
    ) -> dict[str, Any]:
        crops = judge is not None and judge.turned

        def others(now: Mapping[str, Any]) -> list[Any]:
            return [one for one in alternatives(now, crops) if command._fits(one.of(now))]

        result = judged(section, others, attempt, command._least(network, judge, section))
        shown = Shown(len(own), len(own), own, (), "calibration")
        return audit_document(section, result, judge, shown, len(others(section)), network.listener is not None)


def _of(trial: Attempt, picked: Any) -> Attempt:
    """A trial over some of its pictures."""
    some = [index for index in picked if trial.found is None or index < len(trial.found)]
    heard = trial.heard
    if heard is not None and heard.apart is not None:
        heard = replace(heard, apart=heard.apart[picked])
    return Attempt(None if trial.found is None else trial.found[some], heard, trial.given_up)


def faults(section: Section) -> Iterator[tuple[str, str, Section]]:
    """Each fault that the section can have: its name, the axis that is to be named, and the section with it."""
    swapped = {"rgb": "bgr", "bgr": "rgb"}
    if section["pixel_format"] in swapped:
        yield "channel order", "channel order", {**section, "pixel_format": swapped[section["pixel_format"]]}
    mean, scale = section["mean"], section["scale"]
    by = 255.0 if max(scale) < 0.1 else 1 / 255
    yield "scale", "scale", {**section, "scale": [one * by for one in scale]}
    if any(mean):
        yield "mean forgotten", "mean", {**section, "mean": [0.0] * len(mean)}
        unit = [m * s for m, s in zip(mean, scale, strict=True)]
        unit = [m / 255 for m in mean] if np.allclose(unit, mean) else unit
        yield "mean after scale", "mean", {**section, "mean": unit}
    else:  # it has none to forget: one is taken off that should not be
        yield "mean too many", "mean", {**section, "mean": [127.0] * len(mean)}
        yield "mean of others", "mean", {**section, "mean": [123.675, 116.28, 103.53][: len(mean)]}
    other = "letterbox" if section["resize"] == "stretch" else "stretch"
    yield "resize", "resize", {**section, "resize": other}
    if section["resize"] != "stretch":
        yield "padding", "padding", {**section, "pad_value": 255 if section["pad_value"] < 128 else 0}


def clouds(count: int, height: int, width: int) -> list[Any]:
    """Pictures of nothing: smooth blots of colour, uint8 [height,width,3]."""
    random = np.random.default_rng(7)
    small = [random.integers(0, 256, (6, 8, 3)).astype(np.uint8) for _ in range(count)]
    return [cv2.resize(one, (width, height), interpolation=cv2.INTER_CUBIC) for one in small]


def studied(study: Study) -> dict[str, Any]:
    """What was named of each fault, and of none."""
    clean = study.audit(study.section, study.pictures, "all")
    told: dict[str, Any] = {"pictures": len(study.pictures)}
    told["clean"] = _row(clean, ())
    for name, axis, section in faults(study.section):
        axes = (axis, "mean and scale") if axis in ("mean", "scale") else (axis,)
        told[name] = _row(study.audit(section, study.pictures, "all"), axes)
    height, width = study.pictures[0].shape[:2]
    nothing = clouds(len(study.pictures), height, width)
    told["pictures of nothing"] = _row(
        study.audit(study.section, nothing, "nothing"), ("pictures of another world",)
    )
    few = study.audit(study.section, study.pictures[:FEW], "few")
    told["five pictures"] = _row(few, ("too few pictures",))
    sets = [study.some(study.section, seed, "all")["wrong"] for seed in range(SETS)]
    told["sets with a false alarm"] = [sum(bool(one) for one in sets), SETS]
    told["named in sets"] = sorted({what for one in sets for what in one})
    return told


def _row(found: Mapping[str, Any], right: Sequence[str]) -> dict[str, Any]:
    wrong = found["wrong"]
    verdicts = {row["axis"]: row["verdict"] for row in found["axes"] if row["axis"] in AXES}
    return {
        "named": any(one in right for one in wrong),
        "wrong": wrong,
        "mend": found["mend"],
        "axes": verdicts,
        "said": [one["said"] for one in found["of_pictures"]],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="*", default=[*CHOSEN_ON, *JUDGED_ON])
    parser.add_argument("--pictures", type=int, default=32)
    parser.add_argument("--memory", type=Path, default=ROOT / "build" / "bench" / "audit")
    args = parser.parse_args()
    result = ROOT / "bench" / "audit.json"
    rows: dict[str, Any] = {}
    at = Workspace(ROOT, {"BMZOO_DATA": str(ROOT.parent / "shared" / "data")}, Progress())
    for name in args.models:
        with ExitStack() as stack:
            study = Study(stack, at, name, args.pictures, args.memory)
            row = {"rules chosen on it": name in CHOSEN_ON, **studied(study)}
        rows = _before(result) | {name: row}  # another model may have been studied meanwhile
        print(name, summary(row), flush=True)  # noqa: T201
        text = {"machine": machine(), "models": rows, "total": total(rows)}
        result.write_text(json.dumps(text, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(total(rows), indent=1))  # noqa: T201


def _before(result: Path) -> dict[str, Any]:
    """Rows of earlier runs."""
    return dict(json.loads(result.read_text(encoding="utf-8"))["models"]) if result.is_file() else {}


def _planted(row: Mapping[str, Any]) -> dict[str, bool]:
    return {key: one["named"] for key, one in row.items() if isinstance(one, dict) and key != "clean"}


def summary(row: Mapping[str, Any]) -> str:
    planted = _planted(row)
    missed = [key for key, named in planted.items() if not named]
    return (
        f"{sum(planted.values())} of {len(planted)} named, missed: {', '.join(missed) or 'none'}; "
        f"clean: {', '.join(row['clean']['wrong']) or 'none named'}; sets {row['sets with a false alarm']}"
    )


def total(rows: Mapping[str, Any]) -> dict[str, Any]:
    """Named of planted, over the models that rules were chosen on and over the others."""
    told = {}
    for chosen in (True, False):
        some = [row for row in rows.values() if row["rules chosen on it"] == chosen]
        planted = [named for row in some for named in _planted(row).values()]
        told["rules chosen on" if chosen else "judged on"] = {
            "models": len(some),
            "planted": len(planted),
            "named": sum(planted),
            "false alarms": sum(bool(row["clean"]["wrong"]) for row in some),
            "sets with a false alarm": sum(row["sets with a false alarm"][0] for row in some),
            "sets": SETS * len(some),
        }
    return told


if __name__ == "__main__":
    main()
