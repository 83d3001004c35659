"""What of sail 3.10 is not here, and why. docs/runtime-and-sail.md lists the same."""

from __future__ import annotations

from typing import Dict

_WHY: Dict[str, str] = {
    "it tells the state of a real card": """get_board_temp get_chip_temp get_dev_stat get_tpu_util get_vpp_util
        get_vpu_util""",
    "it measures a real card": "Perf _dryrun _perf",
    "it spreads work over several real cards; Engine does the same on one": "MultiEngine",
    "language models do not fit the chip simulator": "EngineLLM",
    "it runs a program for the chip that only a card can load": """tpu_kernel_api_openpose_part_nms
        tpu_kernel_api_yolov5_detect_out tpu_kernel_api_yolov5_out_without_decode algo_yolov8_seg_post_tpu_opt""",
    "it shares a card's memory between processes": "IPC",
    "it needs the BM1688's stitching unit": "Blend blend_wgt_mode",
    "it decodes raw streams, which OpenCV does not": "Decoder_RawStream Frame",
    "no sample that we have read calls it; Decoder reads one picture after the other": "DecoderImages",
    "its arithmetic is not documented, and no sample that we have read calls it": """algo_yolov5_post_1output
        algo_yolov5_post_3output algo_yolov8_post_1output_async algo_yolov8_post_cpu_opt_1output_async
        algo_yolox_post argmax argmin nms_rotated""",
    "trackers are not emulated; the samples' own are Python": """bytetrack_tracker_controller
        deepsort_tracker_controller deepsort_tracker_controller_async sort_tracker_controller
        sort_tracker_controller_async""",
}

# Name -> why it is not here.
NOT_HERE: Dict[str, str] = {name: reason for reason, names in _WHY.items() for name in names.split()}
