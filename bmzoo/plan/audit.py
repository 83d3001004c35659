"""The step of `audit`: the ONNX model fed its pictures in other ways than the config says. Pure data."""

from functools import lru_cache

from bmzoo.config.images import Images
from bmzoo.config.model import Model, using
from bmzoo.config.weights import Weights
from bmzoo.plan.decoding import decoder_files, decoder_request
from bmzoo.plan.fed import fed, input_request, pictures
from bmzoo.plan.shared import document, import_step
from bmzoo.plan.step import Command, Input, Output, Step, Subject

# Enough for what matters to show, and few enough to wait for.
AUDIT_PICTURES = 32


def audit_pictures(model: Model) -> tuple[str, Images] | None:
    """The pictures to ask, and the section that names them: those to calibrate with, or those of `verify`."""
    config = model.config
    if config.input is None:
        return None
    if config.calibration is not None and config.calibration.images is not None:
        return "calibration", config.calibration.images
    return ("verify", config.verify.images) if config.verify.images is not None else None


@lru_cache(maxsize=64)
def audit_step(model: Model, weights: Weights, count: int = AUDIT_PICTURES) -> Step:
    """What the network makes of `count` pictures at most, fed as configured and otherwise."""
    model = using(model, weights)
    asked = audit_pictures(model)
    assert asked is not None, "only for models that are fed pictures"
    where, images = asked
    source, verify = import_step(model, weights), model.config.verify.images
    count = min(count, images.count or count)
    # First, so that names are those of the pictures that are asked about.
    beside: tuple[tuple[str, Input], ...] = (("verify", pictures(verify)),) if verify is not None else ()
    request = {**input_request(model), "decoder": decoder_request(model), "where": where}
    return Step(
        "audit",
        Subject(model.name, weights.name),
        (Command("audit", ("request.json",)),),
        (
            *((name, Output(source, name)) for name in ("model.onnx", "model.json")),
            *(beside if where != "verify" else ()),
            *fed(model, images, count),
            *decoder_files(model),
        ),
        ("audit.json",),
        (document("request.json", request),),
        resumable=True,
    )
