import os
from pathlib import Path

import pytest

from bmzoo import sail
from bmzoo.sail.left_out import NOT_HERE


def test_members_of_enumerations_are_names_of_the_module() -> None:
    assert sail.SYSIO is sail.IOMode.SYSIO
    assert sail.FORMAT_YUV444P is sail.Format.FORMAT_YUV444P
    assert sail.BM_FLOAT32 is sail.Dtype.BM_FLOAT32
    assert sail.DATA_TYPE_EXT_1N_BYTE is sail.ImgDtype.DATA_TYPE_EXT_1N_BYTE
    assert sail.BMCV_INTER_LINEAR is sail.bmcv_resize_algorithm.BMCV_INTER_LINEAR
    assert sail.LogLevel.ERROR is sail.ERROR


def test_numbers_of_enumerations() -> None:
    assert [int(mode) for mode in (sail.SYSI, sail.SYSO, sail.SYSIO, sail.DEVIO)] == [0, 1, 2, 3]
    assert [int(sail.BM_INT8), int(sail.BM_INT32), int(sail.BM_BFLOAT16)] == [2, 6, 8]
    assert [int(sail.FORMAT_NV24), int(sail.FORMAT_BGR_PLANAR), int(sail.FORMAT_COMPRESSED)] == [7, 9, 15]
    assert int(sail.DATA_TYPE_EXT_1N_BYTE_SIGNED) == 3
    assert str(sail.SYSIO) == "IOMode.SYSIO"
    assert sail.SYSI != 0, "as with pybind11"


def test_every_error_is_an_exception() -> None:
    for name in ("Device", "Tensor", "Engine", "BMImage", "Decoder", "Encoder", "Unknown"):
        assert issubclass(getattr(sail, f"Sail{name}Error"), Exception)
    assert all(issubclass(error, Exception) for error in (sail.MemoryError, sail.NotSupport, sail.DataTypeError))


@pytest.mark.parametrize("name", sorted(NOT_HERE))
def test_what_is_left_out_says_so(name: str) -> None:
    with pytest.raises(sail.NotSupport, match=rf"sail\.{name}: not in bmzoo\.sail: \w+"):
        getattr(sail, name)
    assert name not in sail.__all__
    listed = (Path(__file__).parents[2] / "docs" / "runtime-and-sail.md").read_text(encoding="utf-8")
    assert f"`{name}`" in listed


def test_left_out_methods_say_so_and_typing_errors_are_attribute_errors() -> None:
    bmcv = sail.Bmcv(sail.Handle(0))
    with pytest.raises(sail.NotSupport, match=r"Bmcv\.warp"):
        bmcv.warp  # type: ignore[attr-defined]  # noqa: B018
    with pytest.raises(AttributeError, match="rezise"):
        bmcv.rezise  # type: ignore[attr-defined]  # noqa: B018
    with pytest.raises(AttributeError, match="Enginee"):
        sail.Enginee  # noqa: B018


def test_all_names_exist() -> None:
    assert [name for name in sail.__all__ if not hasattr(sail, name)] == []
    assert isinstance(sail.__version__, str)


def test_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BMZOO_SAIL_TARGET", raising=False)
    assert sail.get_available_tpu_num() == 1
    with pytest.raises(sail.SailDeviceError, match="no such device: 1"):
        sail.Handle(1)
    monkeypatch.setenv("BMZOO_SAIL_TPUS", "2")
    assert sail.Handle(1).get_device_id() == 1
    assert sail.Handle(1).get_target() == "BM1684X"
    assert sail.Handle(1).get_sn()
    sail.Handle(1).found("cv186x")
    assert sail.Handle(1).get_target() == "CV186AH"
    monkeypatch.setenv("BMZOO_SAIL_TARGET", "BM1688")
    assert sail.Handle(1).get_target() == "BM1688"
    monkeypatch.setenv("BMZOO_SAIL_TPUS", "two")
    with pytest.raises(sail.SailDeviceError, match="BMZOO_SAIL_TPUS"):
        sail.get_available_tpu_num()


def test_switches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAIL_PRINT_VIP_TIMES", "0")
    sail.set_print_flag(True)
    assert os.environ["SAIL_PRINT_VIP_TIMES"] == "1"
    sail.set_dump_io_flag(False)
    assert sail.set_loglevel(sail.LogLevel.WARN) == 0
    with pytest.raises(TypeError):
        sail.set_loglevel(2)  # type: ignore[arg-type]
