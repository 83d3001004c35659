from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from bmzoo import sail

HANDLE = sail.Handle(0)


def filled(values: object, kind: type = np.float32) -> sail.Tensor:
    """A tensor with the values in both memories."""
    tensor = sail.Tensor(HANDLE, np.array(values, kind))
    tensor.sync_s2d()
    return tensor


def test_an_empty_shell_has_a_shape_but_no_memory() -> None:
    shell = sail.Tensor(HANDLE, [1, 3, 2, 2], sail.BM_INT8, False, False)
    assert (shell.shape(), shell.dtype(), shell.size(), shell.nbytes()) == ([1, 3, 2, 2], sail.BM_INT8, 12, 12)
    assert not (shell.own_sys_data() or shell.own_dev_data() or shell.is_sys_data_valid())
    with pytest.raises(sail.SailTensorError, match="no system or device memory"):
        shell.asnumpy()
    assert not sail.Tensor(HANDLE, [2], sail.BM_FLOAT32).own_dev_data(), "without memory unless asked"


def test_arrays_go_to_system_memory_until_they_are_synchronised() -> None:
    tensor = sail.Tensor(HANDLE, np.array([[1, 2], [3, 4]], np.float32))
    assert (tensor.own_sys_data(), tensor.own_dev_data()) == (True, True)
    tensor.sync_d2s()
    np.testing.assert_array_equal(tensor.asnumpy(), np.zeros((2, 2)))
    tensor.update_data(np.array([[5, 6], [7, 8]], np.float32))
    tensor.sync_s2d()
    tensor.zeros()
    assert tensor.asnumpy().sum() == 0


def test_arrays_go_straight_to_the_device_without_system_memory() -> None:
    tensor = sail.Tensor(HANDLE, np.array([4, 5], np.int32), False)
    assert (tensor.own_sys_data(), tensor.own_dev_data(), tensor.dtype()) == (False, True, sail.BM_INT32)
    np.testing.assert_array_equal(tensor.asnumpy(), [4, 5])
    with pytest.raises(sail.SailTensorError, match="needs system memory or device memory"):
        sail.Tensor(HANDLE, np.zeros(2), False, False)


@pytest.mark.parametrize(
    ("kind", "dtype"),
    [
        (np.float32, sail.BM_FLOAT32),
        (np.int8, sail.BM_INT8),
        (np.uint8, sail.BM_UINT8),
        (np.int32, sail.BM_INT32),
        (np.float64, sail.BM_FLOAT32),
        (np.int64, sail.BM_FLOAT32),
        (np.uint16, sail.BM_FLOAT32),
    ],
)
def test_types_of_arrays(kind: type, dtype: sail.Dtype) -> None:
    source: NDArray[Any] = np.arange(6).reshape(2, 3).astype(kind).T
    tensor = sail.Tensor(HANDLE, source)
    assert tensor.dtype() is dtype
    np.testing.assert_array_equal(tensor.asnumpy(), source)


def test_system_memory_is_stale_until_synchronised() -> None:
    tensor = filled([1, 2, 3])
    other = filled([7, 8, 9])
    tensor.sync_d2d(other, 1, 0, 2)
    assert tensor.asnumpy().tolist() == [1, 2, 3]
    tensor.sync_d2s()
    assert tensor.asnumpy().tolist() == [8, 9, 3]


def test_synchronising_a_part() -> None:
    tensor = filled([1, 2, 3, 4])
    tensor.update_data(np.array([5, 6, 7, 8], np.float32))
    tensor.sync_s2d(8)
    tensor.sync_d2s()
    assert tensor.asnumpy().tolist() == [5, 6, 3, 4]
    tensor.sync_d2s(filled([9, 10]), 1, 3, 1)
    assert tensor.asnumpy().tolist() == [5, 6, 3, 10]
    tensor.sync_s2d(filled([11, 12]), 0, 0, 2)
    tensor.sync_d2s(4)
    assert tensor.asnumpy().tolist() == [11, 6, 3, 10]
    with pytest.raises(sail.SailTensorError, match="size out of range"):
        tensor.sync_s2d(17)
    with pytest.raises(sail.MemoryError, match="source data out of bounds"):
        tensor.sync_d2d(filled([1]), 0, 0, 2)
    with pytest.raises(sail.MemoryError, match="destination data out of bounds"):
        tensor.sync_d2d(filled([1, 2]), 0, 3, 2)
    with pytest.raises(sail.DataTypeError):
        tensor.sync_d2d(filled([1], np.int8), 0, 0, 1)


def test_asnumpy_copies_and_takes_the_first_elements() -> None:
    tensor = filled([[1, 2], [3, 4]])
    tensor.asnumpy()[:] = 0
    assert tensor.asnumpy([3]).tolist() == [1, 2, 3]
    with pytest.raises(sail.SailTensorError, match=r"does not fit \[2, 2\]: \[5\]"):
        tensor.asnumpy([5])


@pytest.mark.parametrize(
    ("dtype", "kind"),
    [(sail.BM_FLOAT16, np.uint16), (sail.BM_BFLOAT16, np.uint16), (sail.BM_UINT32, np.int32)],
)
def test_types_that_come_as_bits(dtype: sail.Dtype, kind: type) -> None:
    assert sail.Tensor(HANDLE, [2], dtype, True, True).asnumpy().dtype == kind


def test_update_data_wants_shape_and_type() -> None:
    tensor = filled([1, 2])
    for wrong in (
        np.array([1], np.float32),
        np.array([[1, 2]], np.float32),
        np.array([1, 2], np.int32),
        np.array([1, 2], np.int8),
        [1, 2, 3],
    ):
        with pytest.raises(sail.SailTensorError, match="update_data"):
            tensor.update_data(wrong)
    with pytest.raises(TypeError, match="update_data"):
        tensor.update_data("12")
    half = sail.Tensor(HANDLE, [2], sail.BM_FLOAT16, True, True)
    half.update_data(np.array([1, 2], np.float16))
    assert half.asnumpy().view(np.float16).tolist() == [1, 2]


