"""A target compiled for another size of picture, to see how long that takes. Pure data.

Thresholds and layers in float are those of the config's own size: the layers have the same names, and how long they
take depends on neither. So nothing is calibrated or searched anew, and what comes out is not for use.
"""

from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache

from bmzoo.config.model import Model, using
from bmzoo.config.weights import Weights
from bmzoo.plan.build import deploy_step
from bmzoo.plan.float_layers import qtable_input
from bmzoo.plan.shared import mlir_inputs, transform_for
from bmzoo.plan.step import Input, Step
from bmzoo.target import Target

# Decisions that a network is made with, whatever its size.
DECIDED = ("channels.scales", "calibration.table", "mixed.qtable")


def resized_deploy(model: Model, target: Target, weights: Weights, size: tuple[int, int]) -> Step:
    """What compiles a target of any batch for a size: height and width."""
    model = using(model, weights)
    there = resized(model, size)
    own = _decided(transform_for(model, target, weights, target.batch))
    own |= _decided(deploy_step(model, target, weights, qtable_input(model, target, weights)))
    renamed = replace(target, model=there.name)
    transform = _with(transform_for(there, renamed, weights, target.batch), own)
    deploy = deploy_step(there, renamed, weights, own.get("mixed.qtable"))
    return _with(deploy, {**own, **dict(mlir_inputs(transform))})


@lru_cache(maxsize=64)  # equal arguments have to give the identical model
def resized(model: Model, size: tuple[int, int]) -> Model:
    """The model for pictures of another height and width, under a name of its own."""
    height, width = size
    assert model.config.input is not None, "only for models that take pictures"
    fed = model.config.input.model_copy(update={"height": height, "width": width})
    config = model.config.model_copy(update={"input": fed})
    return replace(model, name=f"{model.name}_{height}x{width}", config=config)


def _decided(step: Step) -> dict[str, Input]:
    return {name: source for name, source in step.inputs if name in DECIDED}


def _with(step: Step, given: Mapping[str, Input]) -> Step:
    """The step with these inputs in place of its own of the same names."""
    return replace(step, inputs=tuple((name, given.get(name, source)) for name, source in step.inputs))
