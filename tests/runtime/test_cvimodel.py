"""What a cvimodel says about itself, and files of one kind under the name of the other."""

from pathlib import Path

import pytest
from fake_package import make_package, script

from bmzoo.errors import SessionError
from bmzoo.runtime.__main__ import main
from bmzoo.runtime.engines.card import CardSession
from bmzoo.runtime.engines.cvimodel import check_kind, memory_bytes, parse_cvimodel_info
from bmzoo.runtime.engines.pyruntime import as_meant
from bmzoo.runtime.engines.simulator import SimulatorSession
from bmzoo.runtime.engines.tensor_info import TensorInfo
from bmzoo.sail.network import open_networks

INFO = """Mlir Version: v1.30.2-20260831
Cvimodel Version: 1.4.0
a net Build at 1970-01-01 00:00:00
For cv181x chip ONLY
CviModel Need ION Memory Size: (0.04 MB)

Sections:
ID   TYPE      NAME                     SIZE        OFFSET      MD5
000  weight    weight                   432         0           a4f382ceedb2f1424f0e5f5c4184384f
001  cmdbuf    subfunc_1                1176        432         d1148709f2f508e716753fab563692d6

WeightMap:
ID   OFFSET    SIZE      TYPE    N    C    H    W    NAME
000  144       288       int8    1    8    9    4    r_Relu_filter_reordered

Program #0
    batch_num   : 0
    private_gmem_size: 3072
    shared_gmem_size: 4096
    inputs      : x
    outputs     : y, z,y
    routines    :
     #00  cpu
        inputs  : x
        outputs : xr_si8
        function: quant

    tensor_map  :
        ID   OFFSET      TYPE  N    C    H    W    QSCALE     MEM     NAME
        000  0           fp32  2    3    32   32   1.000000   io_mem  x
        001  0           int8  2    3    32   32   0.032520   private xr_si8
        002  0           fp32  2    16800 4   1    1.000000   io_mem  y, z
        003  0           fp32  2    4    32   32   1.000000   io_mem  y
"""


def test_tensors_and_memory_are_those_of_the_program() -> None:
    info = parse_cvimodel_info(INFO)
    assert (info.chip, info.cores, [network.name for network in info.networks]) == ("cv181x", 1, ["a net"])
    assert info.inputs == (TensorInfo("x", (2, 3, 32, 32), "float32"),)
    wanted = (TensorInfo("y, z", (2, 16800, 4), "float32"), TensorInfo("y", (2, 4, 32, 32), "float32"))
    assert info.outputs == wanted, "without the one at the end"
    assert info.networks[0].stages[0].scales["xr_si8"] == (0.03252, 0)
    assert memory_bytes(INFO) == {"total": 8776, "weights": 432, "instructions": 1176, "runtime": 7168}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "chip: BM1688\n",
        INFO.partition("tensor_map")[0],
        INFO.replace("For cv181x", "For"),
        INFO.replace(": x", ": w", 1),
    ],
)
def test_other_text_is_refused(text: str) -> None:
    with pytest.raises(SessionError, match="not a cvimodel, or damaged"):
        parse_cvimodel_info(text)


def test_only_a_one_at_the_end_is_taken_for_padding() -> None:
    assert as_meant((1, 16800, 2, 1), "cvi") == (1, 16800, 2)
    assert as_meant((1, 1000, 1, 1), "cvi") == (1, 1000, 1)
    assert as_meant((1, 1, 8, 8), "cvi") == (1, 1, 8, 8)
    assert as_meant((1, 16800, 2, 1), "bm") == (1, 16800, 2, 1)


def test_a_file_of_the_other_kind_is_one_line_with_a_hint(tmp_path: Path) -> None:
    renamed, damaged = tmp_path / "m.bmodel", tmp_path / "m.cvimodel"
    renamed.write_bytes(b"CviModel" + bytes(100))
    damaged.write_bytes(b"Cvi")
    for refuse in (check_kind, CardSession, open_networks, lambda path: SimulatorSession(path, tmp_path)):
        with pytest.raises(SessionError, match="a cvimodel, which CV18xx chips run and BM chips do not") as caught:
            refuse(renamed)
        assert caught.value.hint == "for a BM chip compile a bmodel; for a CV18xx chip name it m.cvimodel"
    with pytest.raises(SessionError, match="not a cvimodel, or damaged: it does not begin as one does"):
        SimulatorSession(damaged, tmp_path)


def test_detect_says_it_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = tmp_path / "m.cvimodel"
    model.write_bytes(b"CviModel" + bytes(100))
    (tmp_path / "a.png").write_bytes(b"")
    assert main(["detect", str(model), str(tmp_path / "a.png"), "--engine", "card"]) != 0
    err = capsys.readouterr().err
    assert "m.cvimodel: not a file for engine `card`, which runs .bmodel files" in err
    assert "hint: what runs .cvimodel files: simulator" in err and "Traceback" not in err


def test_a_session_knows_what_the_file_says(tmp_path: Path) -> None:
    package = make_package(tmp_path / "tpu_mlir")
    script(package / "bin" / "model_tool", f"cat <<'END'\n{INFO}END")
    model = tmp_path / "m.cvimodel"
    model.write_bytes(b"CviModel" + bytes(100))
    session = SimulatorSession(model, package)
    try:
        assert session.info.chip == "cv181x"
        assert [info.shape for info in session.outputs] == [(2, 16800, 4), (2, 4, 32, 32)]
    finally:
        session.close()
