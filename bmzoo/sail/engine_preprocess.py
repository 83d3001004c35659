"""EngineImagePreProcess: pictures in, a network's outputs out."""

# ruff: noqa: N802  # the names are sail's

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Dict, List, Optional, Sequence, Tuple

from bmzoo.sail.binding import bound
from bmzoo.sail.engine import Engine
from bmzoo.sail.enums import Dtype, ImgDtype, IOMode, sail_resize_type
from bmzoo.sail.errors import NotSupport, SailEngineError
from bmzoo.sail.named_tensor import TensorPTRWithName
from bmzoo.sail.preprocess import ImagePreProcess
from bmzoo.sail.tensor import Tensor

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from bmzoo.sail.image import BMImage
    from bmzoo.sail.preprocess import Batch

NOT_READY = 1  # code of the calls that InitImagePreProcess must come before
Found = Tuple[Any, List[Any], List[int], List[int], List[List[int]]]


class EngineImagePreProcess:
    """The first input of the first network of a model, fed by an ImagePreProcess."""

    @bound("bmodel_path: str, tpu_id: int, use_mat_output: bool = False, core_list: [int] = []")
    def __init__(
        self, bmodel_path: str, tpu_id: int, use_mat_output: bool = False, core_list: Sequence[int] = ()
    ) -> None:
        self._engine = Engine(bmodel_path, tpu_id, IOMode.DEVIO)
        self._graph = self._engine.get_graph_names()[0]
        self._input = self._engine.get_input_names(self._graph)[0]
        shape = self._engine.get_input_shape(self._graph, self._input)
        if len(shape) != 4:
            raise SailEngineError(f"EngineImagePreProcess: the input must be [N,C,H,W]: {shape}")
        self._batch, _, self._height, self._width = shape
        self._device, self._mats = tpu_id, use_mat_output
        self._pictures: Optional[ImagePreProcess] = None
        self._running = threading.Lock()

    @bound(
        "resize_mode: sail_resize_type, bgr2rgb: bool = False, queue_in_size: int = 20, queue_out_size: int = 20"
    )
    def InitImagePreProcess(
        self,
        resize_mode: sail_resize_type,
        bgr2rgb: bool = False,
        queue_in_size: int = 20,
        queue_out_size: int = 20,
    ) -> int:
        """How pictures become inputs. 0."""
        queues = (queue_in_size, queue_out_size)
        made = ImagePreProcess(self._batch, resize_mode, self._device, *queues)
        floats = self._engine.get_input_dtype(self._graph, self._input) is Dtype.BM_FLOAT32
        kind = ImgDtype.DATA_TYPE_EXT_FLOAT32 if floats else ImgDtype.DATA_TYPE_EXT_1N_BYTE_SIGNED
        made.SetResizeImageAtrr(self._width, self._height, bgr2rgb, kind)
        self._pictures = made
        return 0

    @bound("padding_b: int = 114, padding_g: int = 114, padding_r: int = 114, align: int = 0")
    def SetPaddingAtrr(
        self, padding_b: int = 114, padding_g: int = 114, padding_r: int = 114, align: int = 0
    ) -> int:
        """Colour around a padded picture, and where that lies: 0 at the top left, 1 in the middle. 0, or a code."""
        if self._pictures is None:
            return NOT_READY
        self._pictures.SetPaddingAtrr(padding_b, padding_g, padding_r, align)
        return 0

    @bound("alpha_beta: ((float, float), (float, float), (float, float)), /")
    def SetConvertAtrr(self, alpha_beta: Sequence[Sequence[float]]) -> int:
        """y = a * x + b for each channel, before the network's own scale. 0, or a code."""
        if self._pictures is None:
            return NOT_READY
        scale = self._engine.get_input_scale(self._graph, self._input)
        self._pictures.SetConvertAtrr(tuple((a * scale, b * scale) for a, b in alpha_beta))
        return 0

    @bound("channel_idx: int, image_idx: int, image: BMImage, /")
    def PushImage(self, channel_idx: int, image_idx: int, image: BMImage) -> int:
        """Queue a picture. 0; 2 when the queues are full. The image is moved: the caller's is empty afterwards."""
        return NOT_READY if self._pictures is None else self._pictures.PushImage(channel_idx, image_idx, image)

    @bound("need_d2s: bool = True")
    def GetBatchData(self, need_d2s: bool = True) -> Found:
        """The next batch: outputs with their names, pictures, their channels and indices, where each lies in the
        network's input as [left, top, width, height]. Waits until there are enough pictures.
        """
        if self._mats:
            raise SailEngineError("GetBatchData: not supported with use_mat_output; GetBatchData_Npy2 is")
        batch, outputs = self._next()
        if need_d2s:
            for tensor in outputs.values():
                tensor.sync_d2s()
        return self._found([TensorPTRWithName(name, tensor) for name, tensor in outputs.items()], batch)

    def GetBatchData_Npy(self) -> Found:
        """The same with the outputs as float32 arrays by name."""
        if self._mats:
            raise SailEngineError("GetBatchData_Npy: not supported with use_mat_output; GetBatchData_Npy2 is")
        batch, outputs = self._next()
        return self._found(self._arrays(outputs), batch)

    def GetBatchData_Npy2(self) -> Found:
        """The same, with the pictures as uint8 [H,W,3] in BGR order; for `use_mat_output`."""
        if not self._mats:
            raise SailEngineError("GetBatchData_Npy2: not supported without use_mat_output")
        batch, outputs = self._next()
        arrays, images, *others = self._found(self._arrays(outputs), batch)
        return (arrays, [image.asmat() for image in images], *others)

    def _next(self) -> Tuple[Batch, Dict[str, Tensor]]:
        if self._pictures is None:
            raise RuntimeError("EngineImagePreProcess: invalid status: call InitImagePreProcess first")
        batch = self._pictures.take()
        with self._running:
            outputs = {
                name: Tensor(
                    self._engine.get_handle(),
                    self._engine.get_max_output_shapes(self._graph)[name],
                    self._engine.get_output_dtype(self._graph, name),
                    True,
                    True,
                )
                for name in sorted(self._engine.get_output_names(self._graph))
            }
            self._engine.process(self._graph, {self._input: batch.tensor}, outputs)
        return batch, outputs

    def _arrays(self, outputs: Dict[str, Tensor]) -> Dict[str, NDArray[np.float32]]:
        found = {}
        for name, tensor in outputs.items():
            if tensor.dtype() is not Dtype.BM_FLOAT32:
                raise NotSupport(
                    f"GetBatchData_Npy: sail 3.10 reads wrong memory for {tensor.dtype().name}: {name}"
                )
            tensor.sync_d2s()
            found[name] = tensor.asnumpy()
        return found

    def _found(self, outputs: Any, batch: Batch) -> Found:
        pictures = batch.pictures
        images, channels = [p.image for p in pictures], [p.channel for p in pictures]
        return outputs, images, channels, [p.index for p in pictures], batch.places

    def get_graph_name(self) -> str:
        """Name of the first network."""
        return self._graph

    def get_input_width(self) -> int:
        """In pixels."""
        return self._width

    def get_input_height(self) -> int:
        """In pixels."""
        return self._height

    def get_output_names(self) -> List[str]:
        """Outputs in the network's order."""
        return self._engine.get_output_names(self._graph)

    @bound("tensor_name: str, /")
    def get_output_shape(self, tensor_name: str) -> List[int]:
        """Shape of an output."""
        return self._engine.get_output_shape(self._graph, tensor_name)

    def exhausted(self) -> None:
        """Say that no picture comes any more."""
        if self._pictures is not None:
            self._pictures.exhausted()

    def get_exhausted_flag(self) -> bool:
        """Whether that was said, and all pictures are worked through."""
        return self._pictures is not None and self._pictures.get_exhausted_flag()
