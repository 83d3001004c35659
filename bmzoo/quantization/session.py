"""onnxruntime sessions for models in memory."""

import onnx
import onnxruntime


def session(model: onnx.ModelProto, threads: int) -> onnxruntime.InferenceSession:
    """A session that runs QDQ nodes as they are: onnxruntime would fuse them into integer kernels."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.log_severity_level = 3
    options.add_session_config_entry("session.disable_quant_qdq", "1")
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
