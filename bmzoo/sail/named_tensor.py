"""TensorPTRWithName: a tensor with its name, as the pre- and postprocessing classes hand them on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Optional

from bmzoo.sail.binding import bound
from bmzoo.sail.errors import SailTensorError
from bmzoo.sail.tensor import Tensor

if TYPE_CHECKING:
    from bmzoo.sail.device import Handle


class TensorPTRWithName:
    """Made by sail, by CreateTensorPTRWithName."""

    def __init__(self, name: str, data: Optional[Tensor]) -> None:
        self._name, self._data = name, data

    def get_name(self) -> str:
        """Name of the input or output."""
        return self._name

    def get_data(self) -> Tensor:
        """The tensor. Raises SailTensorError after ReleaseTensorPtr, where a card ends the program."""
        if self._data is None:
            raise SailTensorError(f"TensorPTRWithName: released: {self._name}")
        return self._data


@bound(
    *(
        f"name: str, handle: Handle, data: {kind}, own_sys_data: bool = False, own_dev_data: bool = True"
        for kind in ("array", "int8s", "uint8s", "int32s")
    )
)
def CreateTensorPTRWithName(  # noqa: N802  # sail's name
    name: str, handle: Handle, data: Any, own_sys_data: bool = False, own_dev_data: bool = True
) -> TensorPTRWithName:
    """A tensor of an array, as Tensor(handle, data, own_sys_data, own_dev_data) makes it, with a name."""
    return TensorPTRWithName(name, Tensor(handle, data, own_sys_data, own_dev_data))


@bound("tensor_with_name: TensorPTRWithName, /")
def ReleaseTensorPtr(tensor_with_name: TensorPTRWithName) -> None:  # noqa: N802  # sail's name
    """Free the tensor."""
    tensor_with_name._data = None
