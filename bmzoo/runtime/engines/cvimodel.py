"""What a cvimodel, the file for CV18xx chips, says about itself, read from the text of `model_tool --info`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Collection, Dict, List, Tuple

from bmzoo.errors import SessionError
from bmzoo.runtime.engines.bmodel import BModelInfo, BModelNetwork, BModelStage
from bmzoo.runtime.engines.pyruntime import as_meant
from bmzoo.runtime.engines.tensor_info import TensorInfo

if TYPE_CHECKING:
    from pathlib import Path

CVIMODEL_SUFFIX = ".cvimodel"
CVIMODEL_MAGIC = b"CviModel"  # the first bytes of every cvimodel
_CHIP = re.compile(r"^For (\w+) chip ONLY$", re.M)
_NAME = re.compile(r"^(.+) Build at \d", re.M)
_PORTS = re.compile(r"^    (inputs|outputs) +: (.+)$", re.M)
_TENSOR = re.compile(
    r"^ +\d{3}  \S+ +(?P<type>\w+) +(?P<shape>\d+ +\d+ +\d+ +\d+) +(?P<scale>\S+) +\w+ +(?P<name>.+)$", re.M
)
_TYPES = {"fp32": "float32", "fp16": "float16"}


def parse_cvimodel_info(text: str) -> BModelInfo:
    """Read chip and tensors of the first program; it has one core and one network. Raises SessionError.

    Shapes are as the network means them, of outputs: see pyruntime.as_meant.
    """
    chip, name, tensors = _CHIP.search(text), _NAME.search(text), _tensors(text)
    listed = {match.group(1): match.group(2) for match in reversed(list(_PORTS.finditer(text)))}
    ports = {key: _names(line, tensors) for key, line in listed.items()}
    if not chip or not name or len(ports) != 2 or not all(ports.values()):
        last = text.strip().splitlines()[-1:] or ["nothing"]
        raise SessionError(f"not a cvimodel, or damaged: {last[0]}")
    inputs, outputs = ([tensors[port][0] for port in ports[key]] for key in ("inputs", "outputs"))
    meant = [TensorInfo(one.name, as_meant(one.shape, "cvi"), one.dtype) for one in outputs]
    scales = {name: (scale, 0) for name, (_, scale) in tensors.items()}
    stage = BModelStage(1, tuple(inputs), tuple(meant), scales)
    return BModelInfo(chip.group(1), (BModelNetwork(name.group(1), False, (stage,)),))


def check_kind(model: Path) -> None:
    """Refuse a file that begins as one of the other kind than its name says. Raises SessionError."""
    with model.open("rb") as stream:
        is_cvimodel = stream.read(len(CVIMODEL_MAGIC)) == CVIMODEL_MAGIC
    if is_cvimodel and model.suffix != CVIMODEL_SUFFIX:
        hint = f"for a BM chip compile a bmodel; for a CV18xx chip name it {model.stem}{CVIMODEL_SUFFIX}"
        raise SessionError(f"{model}: a cvimodel, which CV18xx chips run and BM chips do not", hint)
    if not is_cvimodel and model.suffix == CVIMODEL_SUFFIX:
        hint = "a bmodel is for BM chips: name it .bmodel"
        raise SessionError(f"{model}: not a cvimodel, or damaged: it does not begin as one does", hint)


def memory_bytes(text: str) -> Dict[str, int]:
    """Bytes by what they hold, as of a bmodel: weights, instructions, tensors while it runs, and all of them."""
    sections = re.findall(r"^\d{3}  (weight|cmdbuf) +\S+ +(\d+) ", text, re.M)
    held = {key: sum(int(size) for kind, size in sections if kind == key) for key in ("weight", "cmdbuf")}
    runtime = sum(int(size) for size in re.findall(r"^    (?:private|shared)_gmem_size: (\d+)$", text, re.M))
    found = {"weights": held["weight"], "instructions": held["cmdbuf"], "runtime": runtime}
    return {"total": sum(found.values()), **found}


def _names(line: str, known: Collection[str]) -> List[str]:
    """Names with commas between them, which they may have inside as well; none where one of them is not known."""
    found: List[str] = []
    while line:
        name = max((name for name in known if f"{line},".startswith(f"{name},")), key=len, default="")
        if not name:
            return []
        found.append(name)
        line = line[len(name) + 1 :]
    return found


def _tensors(text: str) -> Dict[str, Tuple[TensorInfo, float]]:
    """By name, with its scale: of a name that is there twice the first."""
    found: List[Tuple[TensorInfo, float]] = []
    for match in _TENSOR.finditer(text):
        shape = tuple(int(size) for size in match.group("shape").split())
        dtype = _TYPES.get(match.group("type"), match.group("type"))
        found.append((TensorInfo(match.group("name"), shape, dtype), float(match.group("scale"))))
    return {one.name: (one, scale) for one, scale in reversed(found)}
