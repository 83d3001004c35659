"""The table of chips says what `tools/chip_facts.py` found, no more and no less."""

import json
from pathlib import Path
from typing import Any

import pytest

from bmzoo.chips import CHIPS, EQUALIZED_AS, QUANTIZE
from bmzoo.runtime.engines.cvimodel import CVIMODEL_SUFFIX
from bmzoo.runtime.engines.overlay import SIMULATORS

FACTS: dict[str, Any] = json.loads(Path(__file__).with_name("data").joinpath("chip_facts.json").read_text())[
    "chips"
]


def found(chip: str, precision: str) -> dict[str, Any]:
    fact: dict[str, Any] = FACTS[chip]["precisions"][precision]
    return fact


def can(fact: dict[str, Any], simulated: bool) -> bool:
    return fact["compiles"] and (fact.get("agrees", False) or not simulated)


def test_every_chip_that_the_compiler_knows_is_in_the_table() -> None:
    assert CHIPS.keys() == FACTS.keys()


@pytest.mark.parametrize("name", CHIPS)
def test_precisions_are_those_that_run_and_agree(name: str) -> None:
    chip, tried = CHIPS[name], {precision: found(name, precision) for precision in QUANTIZE}
    able = {precision for precision, fact in tried.items() if can(fact, not chip.unsimulated)}
    same = tried["fp16"].get("outputs", "none") == tried["bf16"].get("outputs")
    assert set(chip.precisions) == able - ({"fp16"} if same else set()), "fp16 that is bf16 is none"
    assert chip.missing.keys() >= QUANTIZE.keys() - set(chip.precisions), "each with a reason"


@pytest.mark.parametrize("name", CHIPS)
def test_cores_are_those_that_are_used_and_run(name: str) -> None:
    chip = CHIPS[name]
    tried = {int(count): fact for count, fact in FACTS[name]["cores"].items()}
    used = {n for n, fact in tried.items() if fact.get("cores") == n and can(fact, not chip.unsimulated)}
    assert set(chip.cores) == {1} | used


@pytest.mark.parametrize("name", CHIPS)
def test_what_is_compiled_has_the_suffix_and_what_runs_it_is_there(name: str) -> None:
    chip = CHIPS[name]
    facts = [found(name, precision) for precision in chip.precisions]
    assert {fact["suffix"] for fact in facts} == {chip.suffix}
    assert bool(chip.runner) == (not chip.unsimulated) == all(fact["simulates"] for fact in facts)
    assert chip.runner == (SIMULATORS[name].runtime if name in SIMULATORS else "")
    assert (chip.suffix == CVIMODEL_SUFFIX) == (chip.runner == "cvi")


@pytest.mark.parametrize("name", CHIPS)
def test_chips_with_one_quantizer_give_the_same_integers_and_have_the_same_float_layers(name: str) -> None:
    chip, other = CHIPS[name], CHIPS[CHIPS[name].quantizer]
    assert other.quantizer == other.name, "the quantizer has the name of a chip that has it"
    assert found(name, "int8").get("outputs") == found(other.name, "int8").get("outputs")
    assert (chip.float_mode, chip.scales) == (other.float_mode, other.scales)


def test_networks_are_equalized_for_a_chip_that_scales_weights_so() -> None:
    assert {CHIPS[name].scales: name for name in EQUALIZED_AS.values()} == EQUALIZED_AS
    assert {chip.scales for chip in CHIPS.values()} <= EQUALIZED_AS.keys()
