"""onnxruntime sessions for models in memory."""

import onnx
import onnxruntime


def session(model: onnx.ModelProto, threads: int, one_of_many: bool = False) -> onnxruntime.InferenceSession:
    """A session that runs QDQ nodes as they are: onnxruntime would fuse them into integer kernels.

    `one_of_many`: keeps no activations from run to run. By default each session holds on to its own for good.
    """
    options = onnxruntime.SessionOptions()
    options.enable_cpu_mem_arena = options.enable_mem_pattern = not one_of_many
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.log_severity_level = 3
    options.add_session_config_entry("session.disable_quant_qdq", "1")
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
