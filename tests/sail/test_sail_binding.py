"""What a card refuses is refused here: arguments of another kind, keywords that it does not know."""

import ast
import inspect
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bmzoo.sail
from bmzoo.sail.binding import Form, bound

sail: Any = bmzoo.sail  # a type checker refuses such calls before a card does
HANDLE = sail.Handle(0)
BMCV = sail.Bmcv(HANDLE)
U8 = sail.DATA_TYPE_EXT_1N_BYTE
CLASSES = [kind for name in sail.__all__ if inspect.isclass(kind := getattr(sail, name))]
# Made by sail itself, in answers.
NOT_MADE_BY_SCRIPTS = ("bm_image", "TensorPTRWithName")


def functions() -> Iterator[tuple[str, Any]]:
    """All that scripts can call: name, function."""
    for kind in CLASSES:
        if issubclass(kind, Exception) or hasattr(kind, "__members__") or kind.__name__ in NOT_MADE_BY_SCRIPTS:
            continue
        for name, member in inspect.getmembers(kind, inspect.isfunction):
            if member.__module__.startswith("bmzoo.sail") and not name.startswith("_") or name == "__init__":
                yield f"{kind.__name__}.{name}", member
    for name in sail.__all__:
        if inspect.isfunction(getattr(sail, name)):
            yield name, getattr(sail, name)


# For this package's own use, by names that sail does not have.
OWN = {"BMImage.of", "Handle.found", "Tensor.attach", "BMImage.fill"} | {
    f"{kind.__name__}.allocate" for kind in CLASSES
}
CALLS = {name: function for name, function in functions() if name not in OWN}
FORMS = [(name, form) for name, call in CALLS.items() for form in getattr(call, "forms", ())]


def test_every_function_with_arguments_is_bound() -> None:
    takes_some = [n for n, f in CALLS.items() if set(inspect.signature(inspect.unwrap(f)).parameters) - {"self"}]
    assert [name for name in takes_some if not getattr(CALLS[name], "forms", None)] == []
    assert len(FORMS) > 100


IMAGE = sail.BMImage(HANDLE, 16, 16, sail.FORMAT_BGR_PLANAR, U8)
ARRAYS = {f"BMImageArray{n}D": getattr(sail, f"BMImageArray{n}D")() for n in (2, 3, 4, 8)}
RIGHT: dict[str, list[Any]] = {
    "int": [3, True, np.int64(3), np.uint8(3), np.float32(3.7), np.array(3)],
    "uint": [3, np.int64(3)],
    "size": [3, np.int64(3)],
    "byte": [255, np.uint8(3)],
    "float": [1.5, 1, np.float32(1.5), np.float64(1.5), np.int64(2)],
    "bool": [True, 0, np.bool_(True), None],
    "str": ["a"],
    "bytes": [b"a"],
    "object": [1],
    "array": [np.zeros(2, np.float32), [1, 2], np.zeros((1, 2)), 3],
    "int8s": [np.zeros(2, np.int8)],
    "uint8s": [np.zeros(2, np.uint8)],
    "int32s": [np.zeros(2, np.int32)],
    "halves": [np.zeros(2, np.float16)],
    "bytes_array": [np.zeros((2, 2, 3), np.uint8)],
    "buffer": [b"abc", np.zeros(3, np.uint8)],
    "Handle": [HANDLE],
    "Tensor": [sail.Tensor(HANDLE, [1], sail.BM_FLOAT32)],
    "BMImage": [IMAGE],
    "bm_image": [IMAGE.data()],
    "AnyImage": [IMAGE, IMAGE.data()],
    "Images": [IMAGE, *ARRAYS.values()],
    "PaddingAtrr": [sail.PaddingAtrr()],
    "TensorPTRWithName": [sail.CreateTensorPTRWithName("a", HANDLE, [1])],
    "any_array": [np.zeros(1, np.int64), [1, 2]],
    "Dtype": [sail.BM_INT8],
    "ImgDtype": [U8],
    "Format": [sail.FORMAT_GRAY],
    "IOMode": [sail.SYSIO],
    "LogLevel": [sail.LogLevel.WARN],
    "Algorithm": [sail.BMCV_INTER_LINEAR],
    "sail_resize_type": [sail.sail_resize_type.BM_RESIZE_TPU_LINEAR],
    **{name: [array] for name, array in ARRAYS.items()},
}
WRONG: dict[str, list[Any]] = {
    "int": [3.0, np.float64(3), "3", None, [3], 2**31, -(2**31) - 1],
    "uint": [-1, 3.0, 2**32],
    "size": [-1, 3.0],
    "byte": [256, -1, 1.0],
    "float": ["1.5", None, [1.5]],
    "bool": ["yes", [1], "", np.zeros(2)],
    "str": [Path("a"), None, 3],
    "bytes": ["a", bytearray(b"a"), None],
    "object": [],
    "array": ["1", None, [[1], [1, 2]], HANDLE],
    "int8s": ["1", HANDLE],
    "uint8s": ["1", HANDLE],
    "int32s": ["1", HANDLE],
    "any_array": [None],
    "halves": ["1", [1, 2], np.zeros(2, np.int32)],
    "bytes_array": [np.zeros((2, 2, 3)), [[[1, 2, 3]]]],
    "buffer": [[1, 2], "abc", 3],
}
MEMBERS = ("Dtype", "ImgDtype", "Format", "IOMode", "LogLevel", "Algorithm", "sail_resize_type")


