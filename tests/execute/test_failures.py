import pytest

from bmzoo.execute.failures import SIGNATURES, known_cause

CRASH = """\
[Running]: tpuc-opt t.mlir --processor-assign="chip=bm1684 mode=INT8" --convert-top-to-tpu
{said}
PLEASE submit a bug report to https://github.com/llvm/llvm-project/issues/ and include the crash backtrace.
Stack dump:
0.      Program arguments: tpuc-opt t.mlir --convert-top-to-tpu
 #0 0x0000563ad3f0c1a8 llvm::sys::PrintStackTrace(llvm::raw_ostream&, int) (/opt/tpu_mlir/bin/tpuc-opt+0x9c41a8)
Aborted (core dumped)
Traceback (most recent call last):
  File "/opt/tpu_mlir/python/tools/model_deploy.py", line 612, in <module>
    tool.lowering()
  File "/opt/tpu_mlir/python/utils/mlir_shell.py", line 484, in _os_system
    raise RuntimeError("[!Error]: {{}}".format(cmd_str))
RuntimeError: [!Error]: tpuc-opt t.mlir --convert-top-to-tpu
"""
BAKED = "shapes do not fit\nUNREACHABLE executed at /build/lib/Conversion/TopToTpu/TopToTpuPass.cpp:2189!"
TABLE = "op [landms] has no threshold\nUNREACHABLE executed at /build/lib/Support/Module.cpp:1943!"