@pytest.mark.parametrize(
    "values",
    [
        [[1, 2], [3, 4]],
        ((1.0, 2), (3, 4)),
        np.array([[1, 2], [3, 4]]),
        np.array([[1, 2], [3, 4]], np.float64),
        [range(1, 3), [3, 4]],
    ],
)
def test_what_has_no_form_of_its_own_becomes_float32(values: Any) -> None:
    tensor = sail.Tensor(HANDLE, values)
    assert (tensor.dtype(), tensor.shape()) == (sail.BM_FLOAT32, [2, 2])
    assert tensor.asnumpy().tolist() == [[1, 2], [3, 4]]
    other = sail.Tensor(HANDLE, [2, 2], sail.BM_FLOAT32, True, True)
    other.update_data(values)
    assert other.asnumpy().tolist() == [[1, 2], [3, 4]]
    assert sail.Tensor(HANDLE, values, False, True).asnumpy().tolist() == [[1, 2], [3, 4]]
    whole = sail.Tensor(HANDLE, [2, 2], sail.BM_INT8, True, True)
    with pytest.raises(sail.SailTensorError, match="must be int8"):
        whole.update_data(values)


@pytest.mark.parametrize("dtype", [sail.BM_FLOAT32, sail.BM_UINT8, sail.BM_INT32])
def test_filling(dtype: sail.Dtype) -> None:
    tensor = sail.Tensor(HANDLE, [2, 2], dtype, True, True)
    tensor.ones()
    assert tensor.asnumpy().tolist() == [[1, 1], [1, 1]]
    tensor.memory_set(7)
    tensor.sync_d2s()
    assert tensor.asnumpy().tolist() == [[7, 7], [7, 7]]
    tensor.zeros()
    assert not tensor.asnumpy().any()


def test_filling_16_bit_floats() -> None:
    for dtype, bits in ((sail.BM_FLOAT16, 0x3C00), (sail.BM_BFLOAT16, 0x3F80)):
        tensor = sail.Tensor(HANDLE, [1], dtype, True, True)
        tensor.ones()
        assert tensor.asnumpy().tolist() == [bits]


def test_reshape_keeps_memory_of_the_same_size() -> None:
    tensor = filled([1, 2, 3, 4])
    tensor.reshape([2, 2])
    assert tensor.asnumpy().tolist() == [[1, 2], [3, 4]]
    tensor.reshape([3])
    assert tensor.asnumpy().tolist() == [0, 0, 0]
    with pytest.raises(sail.SailTensorError, match="at least 1"):
        tensor.reshape([0])


def test_scaling_rounds_half_to_even_and_clips() -> None:
    tensor = sail.Tensor(HANDLE, [5], sail.BM_INT8, True, True)
    tensor.scale_from(np.array([0.25, 0.75, -1.25, 100, -100], np.float32), 2.0)
    assert tensor.asnumpy().tolist() == [0, 2, -2, 127, -128]
    assert tensor.scale_to(0.5).tolist() == [0, 1, -1, 63.5, -64]
    assert tensor.scale_to(0.5, [2]).tolist() == [0, 1]
    with pytest.raises(sail.SailTensorError, match="sizes differ"):
        tensor.scale_from(np.array([1], np.float32), 1.0)
    with pytest.raises(sail.SailTensorError, match="BM_FLOAT16"):
        sail.Tensor(HANDLE, [1], sail.BM_FLOAT16, True).scale_from(np.array([1], np.float32), 1.0)


def test_slices_copy_and_views_share() -> None:
    tensor = filled(np.arange(12).reshape(3, 4))
    part = sail.Tensor(tensor, [(1, 3), (0, 2)])
    assert part.asnumpy().tolist() == [[4, 5], [8, 9]]
    view = sail.Tensor(tensor, [2, 2], 4)
    view.memory_set(1)
    tensor.sync_d2s()
    assert tensor.asnumpy()[1].tolist() == [1, 1, 1, 1]
    assert part.asnumpy().tolist() == [[4, 5], [8, 9]]
    for wrong in ([(0, 4), (0, 1)], [(1, 1), (0, 1)], [(0, 1)]):
        with pytest.raises(sail.SailTensorError):
            sail.Tensor(tensor, wrong)
    with pytest.raises(sail.SailTensorError, match="out of range"):
        sail.Tensor(tensor, [2, 2], 9)
    with pytest.raises(sail.SailTensorError, match="no_copy"):
        sail.Tensor(tensor, [1], 0, False)


def test_elements(tmp_path: Path) -> None:
    tensor = filled([[1, 2.5], [3, 4]])
    assert (len(tensor), tensor[1], tensor.element_size(), tensor.device_id()) == (4, 2.5, 4, 0)
    with pytest.raises(IndexError):
        tensor[4]
    tensor.dump_data(str(tmp_path / "text"))
    assert (tmp_path / "text").read_text() == "1.0000 2.5000\n3.0000 4.0000\n"
    tensor.dump_data(str(tmp_path / "raw"), bin=True)
    assert np.fromfile(tmp_path / "raw", np.float32).tolist() == [1, 2.5, 3, 4]


@pytest.mark.parametrize(
    "arguments",
    [(), (1,), ([1], sail.BM_INT8), (HANDLE, [1], "2"), (HANDLE,), (HANDLE, [[1], [2, 3]]), (HANDLE, "1")],
)
def test_other_arguments(arguments: tuple[object, ...]) -> None:
    with pytest.raises(TypeError):
        sail.Tensor(*arguments)