def right(kind: ast.expr | None) -> list[Any]:
    """Values that a card takes for a kind."""
    if isinstance(kind, ast.List):
        return [[value] for value in right(kind.elts[0])] + [()]
    if isinstance(kind, ast.Tuple):
        firsts = [right(part)[0] for part in kind.elts]
        return [tuple(firsts), list(firsts)]
    if isinstance(kind, ast.Dict):
        return [{"a": value} for value in right(kind.values[0])] + [{}]
    assert isinstance(kind, ast.Name)
    return RIGHT[kind.id]


def wrong(kind: ast.expr | None) -> list[Any]:
    """Values that a card refuses for it."""
    if isinstance(kind, ast.List):
        return [*([value] for value in wrong(kind.elts[0])), 3, None, "ab", {"a": 1}]
    if isinstance(kind, ast.Tuple):
        good = right(kind)[1]
        inner = [[value, *good[1:]] for value in wrong(kind.elts[0])]
        return [*inner, good[1:], [*good, good[0]], 3, None, "abc"[: len(good)]]
    if isinstance(kind, ast.Dict):
        return [*({"a": value} for value in wrong(kind.values[0])), {3: right(kind.values[0])[0]}, [], None]
    assert isinstance(kind, ast.Name)
    if kind.id in MEMBERS:
        return [0, 1, "0", None, sail.DecoderStatus.NONE]
    return WRONG.get(kind.id, [None, 0, "a", b"a", [], sail.DecoderStatus.NONE])


@pytest.mark.parametrize(("name", "form"), FORMS, ids=lambda value: value if isinstance(value, str) else "")
def test_each_argument_of_each_form(name: str, form: Form) -> None:
    good = [right(kind)[0] for kind in form.kinds]
    assert form.match(good, {}, True) is not None
    assert form.match([*good, 1], {}, True) is None, "one too many"
    if form.required:
        assert form.match(good[: form.required - 1], {}, True) is None, "one too few"
    for i, kind in enumerate(form.kinds):
        before, after = good[:i], good[i + 1 :]
        for value in right(kind):
            assert form.match([*before, value, *after], {}, True) is not None, (form.names[i], value)
        for value in wrong(kind):
            assert form.match([*before, value, *after], {}, True) is None, (form.names[i], value)
    named = dict(zip(form.names[form.unnamed :], good[form.unnamed :], strict=True))
    assert form.match(good[: form.unnamed], named, True) is not None
    assert form.match(good[: form.unnamed], {**named, "other": 1}, True) is None
    for i in range(form.unnamed):
        rest = dict(zip(form.names[i:], good[i:], strict=True))
        assert form.match(good[:i], rest, True) is None, f"{form.names[i]}: not known as a keyword"


def image(width: int = 30, height: int = 20) -> Any:
    return sail.BMImage(HANDLE, height, width, sail.FORMAT_BGR_PLANAR, U8)


