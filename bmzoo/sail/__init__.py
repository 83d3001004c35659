"""The Python API of sophon.sail on machines without a card.

`python -m bmzoo.sail script.py ...` runs a script that says `import sophon.sail as sail` unchanged: bmodels on
the chip simulator of TPU-MLIR, ONNX models in onnxruntime. What only a card can do raises NotSupport by name.

Environment: BMZOO_SAIL_TPUS (number of emulated devices, 1), BMZOO_SAIL_BATCH (size of a free batch of an ONNX
model, 1), BMZOO_SAIL_SHAPE (its other free sizes, NAME:1x3x320x320), BMZOO_SAIL_TARGET (result of
Handle.get_target), BMZOO_SAIL_SHADOW (1: bmzoo's where a card's is installed, too), TPUC_ROOT (a TPU-MLIR that is
not installed by pip), BMZOO_SAIL_PYTHON (the interpreter that it is for, where it is not this one).
"""

from __future__ import annotations

from typing import Any

from bmzoo.sail.arrays import (
    BMImageArray2D,
    BMImageArray3D,
    BMImageArray4D,
    BMImageArray8D,
    BMImageArray16D,
    BMImageArray32D,
    BMImageArray64D,
    BMImageArray128D,
    BMImageArray256D,
)
from bmzoo.sail.base64_coding import base64_decode, base64_decode_asarray, base64_encode, base64_encode_array
from bmzoo.sail.bmcv import Bmcv
from bmzoo.sail.decoder import Decoder, set_decoder_env
from bmzoo.sail.device import Handle, get_available_tpu_num, set_dump_io_flag, set_loglevel, set_print_flag
from bmzoo.sail.encoder import Encoder
from bmzoo.sail.engine import Engine
from bmzoo.sail.engine_preprocess import EngineImagePreProcess
from bmzoo.sail.enums import (
    EXPORTED,
    DecoderStatus,
    Dtype,
    Format,
    ImgDtype,
    IOMode,
    LogLevel,
    bmcv_resize_algorithm,
    sail_resize_type,
)
from bmzoo.sail.errors import (
    DataTypeError,
    MemoryError,
    NotSupport,
    SailBMImageError,
    SailDecoderError,
    SailDeviceError,
    SailEncoderError,
    SailEngineError,
    SailTensorError,
    SailUnknownError,
)
from bmzoo.sail.image import BMImage, PaddingAtrr, bm_image
from bmzoo.sail.left_out import NOT_HERE
from bmzoo.sail.multi_decoder import MultiDecoder
from bmzoo.sail.named_tensor import CreateTensorPTRWithName, ReleaseTensorPtr, TensorPTRWithName
from bmzoo.sail.preprocess import ImagePreProcess
from bmzoo.sail.tensor import Tensor
from bmzoo.sail.yolov5 import algo_yolov5_post_cpu_opt
from bmzoo.sail.yolov5_async import algo_yolov5_post_cpu_opt_async

__version__ = "3.10.7"  # of the emulated API
__bmzoo__ = True  # by which bmzoo.runtime tells it from a card's

__all__ = [
    "BMImage",
    "BMImageArray128D",
    "BMImageArray16D",
    "BMImageArray256D",
    "BMImageArray2D",
    "BMImageArray32D",
    "BMImageArray3D",
    "BMImageArray4D",
    "BMImageArray64D",
    "BMImageArray8D",
    "Bmcv",
    "CreateTensorPTRWithName",
    "DataTypeError",
    "Decoder",
    "DecoderStatus",
    "Dtype",
    "Encoder",
    "Engine",
    "EngineImagePreProcess",
    "Format",
    "Handle",
    "IOMode",
    "ImagePreProcess",
    "ImgDtype",
    "LogLevel",
    "MemoryError",
    "MultiDecoder",
    "NotSupport",
    "PaddingAtrr",
    "ReleaseTensorPtr",
    "SailBMImageError",
    "SailDecoderError",
    "SailDeviceError",
    "SailEncoderError",
    "SailEngineError",
    "SailTensorError",
    "SailUnknownError",
    "Tensor",
    "TensorPTRWithName",
    "algo_yolov5_post_cpu_opt",
    "algo_yolov5_post_cpu_opt_async",
    "base64_decode",
    "base64_decode_asarray",
    "base64_encode",
    "base64_encode_array",
    "bm_image",
    "bmcv_resize_algorithm",
    "get_available_tpu_num",
    "sail_resize_type",
    "set_decoder_env",
    "set_dump_io_flag",
    "set_loglevel",
    "set_print_flag",
]

# Members of enumerations are exported from the module, too: sail.SYSIO is sail.IOMode.SYSIO.
for _kind in EXPORTED:
    globals().update(_kind.__members__)


def __getattr__(name: str) -> Any:
    if name in NOT_HERE:
        raise NotSupport(f"sail.{name}: not in bmzoo.sail: {NOT_HERE[name]}")
    raise AttributeError(f"module `sophon.sail` has no attribute: {name}")
