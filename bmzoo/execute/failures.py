"""Known ways in which the compiler fails: what its log says -> the cause in one line, and the fix.

Tried with TPU-MLIR 1.30.2; each pattern stands in the log of a real failure.
"""

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Signature:
    pattern: re.Pattern[str]
    cause: str
    hint: str


def _signature(pattern: str, cause: str, hint: str) -> Signature:
    return Signature(re.compile(pattern), cause, hint)


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
    _signature(r"ModuleNotFoundError: (?P<said>.+)", "the environment is incomplete: {said}", "run ./doit doctor"),
    _signature(r"(?m)^(?:RuntimeError|ValueError|AssertionError|KeyError): (?P<said>.+)$", "{said}", ""),
)


def known_cause(log: str) -> tuple[str, str]:
    """Cause and hint of the first known signature in a log; empty texts when none is known."""
    for signature in SIGNATURES:
        match = signature.pattern.search(log)
        if match:
            said = {key: _short(value) for key, value in match.groupdict().items()}
            return signature.cause.format(**said), signature.hint
    return "", ""


def _short(text: str) -> str:
    text = text.strip()
    return text if len(text) <= 200 else f"{text[:197]}..."