@pytest.mark.parametrize(
    "call",
    [
        lambda: BMCV.rectangle(image(), 1.0, 2, 3, 4, (0, 0, 255)),
        lambda: BMCV.rectangle(image(), np.float64(1), 2, 3, 4, (0, 0, 255)),
        lambda: BMCV.rectangle(image(), 1, 2, 3, 4, (0, 0, 255.0)),
        lambda: BMCV.rectangle(image(), 1, 2, 3, 4, (0, 0, 255, 0)),
        lambda: BMCV.rectangle(image(), 1, 2, 3, 4, (0, 0, 255), 1.5),
        lambda: BMCV.rectangle(image().asmat(), 1, 2, 3, 4, (0, 0, 255)),
        lambda: BMCV.rectangle(sail.BMImageArray2D(), 1, 2, 3, 4, (0, 0, 255)),
        lambda: BMCV.rectangle_(image(), 1, 2, 3, 4, (0, 0, 255)),
        lambda: BMCV.fillRectangle(image(), x0=1, y0=2, w=3, h=4, color=(0, 0, 255)),
        lambda: BMCV.putText(image(), "a", 1.0, 2, (0, 0, 0), 1.0),
        lambda: BMCV.polylines(image(), [[(1.0, 2), (3, 4)]], True, (0, 0, 0)),
        lambda: BMCV.polylines(image(), [[(1, 2), (3, 4)]], True, (0, 0, 256)),
        lambda: BMCV.drawPoint(image(), (1.5, 2), (0, 0, 0), 3),
        lambda: BMCV.resize(image(), 16.0, 16),
        lambda: BMCV.resize(image(), 16, 16, 1),
        lambda: BMCV.resize(image(), 16, 16, alg=sail.BMCV_INTER_LINEAR),
        lambda: BMCV.vpp_resize(sail.BMImageArray2D(), sail.BMImageArray2D(), 16, 16),
        lambda: BMCV.crop(image(), 0, 0, 8.0, 8),
        lambda: BMCV.crop(image(), [[0, 0, 8.0, 8]]),
        lambda: BMCV.convert_to(image(), ((1, 0), (1, 0))),
        lambda: BMCV.convert_to(image(), input=image(), alpha_beta=((1, 0),) * 3),
        lambda: BMCV.convert_format(image(), 9),
        lambda: BMCV.imwrite(Path("a.jpg"), image()),
        lambda: BMCV.imwrite("a.jpg", image().asmat()),
        lambda: BMCV.imdecode(bytearray(b"abc")),
        lambda: BMCV.bm_image_to_tensor(image().data()),
        lambda: BMCV.nms([[0, 0, 1, 1, "a"]], 0.5),
        lambda: sail.BMImage(HANDLE, 16.0, 16, sail.FORMAT_GRAY, U8),
        lambda: sail.BMImage(HANDLE, 16, 16, 14, U8),
        lambda: sail.BMImageArray4D(HANDLE, 16, 16, sail.FORMAT_GRAY, 1),
        lambda: sail.Decoder(Path("a.jpg")),
        lambda: sail.Decoder("a.jpg", dev_id=0),
        lambda: sail.Decoder("a.jpg").read(0),
        lambda: sail.Engine(Path("a.bmodel"), 0, sail.SYSIO),
        lambda: sail.Engine("a.bmodel", 0, 2),
        lambda: sail.Engine("a.bmodel", 0.0, sail.SYSIO),
        lambda: sail.Tensor(HANDLE, [1, 3.0], sail.BM_FLOAT32),
        lambda: sail.Tensor(HANDLE, [1, 3], "float32"),
        lambda: sail.Tensor(HANDLE, [1, 3], sail.IOMode.SYSI),
        lambda: sail.Tensor(HANDLE, (1, 3), np.float32),
        lambda: sail.Handle("0"),
        lambda: sail.Handle(0.0),
        lambda: sail.Bmcv(0),
        lambda: sail.set_print_flag("yes"),
        lambda: sail.PaddingAtrr(0, 0, 8, 8, 114, 114, -1),
        lambda: sail.PaddingAtrr(stx=0, sty=0, w=8, h=8, r=0, g=0, b=0),
    ],
)
def test_calls_that_a_card_refuses(call: Callable[[], Any]) -> None:
    with pytest.raises(TypeError, match=r"\(\): not such arguments: \("):
        call()


