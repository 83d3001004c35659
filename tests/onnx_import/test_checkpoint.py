"""Checkpoints in both of PyTorch's formats, written here without it, and the ways to be bad."""

import io
import os
import pickle
import struct
import sys
import types
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from bmzoo.errors import SourceError
from bmzoo.onnx_import.checkpoint import load_state_dict

ROOT = Path(__file__).parents[2]
DATA = Path(os.environ.get("BMZOO_DATA", ROOT.parent / "shared" / "data"))
OFFICIAL = DATA / "weights" / "retinaface_mobilenet0.25_Final.pth"
KINDS = {"f4": "Float", "f8": "Double", "f2": "Half", "i8": "Long", "i4": "Int", "i2": "Short", "i1": "Char"}
KINDS |= {"u1": "Byte", "b1": "Bool"}
MAGIC = 0x1950A86A20F9469CFC6C


class Tensor:
    """Pickles as torch.Tensor does; every field can be made wrong."""

    def __init__(self, array: NDArray[Any], key: str = "0", **wrong: Any) -> None:
        self.raw, self.key = np.ascontiguousarray(array).tobytes(), key
        self.kind = wrong.get("kind", KINDS[array.dtype.str[1:]])
        self.numel = wrong.get("numel", array.size)
        self.offset = wrong.get("offset", 0)
        self.size = wrong.get("size", array.shape)
        contiguous = tuple(step // array.itemsize for step in np.ascontiguousarray(array).strides)
        self.stride = wrong.get("stride", contiguous[-array.ndim :] if array.ndim else ())

    def __reduce__(self) -> tuple[object, ...]:
        rebuild = sys.modules["torch._utils"]._rebuild_tensor_v2
        return rebuild, (Storage(self), self.offset, self.size, self.stride, False, OrderedDict())


class Storage:
    def __init__(self, tensor: Tensor) -> None:
        self.tensor = tensor


class Call:
    """Asks the reader to call something."""

    def __init__(self, function: object, *args: object) -> None:
        self.call = function, args

    def __reduce__(self) -> tuple[object, ...]:
        return self.call


@pytest.fixture(autouse=True)
def fake_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Just enough of torch for the pickler to find the names that it writes."""
    torch, utils = types.ModuleType("torch"), types.ModuleType("torch._utils")

    def rebuild() -> None:
        raise AssertionError

    for name in ("_rebuild_tensor_v2", "_rebuild_parameter"):
        function = types.FunctionType(rebuild.__code__, {}, name)
        function.__module__, function.__qualname__ = "torch._utils", name
        setattr(utils, name, function)
    for kind in [*KINDS.values(), "BFloat16", "Quantized"]:
        setattr(torch, f"{kind}Storage", type(f"{kind}Storage", (), {"__module__": "torch"}))
    monkeypatch.setitem(sys.modules, "torch", torch)
    monkeypatch.setitem(sys.modules, "torch._utils", utils)


def pickled(tree: object, legacy: bool, protocol: int = 2) -> bytes:
    class Pickler(pickle.Pickler):
        def persistent_id(self, value: object) -> tuple[object, ...] | None:
            if not isinstance(value, Storage):
                return None
            tensor = value.tensor
            kind = getattr(sys.modules["torch"], f"{tensor.kind}Storage")
            return ("storage", kind, tensor.key, "cpu", tensor.numel) + ((None,) if legacy else ())

    stream = io.BytesIO()
    Pickler(stream, protocol).dump(tree)
    return stream.getvalue()


def found(tree: object) -> dict[str, Tensor]:
    values = tree.values() if isinstance(tree, dict) else []
    tensors = {value.key: value for value in values if isinstance(value, Tensor)}
    for value in values:
        tensors |= found(value)
    return tensors


def save_zip(
    path: Path, tree: object, body: bytes | None = None, byteorder: bytes = b"little", packed: bool = False
) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED) as archive:
        archive.writestr("archive/data.pkl", pickled(tree, legacy=False) if body is None else body)
        archive.writestr("archive/byteorder", byteorder)
        for key, tensor in found(tree).items():
            archive.writestr(f"archive/data/{key}", tensor.raw)
    return path


def save_legacy(path: Path, tree: object, body: bytes | None = None) -> Path:
    tensors = found(tree)
    head = [pickle.dumps(part, 2) for part in (MAGIC, 1001, {"little_endian": True})]
    body = pickled(tree, legacy=True) if body is None else body
    keys = pickle.dumps(list(tensors), 2)
    data = [struct.pack("<q", tensor.numel) + tensor.raw for tensor in tensors.values()]
    path.write_bytes(b"".join([*head, body, keys, *data]))
    return path


Save = Callable[..., Path]
both = pytest.mark.parametrize("save", [save_zip, save_legacy])


def refusal(path: Path) -> str:
    with pytest.raises(SourceError) as caught:
        load_state_dict(path)
    assert str(path) in caught.value.message
    assert caught.value.hint
    return caught.value.message


@both
def test_every_element_type_comes_back(save: Save, tmp_path: Path) -> None:
    arrays = {kind: np.arange(6).reshape(2, 3).astype(kind) for kind in KINDS} | {"scalar": np.array(7)}
    tree = OrderedDict((name, Tensor(array, key=name)) for name, array in arrays.items())
    state = load_state_dict(save(tmp_path / "all.pth", tree))
    assert list(state) == list(arrays)
    for name, array in arrays.items():
        assert state[name].dtype == array.dtype
        np.testing.assert_array_equal(state[name], array)


@both
def test_bfloat16_becomes_float32(save: Save, tmp_path: Path) -> None:
    wanted = np.array([1.0, -2.5, 0.15625], np.float32)
    upper = (wanted.view(np.uint32) >> 16).astype(np.int16)
    state = load_state_dict(save(tmp_path / "bf16.pth", {"w": Tensor(upper, kind="BFloat16")}))
    np.testing.assert_array_equal(state["w"], wanted)


@both
def test_views_share_a_storage(save: Save, tmp_path: Path) -> None:
    base = np.arange(12, dtype="f4").reshape(3, 4)
    views: dict[str, dict[str, Any]] = {
        "base": {},
        "turned": {"size": (4, 3), "stride": (1, 4)},
        "row": {"size": (4,), "stride": (1,)},
    }
    tree = {name: Tensor(base, **view) for name, view in views.items()}
    tree["row"].offset = 8
    tree["none"] = Tensor(base, size=(0, 5), stride=(5, 1), offset=12)
    state = load_state_dict(save(tmp_path / "views.pth", tree))
    np.testing.assert_array_equal(state["turned"], base.T)
    np.testing.assert_array_equal(state["row"], base[2])
    assert state["none"].shape == (0, 5)
    state["row"][:] = 0
    assert state["base"][2, 0] == 8


@both
def test_nested_and_prefixed_names(save: Save, tmp_path: Path) -> None:
    inner = {"module.a": Tensor(np.ones(2)), "module.b": Tensor(np.ones(3), key="1")}
    tree = {"epoch": 3, "state_dict": inner, "rate": [0.1]}
    assert list(load_state_dict(save(tmp_path / "nested.pth", tree))) == ["a", "b"]
    tree = {"state_dict": inner, "ema": inner}
    assert "holds 2 state dicts, not 1: state_dict, ema" in refusal(save(tmp_path / "two.pth", tree))


@pytest.mark.parametrize("tree", [{"epoch": 3}, {}, {"a": [1]}, {3: None}])
@both
def test_no_state_dict(save: Save, tree: object, tmp_path: Path) -> None:
    assert "holds no state dict" in refusal(save(tmp_path / "none.pth", tree))


@both
def test_not_a_mapping(save: Save, tmp_path: Path) -> None:
    assert "holds a list, not a state dict" in refusal(save(tmp_path / "list.pth", [1]))


@pytest.mark.parametrize("protocol", [2, 4])
@pytest.mark.parametrize(
    ("function", "args", "named"),
    [
        (os.system, ("touch {}",), "system`"),
        (eval, ("open('{}', 'w')",), ".eval`"),
        (getattr, (OrderedDict, "fromkeys"), ".getattr`"),
        (pickle.loads, (b"N.",), "loads`"),
        (type(OrderedDict), ("x", (), {}), ".type`"),
    ],
)
@both
def test_code_is_refused_by_name_and_not_run(
    save: Save, function: object, args: tuple[object, ...], named: str, protocol: int, tmp_path: Path
) -> None:
    trace = tmp_path / "trace"
    formatted = [arg.format(trace) if isinstance(arg, str) else arg for arg in args]
    tree = {"a": Tensor(np.ones(2)), "x": Call(function, *formatted)}
    body = pickled(tree, save is save_legacy, protocol)
    assert f"{named}, which no state dict needs" in refusal(save(tmp_path / "evil.pth", tree, body))
    assert not trace.exists()


def test_code_in_place_of_the_magic_number(tmp_path: Path) -> None:
    path = tmp_path / "evil.pth"
    path.write_bytes(pickle.dumps(Call(os.system, f"touch {tmp_path / 'trace'}"), 2))
    assert "asks for `posix.system`" in refusal(path)
    assert not (tmp_path / "trace").exists()


@pytest.mark.parametrize(
    "state",
    [{"items": 1, "values": 2}, (None, {"__class__": 3}), (None, {"keys": 3})],
    ids=["dict", "class", "slots"],
)
@both
def test_state_set_on_the_mapping_changes_nothing_here(save: Save, state: object, tmp_path: Path) -> None:
    class Shadowed(OrderedDict[str, object]):
        def __reduce__(self) -> tuple[object, ...]:
            return OrderedDict, (), state, None, iter(dict.items(self))

    tree = Shadowed(a=Tensor(np.ones(2)))
    try:
        assert list(load_state_dict(save(tmp_path / "state.pth", tree))) == ["a"]
    except SourceError as err:
        assert "damaged" in err.message


@both
def test_state_cannot_be_set_on_what_a_pickle_is_given(save: Save, tmp_path: Path) -> None:
    body = b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\nN}X\x0c\x00\x00\x00__defaults__N\x85s\x86b."
    assert "damaged" in refusal(save(tmp_path / "build.pth", {}, body))


@pytest.mark.parametrize(
    "wrong",
    [
        {"offset": 1},
        {"offset": -1},
        {"size": (2, 7)},
        {"size": (-2, 3)},
        {"stride": (4, 1)},
        {"stride": (-3, 1)},
        {"stride": (1,)},
        {"size": (1 << 40, 1 << 20), "stride": (0, 0)},
        {"size": [2, 3]},
        {"size": (True, 3)},
        {"offset": None},
        {"size": (1,) * 40, "stride": (1,) * 40},
        {"numel": 7},
        {"numel": -6},
        {"numel": 1 << 60},
        {"numel": "6"},
        {"kind": "Quantized"},
        {"kind": "Double"},
    ],
    ids=str,
)
@both
def test_bounds(save: Save, wrong: dict[str, Any], tmp_path: Path) -> None:
    tensor = Tensor(np.ones((2, 3), "f4"), **wrong)
    body = pickled({"w": tensor}, legacy=save is save_legacy)
    tensor.numel = 6  # outside the pickle the count is right
    refusal(save(tmp_path / "bad.pth", {"w": tensor}, body))


@both
def test_cut_short_anywhere(save: Save, tmp_path: Path) -> None:
    path = save(tmp_path / "cut.pth", {"w": Tensor(np.ones((2, 3), "f4"))})
    whole = path.read_bytes()
    for length in range(0, len(whole), 7):
        path.write_bytes(whole[:length])
        refusal(path)


@both
def test_any_byte_changed_never_ends_in_a_traceback(save: Save, tmp_path: Path) -> None:
    path = save(tmp_path / "changed.pth", {"w": Tensor(np.ones((2, 3), "f4"))})
    whole = path.read_bytes()
    for place in range(len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x15]) + whole[place + 1 :])
        try:
            load_state_dict(path)
        except SourceError as err:
            assert err.hint


@pytest.mark.parametrize(
    ("content", "wording"),
    [
        (b"", "is empty"),
        (b"<!DOCTYPE html><html>", "is a web page"),
        (b"version https://git-lfs.github.com/spec/v1\n", "is a Git LFS pointer"),
        (b"\x93NUMPY", "is not a PyTorch checkpoint"),
        (b"PK\x03\x04rest", "is damaged or cut short"),
        (pickle.dumps([1], 2), "not one that `torch.save` wrote"),
        (pickle.dumps(MAGIC, 2) + pickle.dumps(1000, 2), "protocol version"),
        (b"\x80\x02Nr\xff\xff\xff\x7f.", "memo index"),
    ],
)
def test_other_files(content: bytes, wording: str, tmp_path: Path) -> None:
    path = tmp_path / "other.pth"
    path.write_bytes(content)
    assert wording in refusal(path)


def test_missing_and_folder(tmp_path: Path) -> None:
    assert "cannot be read" in refusal(tmp_path / "absent.pth")
    assert "cannot be read" in refusal(tmp_path)


def test_the_name_shown_is_the_one_asked_for(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="^zoo.yaml: weights: cannot be read"):
        load_state_dict(tmp_path / "absent.pth", "zoo.yaml: weights")


def test_zip_bomb_and_big_endian(tmp_path: Path) -> None:
    tree = {"w": Tensor(np.zeros(1 << 16))}
    path = save_zip(tmp_path / "bomb.pth", tree, packed=True)
    assert "unpacks to" in refusal(path)
    assert "big-endian" in refusal(save_zip(tmp_path / "big.pth", tree, byteorder=b"big"))


def test_zip_without_its_parts(tmp_path: Path) -> None:
    path = tmp_path / "parts.pth"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme", "")
    assert "0 files named `data.pkl`" in refusal(path)
    body = pickled({"w": Tensor(np.ones(2))}, legacy=False)
    assert "lacks `archive/data/0`" in refusal(save_zip(path, {}, body))


def test_legacy_storage_lists(tmp_path: Path) -> None:
    tree = {"w": Tensor(np.ones(2))}
    path = save_legacy(tmp_path / "keys.pth", {}, pickled(tree, legacy=True))
    assert "lacks the storage `0`" in refusal(path)
    path = save_legacy(tmp_path / "keys.pth", tree, pickled({}, legacy=True))
    assert "belongs to no tensor" in refusal(path)


def test_larger_than_the_limit_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "huge.pth"
    with path.open("wb") as file:
        file.truncate((4 << 30) + 1)  # sparse: takes no space
    assert "larger than 4 GiB" in refusal(path)


@pytest.mark.skipif(not OFFICIAL.exists(), reason="the official checkpoint is not on this machine")
def test_official_checkpoint() -> None:
    state = load_state_dict(OFFICIAL)
    assert len(state) == 300
    assert state["body.stage1.0.0.weight"].shape == (8, 3, 3, 3)
    assert not any(name.startswith("module.") for name in state)
    assert all(np.isfinite(value).all() for value in state.values())
