"""`evaluate`: average precision of a network on pictures with known faces."""

import json
import math
from pathlib import Path

from bmzoo.commands.prepare import input_spec
from bmzoo.commands.requests import read_request
from bmzoo.errors import ConfigError
from bmzoo.measure import groundtruth
from bmzoo.measure.evaluate import detect_all, evaluate
from bmzoo.measure.specs import decoder_spec
from bmzoo.runtime.decoders.registry import DECODERS
from bmzoo.runtime.engines.registry import open_session
from bmzoo.runtime.settings import Settings


def run(folder: Path, args: tuple[str, ...]) -> None:
    """Write `ap.json`. Raises SourceError for ground truth that does not fit, SessionError for the network."""
    request = read_request(folder, args[0])
    kind = request["decoder"]["kind"]
    if DECODERS[kind].gives != "detections":
        raise ConfigError(f"evaluate: needs a decoder that finds faces: {kind}", "see `decoder` in docs/config.md")
    pictures = groundtruth.load(folder / request["truth"])
    session = open_session(folder / request["network"], log=folder / "engine.log")
    try:
        settings = Settings(
            input_spec(request["input"]),
            decoder_spec(request["decoder"], folder),
            request["confidence"],
            request["nms"],
        )
        found = detect_all(session, pictures, settings, request["confidence"])
    finally:
        session.close()
    figures = {
        "pictures": len(pictures),
        "detections": sum(len(faces) for faces in found),
        "faces": {key: sum(len(p.kept[key]) for p in pictures) for key in pictures[0].kept},
        # NaN: a subset without faces has no average precision.
        "ap": {k: round(v, 6) for k, v in evaluate(found, pictures).items() if math.isfinite(v)},
    }
    (folder / "ap.json").write_text(json.dumps(figures, indent=1, sort_keys=True), encoding="utf-8")
