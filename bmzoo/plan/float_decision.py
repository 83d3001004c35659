"""What a choice of float layers is derived from, whoever searched for them. Pure data."""

from collections.abc import Mapping
from typing import Any

from bmzoo.chips import CHIPS, QUANTIZE
from bmzoo.config.model import Model
from bmzoo.config.weights import Weights
from bmzoo.plan.decisions import FLOAT_LAYERS, decision
from bmzoo.plan.decoding import decoder_decides
from bmzoo.plan.fed import fed
from bmzoo.plan.lowering import int8_target, thresholds
from bmzoo.plan.shared import calibration, derived_from, equalization, equalized_for, network
from bmzoo.plan.step import Decision, Input

# How many selection pictures layers are ranked and chosen by; all of them confirm the pick.
RANKED_PICTURES = 16


def float_mode(chip: str) -> str:
    """What a layer in float is computed in, as tables say it."""
    return QUANTIZE[CHIPS[chip].float_mode]


def float_layers(
    model: Model, chip: str, weights: Weights, settings: Mapping[str, Any], most: int = RANKED_PICTURES
) -> Decision:
    """What the choice of a chip's float layers is derived from. The model is that for the weights.

    most: how many selection pictures it looks at.
    """
    target = int8_target(model, chip)
    images = model.config.quantization.images
    assert images is not None, "checked when the config was read"
    decoder, files = decoder_decides(model)
    own = {
        **network(model, weights),
        "decoder": decoder,
        "flags": model.deploy_flags(target),
        **settings,
    }
    sources: dict[str, Input] = {
        **derived_from(weights),
        **files,
        **dict(fed(model, images, min(images.count or most, most))),
        **equalization(model, weights, equalized_for(model, chip)),
        "calibration.table": thresholds(model, calibration(model, target, weights)),
    }
    return decision(FLOAT_LAYERS, own, sources, vendor=True)
