"""Known ways in which the compiler fails: what its log says -> the cause in one line, and the fix.

Tried with TPU-MLIR 1.30.2; each pattern stands in the log of a real failure.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

_TRACEBACK = "Traceback (most recent call last):\n"
_BARE = re.compile(r"^\w*Error: .+$", re.MULTILINE)  # without a traceback: a tool's own way to say it
_NAMELESS = re.compile(r"^(?:RuntimeError|ValueError|AssertionError|Exception): (?=\S)")  # the text says all


@dataclass(frozen=True)
class Signature:
    pattern: re.Pattern[str]
    cause: str
    hint: str


def _signature(pattern: str, cause: str, hint: str) -> Signature:
    return Signature(re.compile(pattern), cause, hint)


# What a signal means that ended a tool.
_SIGNALS: Mapping[str, tuple[str, str]] = {
    "SIGFPE": (
        "it divided by zero",
        "a size, stride, scale or threshold is 0 in the model, its config or a table",
    ),
    "SIGILL": ("this processor lacks an instruction that it needs", "TPU-MLIR needs AVX2; run on another machine"),
    "SIGBUS": ("a file or memory that it had mapped went away", "is the disk, or /dev/shm, full?"),
    "SIGKILL": ("from outside, mostly for want of memory", "run fewer steps at once"),
    "SIGSEGV": ("it crashed", "the log's last lines say where"),
    "SIGABRT": ("it gave up", "the log's last lines say why"),
}
SIGNATURES = (
    _signature(
        r"GLIBC_2\.\d+' not found|stack smashing detected",
        "the toolchain's own glibc came before the system's",
        "./doit doctor checks and explains the repair",
    ),
    _signature(
        r"UNREACHABLE executed at .*TopToTpuPass\.cpp",
        "the model's batch is baked into a reshape or resize, so this chip cannot lower it",
        "export the model with a batch dimension that is really free",
    ),
    _signature(
        r"UNREACHABLE executed at .*Module\.cpp",
        "the calibration table lacks a tensor of this model",
        "it was made for another export: remove it and run the calibrate task",
    ),
    _signature(
        r"ASSERT INFO: ?Not Implemented",
        "this chip's backend does not implement an operator in this precision",
        "try fp32, or keep the operator float with a mixed-precision table",
    ),
    _signature(
        r"ASSERT /\S*/(?P<said>atomic_\w+)\.c:",
        "the chip's code generator refuses what the compiler made of a group of layers: {said}",
        "try `deploy: [--disable_layer_group]` below `targets`, or another precision",
    ),
    # Once in the second of two runs of fp16 on two cores of bm1688, on a busy machine; the same passed again.
    _signature(
        r"SendMsg: \d+: msg_que_\[msg_id\]\.remain_wait_cnt",
        "the simulator's cores lost count of each other's messages, which happens by chance on a busy machine",
        "run it again: what is done is kept",
    ),
    _signature(
        r"pyruntime_bm\.cpp:\d+: .*PythonModel.*Assertion `flag == true' failed",
        "the chip's runtime cannot load the artifact",
        "try `deploy: [--disable_layer_group]` below `targets`, or another precision",
    ),
    _signature(
        r"(?m)^\S+\.py: error: argument (?P<said>.+: invalid choice: \S+)",
        "the installed version does not know what it is asked for: {said}",
        "its --help lists what it knows",
    ),
    _signature(r"bmzoo: (?P<said>.+)", "{said}", ""),
    _signature(r"No space left on device", "no space left on the disk", "free some space and run again"),
    _signature(r"MemoryError|std::bad_alloc|Cannot allocate memory", "out of memory", "run fewer steps at once"),
    _signature(
        r"(?:onnxruntime.*|RuntimeError: )(?P<said>.*(?:not support|unsupported|Unsupport).*)",
        "the compiler does not support part of this model: {said}",
        "see the log for the operator's name",
    ),
    _signature(
        r"negative dimensions are not allowed",
        "a tensor has a size below 0: the input is too small for the network, or a size is left free",
        "see `input` in the config; the model needs a fixed height and width",
    ),
    _signature(
        r"DecompressionBombError: (?P<said>.+)",
        "a picture has more pixels than are read: {said}",
        "the log names it, or the last pictures before it; leave it out, or make it smaller",
    ),
    _signature(
        r"CV_IO_MAX_IMAGE_(?P<said>PIXELS|WIDTH|HEIGHT)",
        "a picture has more pixels than OpenCV reads, or says so: {said}",
        "leave it out, or make it smaller",
    ),
    _signature(r"Floating point exception|SIGFPE", *_SIGNALS["SIGFPE"]),
    _signature(r"ModuleNotFoundError: (?P<said>.+)", "the environment is incomplete: {said}", "run ./doit doctor"),
)


def known_cause(log: str) -> tuple[str, str]:
    """Cause and hint of the first known signature in a log, else its last exception; empty texts without either."""
    for signature in SIGNATURES:
        match = signature.pattern.search(log)
        if match:
            said = {key: _short(value) for key, value in match.groupdict().items()}
            return signature.cause.format(**said), signature.hint
    return last_exception(log), ""


def ended_by(signal: str) -> tuple[str, str]:
    """Cause and hint of a signal that ended a tool, by name; empty texts for one that says nothing."""
    return _SIGNALS.get(signal, ("", ""))


def last_exception(log: str) -> str:
    """The last exception that Python printed, as `KeyError: 'boxes'`; empty where it printed none."""
    _, found, after = log.rpartition(_TRACEBACK)
    lines = (line for line in after.splitlines() if line and not line.startswith(" ")) if found else iter(())
    bare = _BARE.findall(log)
    line = next(lines, bare[-1] if bare else "")
    return _short(_NAMELESS.sub("", line))


def _short(text: str) -> str:
    text = text.strip()
    return text if len(text) <= 200 else f"{text[:197]}..."
