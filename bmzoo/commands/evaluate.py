"""`evaluate`: the metric of what a network predicts, on pictures with known answers."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bmzoo.commands.prepare import input_spec
from bmzoo.commands.requests import read_request
from bmzoo.config.fused import as_fed
from bmzoo.measure.evaluate import predict_each
from bmzoo.measure.groundtruth import data_set, known_pictures
from bmzoo.measure.metrics.metric import Judged, MetricRow
from bmzoo.measure.metrics.registry import METRICS, metric_document
from bmzoo.measure.specs import decoder_spec
from bmzoo.runtime.decoders.spec import DecoderSpec
from bmzoo.runtime.engines.registry import open_session
from bmzoo.runtime.engines.session import OnnxSession, Session
from bmzoo.runtime.predictions.prediction import Prediction
from bmzoo.runtime.predictions.registry import PREDICTIONS
from bmzoo.runtime.settings import Settings, with_characters


def run(folder: Path, args: tuple[str, ...]) -> None:
    """Write `ap.json`. Raises SourceError for ground truth that does not fit, SessionError for the network."""
    request = read_request(folder, args[0])
    settings = Settings(input_spec(as_fed(request["input"], request.get("raw", ""))), _decoder(folder, request))
    session = open_session(folder / request["network"], log=folder / "engine.log")
    try:
        document = _evaluated(session, settings, request, folder / request["truth"])
    finally:
        session.close()
    (folder / "ap.json").write_text(json.dumps(document, indent=1, sort_keys=True), encoding="utf-8")


def _decoder(folder: Path, request: dict[str, Any]) -> DecoderSpec:
    """The decoder, with the characters that the model's own file lists, where the network is not that file."""
    spec = decoder_spec(request["decoder"], folder)
    if "characters_of" not in request:
        return spec
    own = OnnxSession(folder / request["characters_of"], threads=1)
    try:
        return with_characters(spec, own)
    finally:
        own.close()


def _evaluated(session: Session, settings: Settings, request: dict[str, Any], truth: Path) -> dict[str, Any]:
    blank = _blank(session, settings)
    row = data_set(truth, kind_of(blank))
    metric: MetricRow = import_module(METRICS[row.metric].module).METRIC
    metric.accepts(blank)
    pictures = known_pictures(truth, row)
    score = _score(session, _stated(settings, request, metric), metric, pictures, blank)
    figures = {key: round(value, 6) for key, value in score.figures.items()}
    return {"pictures": len(pictures), **metric_document(row.metric, figures), **score.counts}


def _score(
    session: Session, settings: Settings, metric: MetricRow, pictures: Sequence[Any], blank: Prediction
) -> Judged:
    judge = metric.judge(pictures, blank)
    found = predict_each(session, pictures, settings, settings.confidence)
    for picture, one in zip(pictures, found, strict=True):
        judge.add(picture, one)
    return judge.score()


def _stated(settings: Settings, request: dict[str, Any], metric: MetricRow) -> Settings:
    """What the config says of scores and overlaps, and where it does not, what published figures take."""
    confidence, nms = request["confidence"], request["nms"]
    return replace(
        settings,
        confidence=metric.confidence if confidence is None else confidence,
        nms=metric.nms if nms is None else nms,
    )


def kind_of(found: Prediction) -> str:
    """The row of PREDICTIONS that a prediction is of."""
    return next(name for name, row in PREDICTIONS.items() if row.name == type(found).__name__)


@dataclass(frozen=True)
class BlankPicture:
    """Nothing to see: what is said of it tells what the network speaks of."""

    height: int
    width: int

    def read(self) -> NDArray[np.uint8]:
        """Black, uint8 [height,width,3]."""
        return np.zeros((self.height, self.width, 3), np.uint8)


def _blank(session: Session, settings: Settings) -> Prediction:
    picture = BlankPicture(settings.input.height, settings.input.width)
    return next(predict_each(session, [picture], settings, settings.confidence))
