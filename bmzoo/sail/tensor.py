"""Tensor: system memory and device memory, each of them optional, and never synchronized implicitly."""

from __future__ import annotations

from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable, ClassVar, List, Optional, Sequence, Tuple, Union

import numpy as np

from bmzoo.sail.binding import bound
from bmzoo.sail.device import Handle
from bmzoo.sail.enums import ELEMENTS, Dtype
from bmzoo.sail.errors import DataTypeError, MemoryError, Partial, SailTensorError
from bmzoo.sail.scaling import dequantize, element_bits, quantize

if TYPE_CHECKING:
    from numpy.typing import NDArray

# numpy types that a tensor keeps; all others are converted to float32.
_FROM_NUMPY = {
    "float32": Dtype.BM_FLOAT32,
    "int8": Dtype.BM_INT8,
    "uint8": Dtype.BM_UINT8,
    "int32": Dtype.BM_INT32,
}
# Arrays are of these kinds; what is of none becomes the first, float32.
_KINDS = ("array", "int8s", "uint8s", "int32s")


class Tensor(Partial):
    """Numbers of one type in a shape. Made from

    `(handle, shape, dtype, own_sys_data=False, own_dev_data=False)`: without memory, or with zeroed memory;
    `(handle, array)` or `(handle, array, own_sys_data, own_dev_data=True)`: the array goes to system memory
    where that is wanted, else to device memory;
    `(tensor, ranges, d2d_flag=True)`: a copy of a part of at most two dimensions, ranges [(from, to), ...];
    `(tensor, shape, offset, no_copy=True)`: a view of its memory, offset in elements.
    """

    LEFT_OUT: ClassVar = frozenset({"pysys_data", "sync_d2d_stride"})

    @bound(
        *(f"handle: Handle, data: {kind}" for kind in _KINDS),
        *(f"handle: Handle, data: {kind}, own_sys_data: bool, own_dev_data: bool = True" for kind in _KINDS),
        "handle: Handle, shape: [int], dtype: Dtype, own_sys_data: bool = False, own_dev_data: bool = False",
        "tensor: Tensor, ranges: [(int, int)], d2d_flag: bool = True",
        "src: Tensor, shape: [int], offset: uint, no_copy: bool = True",
    )
    def __init__(self, source: Any, *arguments: Any, **named: Any) -> None:
        self._system: Optional[NDArray[Any]] = None  # flat, of the element type
        self.device: Optional[NDArray[Any]] = None
        self._owns = (False, False)
        self._shape: List[int] = []
        self._dtype = Dtype.BM_FLOAT32
        self._device_id = source.get_device_id() if isinstance(source, Handle) else source.device_id()
        self.keeps: Any = None  # keeps the owner of attached memory alive
        make: Callable[..., None]
        if isinstance(source, Tensor):
            make = self._part if len(arguments) == 2 else self._view
        else:
            make = self._from_array if isinstance(arguments[0], np.ndarray) else self._blank
        make(source, *arguments)

    def _blank(
        self,
        handle: Handle,
        shape: Sequence[int],
        dtype: Dtype,
        own_sys_data: bool = False,
        own_dev_data: bool = False,
    ) -> None:
        self._shape, self._dtype = [int(size) for size in shape], dtype
        self._owns = (bool(own_sys_data), bool(own_dev_data))
        if self._shape and min(self._shape) > 0:  # else there is nothing to allocate, which is no error
            self._allocate()

    def _from_array(
        self, handle: Handle, data: NDArray[Any], own_sys_data: bool = True, own_dev_data: bool = True
    ) -> None:
        dtype = _FROM_NUMPY.get(data.dtype.name, Dtype.BM_FLOAT32)
        self._blank(handle, data.shape or (1,), dtype, own_sys_data, own_dev_data)
        memory = self._system if own_sys_data else self.device
        if memory is None:
            raise SailTensorError("Tensor(): an array needs system memory or device memory")
        memory[:] = data.astype(ELEMENTS[dtype]).reshape(-1)

    def _part(self, tensor: Tensor, ranges: Sequence[Tuple[int, int]], d2d_flag: bool = True) -> None:
        shape = tensor.shape()
        if len(ranges) != len(shape) or len(shape) > 2:
            raise SailTensorError(f"Tensor(): slices have one range for each of 1 or 2 dimensions: {ranges}")
        if any(not 0 <= start < end <= size for (start, end), size in zip(ranges, shape)):  # noqa: B905
            raise SailTensorError(f"Tensor(): size out of range: {ranges} of {shape}")
        source = tensor.device if d2d_flag else tensor._system
        if source is None:
            raise SailTensorError(f"Tensor(): the source has no {'device' if d2d_flag else 'system'} memory")
        part = source[: prod(shape)].reshape(shape)[tuple(slice(start, end) for start, end in ranges)]
        self._blank(Handle(self._device_id), part.shape, tensor.dtype(), False, True)
        self.device = part.reshape(-1).copy()

    def _view(self, src: Tensor, shape: Sequence[int], offset: int, no_copy: bool = True) -> None:
        self._blank(Handle(self._device_id), shape, src.dtype())
        if not no_copy:
            raise SailTensorError("Tensor(): no_copy=False: not supported by sail")
        if src.device is None:
            raise SailTensorError("Tensor(): the source has no device memory")
        if not self._shape or min(self._shape) < 1 or offset < 0 or offset + self.size() > src.device.size:
            raise SailTensorError(f"Tensor(): size out of range: {self._shape} at {offset} of {src.shape()}")
        end = offset + self.size()
        self.device = src.device[offset:end]
        self._system = None if src._system is None else src._system[offset:end]

    def _allocate(self) -> None:
        kind = ELEMENTS[self._dtype]
        if self._owns[0]:
            self._system = np.zeros(self.size(), kind)
        if self._owns[1]:
            self.device = np.zeros(self.size(), kind)

    def attach(self, device: NDArray[Any], shape: Sequence[int], dtype: Dtype, keeps: Any) -> None:
        """Use `device`, flat, as this tensor's device memory, and take its shape and type."""
        self._reset([int(size) for size in shape], dtype)
        self.device, self.keeps = device, keeps
        self._owns = (self._owns[0], False)
        if self._system is not None:
            self._system[:] = device

    def _reset(self, shape: List[int], dtype: Dtype) -> None:
        """Another shape and type; own memory is kept when its size in bytes stays the same."""
        if not shape or min(shape) < 1:
            raise SailTensorError(f"tensor shape: sizes must be at least 1: {shape}")
        before, self._shape, self._dtype = self.nbytes(), shape, dtype
        if before != self.nbytes():
            self._allocate()
        else:
            kind = ELEMENTS[dtype]
            self._system = None if self._system is None else self._system.view(kind)
            self.device = None if self.device is None else self.device.view(kind)

    def shape(self) -> List[int]:
        """Sizes of the dimensions."""
        return list(self._shape)

    def dtype(self) -> Dtype:
        """Type of an element."""
        return self._dtype

    def size(self) -> int:
        """Number of elements."""
        return prod(self._shape) if self._shape else 0

    def __len__(self) -> int:
        return self.size()

    @bound("i: size, /")
    def __getitem__(self, index: int) -> Any:
        if not 0 <= index < self.size():
            raise IndexError(f"Tensor: no such element: {index}")
        return self._memory(self._system, "system")[index].item()

    def element_size(self) -> int:
        """Bytes of an element."""
        return int(np.dtype(ELEMENTS[self._dtype]).itemsize)

    def nbytes(self) -> int:
        """Bytes of all elements."""
        return self.size() * self.element_size()

    def device_id(self) -> int:
        """Number of the device."""
        return self._device_id

    def own_sys_data(self) -> bool:
        """Whether system memory is this tensor's own."""
        return self._owns[0]

    def own_dev_data(self) -> bool:
        """Whether device memory is this tensor's own."""
        return self._owns[1]

    def is_sys_data_valid(self) -> bool:
        """Whether there is system memory, own or shared."""
        return self._system is not None

    def is_dev_data_valid(self) -> bool:
        """Whether there is device memory, own or attached."""
        return self.device is not None

    @bound("shape: [int], /")
    def reshape(self, shape: Sequence[int]) -> None:
        """Another shape; when the size in bytes changes, own memory is new and zero."""
        self._reset([int(size) for size in shape], self._dtype)

    @bound("", "shape: [int], /")
    def asnumpy(self, shape: Optional[Sequence[int]] = None) -> NDArray[Any]:
        """A copy of system memory, or of device memory where there is no other; never synchronised first.

        With `shape` the first elements only. 16-bit floats come as uint16 bits, uint32 as int32.
        """
        wanted = self._shape if shape is None else [int(size) for size in shape]
        memory = self._either()
        if not wanted or min(wanted) < 0 or prod(wanted) > memory.size:
            raise SailTensorError(f"asnumpy: does not fit {self._shape}: {wanted}")
        copy = memory[: prod(wanted)].reshape(wanted).copy()
        return copy.view(np.int32) if self._dtype is Dtype.BM_UINT32 else copy

    @bound(*(f"data: {kind}, /" for kind in (*_KINDS, "halves")))
    def update_data(self, data: Any) -> None:
        """Copy an array of the same shape and type to system memory, or to device memory without it.

        float64, lists and whatever else the card has no form for are float32. 16-bit tensors take any 2-byte type
        as bits.
        """
        kind = np.dtype(ELEMENTS[self._dtype])
        bits = kind == np.uint16 and data.dtype.itemsize == 2
        if list(data.shape) != self._shape or (data.dtype != kind and not bits):
            raise SailTensorError(f"update_data: must be {kind} {self._shape}: {data.dtype} {list(data.shape)}")
        self._either()[:] = np.ascontiguousarray(data).reshape(-1).view(kind)

    @bound("", "size: int, /", "src: Tensor, offset_src: int, offset_dst: int, len: int, /")
    def sync_s2d(self, *arguments: Any) -> None:
        """System to device: all, `(nbytes)`, or `(src, offset_src, offset_dst, elements)`."""
        if len(arguments) == 4:
            self._copy_from(arguments, "system", "device")
        elif self._system is not None and self.device is not None:
            _copy_bytes(self._system, self.device, *arguments)

    @bound("", "size: int, /", "src: Tensor, offset_src: int, offset_dst: int, len: int, /")
    def sync_d2s(self, *arguments: Any) -> None:
        """Device to system: all, `(nbytes)`, or `(src, offset_src, offset_dst, elements)`."""
        if len(arguments) == 4:
            self._copy_from(arguments, "device", "system")
        elif self._system is not None and self.device is not None:
            _copy_bytes(self.device, self._system, *arguments)

    @bound("src: Tensor, offset_src: int, offset_dst: int, len: int, /")
    def sync_d2d(self, src: Tensor, offset_src: int, offset_dst: int, len: int) -> None:
        """Copy `len` elements between the device memories of two tensors of one type."""
        self._copy_from((src, offset_src, offset_dst, len), "device", "device")

    def _copy_from(self, arguments: Sequence[Any], origin: str, target: str) -> None:
        src, offset_src, offset_dst, count = arguments
        if src.dtype() is not self._dtype:
            raise DataTypeError(f"tensors differ in type: {src.dtype().name}, {self._dtype.name}")
        source = src._memory(src._system if origin == "system" else src.device, origin)
        memory = self._memory(self._system if target == "system" else self.device, target)
        if min(offset_src, offset_dst, count) < 0 or offset_src + count > source.size:
            raise MemoryError(f"source data out of bounds: {count} from {offset_src} of {source.size}")
        if offset_dst + count > memory.size:
            raise MemoryError(f"destination data out of bounds: {count} to {offset_dst} of {memory.size}")
        memory[offset_dst : offset_dst + count] = source[offset_src : offset_src + count].copy()

    @bound("c: object, /")
    def memory_set(self, value: Union[int, float]) -> None:
        """Fill whatever memory there is with one value."""
        for memory in (self._system, self.device):
            if memory is not None:
                memory[:] = element_bits(value, self._dtype)

    def zeros(self) -> None:
        """Fill with 0."""
        self.memory_set(0)

    def ones(self) -> None:
        """Fill with 1."""
        self.memory_set(1)

    @bound("data: array, scale: float, /")
    def scale_from(self, data: NDArray[Any], scale: float) -> None:
        """System memory = data * scale, rounded half to even and clipped for integer types."""
        memory = self._memory(self._system, "system")
        if data.size != memory.size:
            raise SailTensorError(f"scale_from: sizes differ: {data.size}, {memory.size}")
        memory[:] = quantize(np.asarray(data), self._dtype, scale).reshape(-1)

    @bound("scale: float, /", "scale: float, shape: [int], /")
    def scale_to(self, scale: float, shape: Optional[Sequence[int]] = None) -> NDArray[np.float32]:
        """System memory * scale as float32; with `shape` the first elements only."""
        self._memory(self._system, "system")
        values = self.asnumpy() if shape is None else self.asnumpy(shape)
        return dequantize(values, self._dtype, scale)

    @bound("file_name: str, bin: bool = False")
    def dump_data(self, file_name: str, bin: bool = False) -> None:
        """Write system memory, or device memory without it, as text rows or as it is."""
        memory = self._either()
        if bin:
            Path(file_name).write_bytes(memory.tobytes())
            return
        style = "%.4f" if memory.dtype == np.float32 else "%d"
        np.savetxt(file_name, memory.reshape(-1, self._shape[-1]), fmt=style)

    def _either(self) -> NDArray[Any]:
        memory = self.device if self._system is None else self._system
        return self._memory(memory, "system or device")

    def _memory(self, memory: Optional[NDArray[Any]], kind: str) -> NDArray[Any]:
        if memory is None:
            raise SailTensorError(f"the tensor has no {kind} memory")
        return memory


def _copy_bytes(source: NDArray[Any], target: NDArray[Any], nbytes: Optional[int] = None) -> None:
    count = source.nbytes if nbytes is None else nbytes
    if count < 0 or count > min(source.nbytes, target.nbytes):
        raise SailTensorError(f"size out of range: {count} bytes of {min(source.nbytes, target.nbytes)}")
    target.view(np.uint8)[:count] = source.view(np.uint8)[:count]
