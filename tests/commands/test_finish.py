import json
from pathlib import Path

import pytest
from fake_toolchain import INFO

from bmzoo.commands.finish import facts_of, group_cost, run
from bmzoo.errors import BmzooError

TWO_CORES = """\
bmodel version: B.2.2+v1.30.2-20260831
chip: BM1688
create time: Sat Nov 21 09:43:59 2026

kernel_module name: libbmtpulv60_kernel_module.so
kernel_module size: 5108960
kernel mode: normal
==========================================
net 0: [retinaface_mobilenet0.25]  static
addr mode: 2
------------
stage 0, core num: 2
input: input, [4, 3, 640, 640], int8, scale: 0.846666, zero_point: 0
output: loc_Concat_f32, [4, 16800, 4], float32, scale: 1, zero_point: 0
output: conf_Softmax_f32, [4, 16800, 2], float32, scale: 1, zero_point: 0

device mem size: 9105664 (weight: 679936, instruct: 233728, runtime: 8192000)
host mem size: 0 (weight: 0, runtime: 0)
bmodel is 4k aligned
"""


@pytest.fixture
def bmodel(tmp_path: Path) -> Path:
    path = tmp_path / "model.bmodel"
    path.write_bytes(bytes(range(256)) * 8)
    return path


def test_facts_of_a_network_on_two_cores() -> None:
    facts = facts_of(TWO_CORES)
    assert facts["dynamic"] is False
    assert (facts["chip"].lower(), facts["cores"], facts["networks"]) == ("bm1688", 2, ["retinaface_mobilenet0.25"])
    assert facts["memory_bytes"] == {
        "total": 9105664,
        "weights": 679936,
        "instructions": 233728,
        "runtime": 8192000,
    }
    (input,) = facts["inputs"]
    assert (input["name"], list(input["shape"]), input["dtype"]) == ("input", [4, 3, 640, 640], "int8")
    assert [t["name"] for t in facts["outputs"]] == ["loc_Concat_f32", "conf_Softmax_f32"]


def test_facts_of_the_fake_one() -> None:
    facts = facts_of(INFO.format(chip="BM1684", cores=1))
    assert facts["dynamic"] is False
    assert (facts["chip"].lower(), facts["cores"], facts["memory_bytes"]["total"]) == ("bm1684", 1, 300)


@pytest.mark.parametrize(
    "text", ["", "not a bmodel", TWO_CORES.split("device mem", maxsplit=1)[0], TWO_CORES.split("stage")[1]]
)
def test_an_output_without_facts_is_refused(text: str) -> None:
    with pytest.raises(BmzooError):
        facts_of(text)


def test_the_cost_is_summed_over_all_groups(tmp_path: Path) -> None:
    groups = {"Subnet": [{"group_cost": 7, "layers": [{"group_cost": 1}]}, {"other": {"group_cost": 34}}], "n": 5}
    assert group_cost(tmp_path) is None
    (tmp_path / "m_bm1688_int8.layer_group_cache.json").write_text(json.dumps(groups))
    assert group_cost(tmp_path) == 42


def test_the_command_writes_facts_and_says_when_a_network_stayed_on_one_core(bmodel: Path) -> None:
    folder = bmodel.parent
    for compiled, warned in ((2, False), (1, True)):
        (folder / "info.txt").write_text(TWO_CORES.replace("core num: 2", f"core num: {compiled}"))
        run(folder, ("model.bmodel", "info.txt", "2"))
        facts = json.loads((folder / "facts.json").read_text())
        assert (facts["cores"], facts["bytes"], facts["cost"]) == (compiled, bmodel.stat().st_size, None)
        assert (folder / "warnings.json").exists() == warned
    assert "1 core, not 2" in (folder / "warnings.json").read_text()