def test_what_a_card_takes_is_taken() -> None:
    canvas = image()
    assert BMCV.rectangle(image=canvas, x0=np.int64(1), y0=2, w=3, h=4, color=np.array([1, 2, 3])) == 0
    assert BMCV.rectangle(canvas.data(), 1, 2, 3, 4, [0, 0, 255], thickness=2) == 0
    assert BMCV.resize(canvas, resize_h=8, resize_w=9).height() == 8
    assert BMCV.vpp_resize(canvas, output=sail.BMImage(), resize_w=8, resize_h=8) == 0
    gray = sail.BMImage(HANDLE, 20, 30, sail.FORMAT_GRAY, U8)
    assert BMCV.polylines(gray, [[(1, 2), [3, 4]]], isClosed=1, color=[0, 0, 255], shift=0) == 0


def test_the_message_says_what_was_given_and_what_is_allowed() -> None:
    with pytest.raises(
        TypeError, match=r"Handle\(\): not such arguments: \(str 'a'\); allowed: \(tpu_id: int, /\)"
    ):
        sail.Handle("a")


def test_exact_kinds_go_before_conversions() -> None:
    @bound("data: array, /", "data: int8s, /", "shape: [int], text: str = 'x'")
    def chosen(*values: Any) -> Any:
        return values

    assert chosen(np.zeros(1, np.int8))[0].dtype == np.int8
    assert chosen(np.zeros(1))[0].dtype == np.float32
    assert chosen([1, 2]) == ([1, 2], "x"), "exactly a list of whole numbers"
    assert chosen([1, 2.5])[0].dtype == np.float32


@pytest.mark.parametrize(
    ("size", "target", "message"),
    [
        ((7, 20), (16, 16), "sides of 8..8192"),
        ((30, 20), (16, 7), "30x20 to 16x7"),
        ((30, 20), (8193, 16), "sides of 8..8192"),
        ((2000, 8), (8, 8), "128 times at most: 2000 to 8"),
        ((8, 20), (2000, 20), "128 times at most: 8 to 2000"),
    ],
)
def test_sizes_that_the_vpp_refuses(size: tuple[int, int], target: tuple[int, int], message: str) -> None:
    source = image(*size)
    padding = sail.PaddingAtrr(0, 0, *target, 0, 0, 0)
    whole = (0, 0, *size)
    calls: tuple[Callable[[], Any], ...] = (
        lambda: BMCV.vpp_resize(source, *target),
        lambda: BMCV.vpp_crop_and_resize(source, *whole, *target),
        lambda: BMCV.vpp_crop_and_resize_padding(source, *whole, *target, padding),
        lambda: BMCV.vpp_resize_padding(source, *target, padding),
    )
    for call in calls:
        with pytest.raises(sail.SailBMImageError, match=message):
            call()
    out = sail.BMImage()
    assert BMCV.vpp_resize(source, out, *target) != 0
    assert out.width() == 0
    assert BMCV.resize(source, *target).width() == target[0], "the TPU's resize has other limits"


def test_the_vpp_crops_and_converts_in_sizes_that_it_takes() -> None:
    small = image(7, 20)
    calls: tuple[Callable[[], Any], ...] = (
        lambda: BMCV.vpp_crop(image(), 0, 0, 7, 8),
        lambda: BMCV.vpp_convert_format(small),
    )
    for call in calls:
        with pytest.raises(sail.SailBMImageError, match=r"sides of 8\.\.8192"):
            call()
    assert BMCV.vpp_convert_format(small, sail.BMImage()) != 0
    assert BMCV.convert_format(small).width() == 7


def test_the_first_chip_has_other_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BMZOO_SAIL_TARGET", "BM1684")
    for target, message in (((15, 16), r"BM1684 takes sides of 16\.\.4096"), ((16, 641), "32 times")):
        with pytest.raises(sail.SailBMImageError, match=message):
            BMCV.vpp_resize(image(30, 20), *target)
