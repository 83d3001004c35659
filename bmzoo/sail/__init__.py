"""The Python API of sophon.sail on machines without a card.

`python -m bmzoo.sail script.py ...` runs a script that says `import sophon.sail as sail` unchanged: bmodels on
the chip simulator of TPU-MLIR, ONNX models in onnxruntime. What only a card can do raises NotSupport by name.

Environment: BMZOO_SAIL_TPUS (number of emulated devices, 1), BMZOO_SAIL_BATCH (size of a dynamic batch of an ONNX
model, 1), BMZOO_SAIL_TARGET (result of Handle.get_target), TPUC_ROOT (a TPU-MLIR that is not installed by pip).
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
from bmzoo.sail.bmcv import Bmcv
from bmzoo.sail.decoder import Decoder
from bmzoo.sail.device import Handle, get_available_tpu_num, set_dump_io_flag, set_loglevel, set_print_flag
from bmzoo.sail.engine import Engine
from bmzoo.sail.enums import (
    EXPORTED,
    DecoderStatus,
    Dtype,
    Format,
    ImgDtype,
    IOMode,
    LogLevel,
    bmcv_resize_algorithm,
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
from bmzoo.sail.tensor import Tensor
from bmzoo.sail.yolov5 import algo_yolov5_post_cpu_opt

__version__ = "3.10.7"  # of the emulated API

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
    "DataTypeError",
    "Decoder",
    "DecoderStatus",
    "Dtype",
    "Engine",
    "Format",
    "Handle",
    "IOMode",
    "ImgDtype",
    "LogLevel",
    "MemoryError",
    "NotSupport",
    "PaddingAtrr",
    "SailBMImageError",
    "SailDecoderError",
    "SailDeviceError",
    "SailEncoderError",
    "SailEngineError",
    "SailTensorError",
    "SailUnknownError",
    "Tensor",
    "algo_yolov5_post_cpu_opt",
    "bm_image",
    "bmcv_resize_algorithm",
    "get_available_tpu_num",
    "set_dump_io_flag",
    "set_loglevel",
    "set_print_flag",
]

# Members of enumerations are exported from the module, too: sail.SYSIO is sail.IOMode.SYSIO.
for _kind in EXPORTED:
    globals().update(_kind.__members__)

# Public names of sail 3.10 that need a card, or are not emulated.
_LEFT_OUT = """
Blend CreateTensorPTRWithName DecoderImages Decoder_RawStream Encoder EngineImagePreProcess EngineLLM Frame IPC
ImagePreProcess MultiDecoder MultiEngine Perf ReleaseTensorPtr TensorPTRWithName algo_yolov5_post_1output
algo_yolov5_post_3output algo_yolov5_post_cpu_opt_async algo_yolov8_post_1output_async
algo_yolov8_post_cpu_opt_1output_async algo_yolov8_seg_post_tpu_opt algo_yolox_post argmax argmin base64_decode
base64_decode_asarray base64_encode base64_encode_array blend_wgt_mode bytetrack_tracker_controller
deepsort_tracker_controller deepsort_tracker_controller_async get_board_temp get_chip_temp get_dev_stat
get_tpu_util get_vpp_util get_vpu_util nms_rotated sail_resize_type set_decoder_env sort_tracker_controller
sort_tracker_controller_async tpu_kernel_api_openpose_part_nms tpu_kernel_api_yolov5_detect_out
tpu_kernel_api_yolov5_out_without_decode _dryrun _perf
"""


def __getattr__(name: str) -> Any:
    if name in _LEFT_OUT.split():
        raise NotSupport(f"sail.{name}: not in bmzoo.sail, needs a real card")
    raise AttributeError(f"module `sophon.sail` has no attribute: {name}")
