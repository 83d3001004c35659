"""Targets compiled for other sizes: the network changes, what was decided for it does not."""

from pathlib import Path

import pytest

from bmzoo.config import model as config
from bmzoo.plan.build import recipe
from bmzoo.plan.resized import resized_deploy
from bmzoo.plan.step import Output, Step
from bmzoo.target import parse

SHIPPED = Path(__file__).parents[2] / "configs" / "retinaface_mobilenet0.25.yaml"
MODEL = config.load(SHIPPED, SHIPPED.name)


def resized(name: str) -> Step:
    return resized_deploy(MODEL, parse(name, MODEL.name), MODEL.config.weights[0], (320, 416))


def from_steps(step: Step) -> dict[str, str]:
    return {name: str(source.step) for name, source in step.inputs if isinstance(source, Output)}


@pytest.mark.parametrize("name", ["bm1684x_int8_8b", "bm1688_fp16_2b_2core"])
def test_the_network_is_of_the_size_and_batch(name: str) -> None:
    deploy, target = resized(name), parse(name, MODEL.name)
    transform = next(step for step in deploy.needs if step.kind == "transform")
    (command,) = [one for one in transform.commands if one.tool == "model_transform.py"]
    assert f"[[{target.batch},3,320,416]]" in command.args
    source = next(step for step in transform.needs if step.kind == "import")
    assert '"height": 320' in dict(source.documents)["request.json"]
    assert "320x416" in str(deploy) and "320x416" in str(transform) and "320x416" in str(source)


def test_decisions_are_those_of_the_configs_own_size() -> None:
    own = recipe(MODEL, parse("bm1684x_int8_1b", MODEL.name), MODEL.config.weights[0])
    deploy = resized("bm1684x_int8_1b")
    wanted, found = from_steps(own.deploy), from_steps(deploy)
    for name in ("calibration.table", "mixed.qtable"):
        assert found[name] == wanted[name] and dict(deploy.inputs)[name] == dict(own.deploy.inputs)[name]
    assert from_steps(own.transform)["channels.scales"] in {str(one) for one in deploy.needs[0].needs}
    assert deploy.commands == own.deploy.commands
    assert resized("bm1684x_int8_1b") == deploy