LOGS = {
    "batch baked in": (CRASH.format(said=BAKED), "the model's batch is baked into a reshape", "really free"),
    "table of another export": (CRASH.format(said=TABLE), "the calibration table lacks a tensor", "calibrate task"),
    "not implemented": (
        CRASH.format(said="bmcpu init: skip\nASSERT INFO:Not Implemented\nASSERT /build/GatherElements.cpp:49"),
        "this chip's backend does not implement an operator",
        "try fp32",
    ),
    "code generator": (
        CRASH.format(
            said="ERROR: ASSERT /workspace/tpu-latest/bm1686/firmware_base/src/atomic/atomic_conv_gen_cmd.c: "
            "atomic_conv_gen_cmd: 362: kernel_is_const || get_npu_index(weight_addr) == get_npu_index(output_addr)"
        ),
        "the chip's code generator refuses what the compiler made of a group of layers: atomic_conv_gen_cmd",
        "--disable_layer_group",
    ),
    "cores out of step": (
        "ERROR: ASSERT /workspace/tpu-latest/bm1686/cmodel/src/cmodel_arch.cpp: SendMsg: 137: "
        "msg_que_[msg_id].remain_wait_cnt == 0 || wait_cnt == msg_que_[msg_id].remain_wait_cnt\n"
        "ASSERT info: msg id:33 is in use",
        "the simulator's cores lost count of each other's messages",
        "run it again",
    ),
    "not loaded": (
        "python: /__w/tpu-mlir/tpu-mlir/bindings/pyruntime/pyruntime_bm.cpp:314: PythonModel::PythonModel("
        "const std::string &, int, const std::string &): Assertion `flag == true' failed.",
        "the chip's runtime cannot load the artifact",
        "--disable_layer_group",
    ),
    "glibc": (
        "/usr/bin/python3: /lib/x86_64-linux-gnu/libm.so.6: version `GLIBC_2.38' not found (required by python3)",
        "the toolchain's own glibc came before the system's",
        "doctor",
    ),
    "smashed stack": (
        "*** stack smashing detected ***: terminated\nAborted",
        "the toolchain's own glibc",
        "doctor",
    ),
    "disk full": (
        'Traceback (most recent call last):\n  File "x.py", line 3\nOSError: [Errno 28] No space left on device',
        "no space left on the disk",
        "free some space",
    ),
    "memory in C++": ("terminate called after throwing an instance of 'std::bad_alloc'", "out of memory", "fewer"),
    "memory in numpy": (
        "numpy.core._exceptions._ArrayMemoryError: Unable to allocate 9.3 GiB\nMemoryError",
        "out of memory",
        "fewer steps",
    ),
    "unsupported operator": (
        "RuntimeError: Op not support:{'NonMaxSuppression'}\n",
        "does not support part of this model: Op not support:{'NonMaxSuppression'}",
        "see the log",
    ),
    "missing module": (
        "Traceback (most recent call last):\nModuleNotFoundError: No module named 'torch'\n",
        "the environment is incomplete: No module named 'torch'",
        "doctor",
    ),
    "a chip that the version does not know": (
        "usage: run_sensitive_layer.py [-h]\nrun_sensitive_layer.py: error: argument --chip/--processor: "
        "invalid choice: 'cv186x' (choose from 'bm1684x', 'bm1684')\n",
        "does not know what it is asked for: --chip/--processor: invalid choice: 'cv186x'",
        "--help",
    ),
    "cannot start": (
        "$ tpuc-opt x\nbmzoo: cannot start /opt/bin/tpuc-opt: Permission denied\n",
        "cannot start /opt/bin/tpuc-opt: Permission denied",
        "",
    ),
    "a chain of exceptions": (
        'Traceback (most recent call last):\n  File "x.py", line 3\nKeyError: 1\n\nDuring handling of the above '
        'exception, another exception occurred:\n\nTraceback (most recent call last):\n  File "y.py", line 4\n'
        "    boom()\ncv2.error: OpenCV(4.10) resize.cpp:1: error: (-215) !ssize.empty()\n\n",
        "cv2.error: OpenCV(4.10) resize.cpp:1: error: (-215) !ssize.empty()",
        "",
    ),
    "an exception of any name": (
        'Traceback (most recent call last):\n  File "x.py", line 3\nzipfile.BadZipFile: File is not a zip file\n',
        "zipfile.BadZipFile: File is not a zip file",
        "",
    ),
    "an exception without a text": (
        'Traceback (most recent call last):\n  File "x.py", line 3\n    assert shape\nAssertionError\n',
        "AssertionError",
        "",
    ),
    "a key": ("Traceback (most recent call last):\n  File x\nKeyError: 'boxes'\n", "KeyError: 'boxes'", ""),
    "sizes below nothing": (
        'Traceback (most recent call last):\n  File "x.py", line 3\n'
        "ValueError: negative dimensions are not allowed\n",
        "the input is too small for the network",
        "fixed height and width",
    ),
    "a decompression bomb": (
        'Traceback (most recent call last):\n  File "x.py", line 3\nPIL.Image.DecompressionBombError: Image size '
        "(400000000 pixels) exceeds limit of 178956970 pixels, could be decompression bomb DOS attack.\n",
        "more pixels than are read: Image size (400000000 pixels) exceeds limit",
        "smaller",
    ),
    "a division by zero": (
        "sh: line 1: 4711 Floating point exception(core dumped) tpuc-opt x",
        "divided by zero",
        "is 0",
    ),
    "plain error of the tool": (
        'Traceback (most recent call last):\n  File "x.py", line 3\nValueError: input shape {1,3} is odd\n',
        "input shape {1,3} is odd",
        "",
    ),
}


@pytest.mark.parametrize("name", LOGS)
def test_a_known_log_has_its_cause_in_one_line(name: str) -> None:
    log, cause, hint = LOGS[name]
    found, advice = known_cause(log)
    assert cause in found and hint in advice
    assert "\n" not in found + advice


@pytest.mark.parametrize(
    "log",
    [
        "",
        "$ model_deploy.py\n100%|##########| 94/94 [00:01<00:00]\nSuccess: save ok\n",
        "Segmentation fault (core dumped)",
        "warning: ValueError: was caught inside a line",
    ],
)
def test_an_unknown_log_has_none(log: str) -> None:
    assert known_cause(log) == ("", "")


def test_the_most_telling_line_wins_over_the_last_one() -> None:
    log = CRASH.format(said=TABLE) + "ValueError: something that follows from it\n"
    assert "calibration table lacks" in known_cause(log)[0]


def test_what_the_tool_said_is_cut_to_a_readable_length() -> None:
    cause, _ = known_cause("ValueError: " + "x" * 10000)
    assert cause.endswith("...") and len(cause) == 200


def test_every_signature_can_be_filled_in() -> None:
    for signature in SIGNATURES:
        fields = dict.fromkeys(signature.pattern.groupindex, "said")
        assert "{" not in signature.cause.format(**fields)
