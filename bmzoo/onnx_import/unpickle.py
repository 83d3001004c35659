"""A restricted unpickler for untrusted checkpoints: it yields descriptions of tensors, and nothing else.

A pickle is a program. The few globals that a state dict needs resolve to inert stand-ins; any other global is
refused by name, before the first opcode is executed.
"""

import io
import pickle
import pickletools
from collections import OrderedDict
from typing import IO, NamedTuple

STATE_DICT_WANTED = "a state dict needs no code; save it again with `torch.save(model.state_dict(), path)`"
# Element types by storage class. numpy has no bfloat16: its bits are read, to be widened later.
STORAGE_DTYPES = {
    "FloatStorage": "<f4",
    "DoubleStorage": "<f8",
    "HalfStorage": "<f2",
    "BFloat16Storage": "<u2",
    "LongStorage": "<i8",
    "IntStorage": "<i4",
    "ShortStorage": "<i2",
    "CharStorage": "|i1",
    "ByteStorage": "|u1",
    "BoolStorage": "|b1",
}


class Refused(Exception):
    """What is wrong with a checkpoint, and what to do about it; the caller adds the file's name."""

    def __init__(self, problem: str, hint: str = "fetch the file again and compare its sha256") -> None:
        super().__init__(problem)
        self.hint = hint


class Storage(NamedTuple):
    """Where a tensor's elements lie: storage class, name in the file, number of elements (all unchecked)."""

    kind: str
    key: str
    numel: int


class View(NamedTuple):
    """A tensor as the pickle describes it, in elements of its storage; nothing in it has been checked."""

    storage: object
    offset: object
    size: object
    stride: object


class _Rebuild:
    """Stands in for `torch._utils._rebuild_*`; it has no attributes, so a pickle cannot set any."""

    __slots__ = ()

    def __call__(self, *args: object) -> object:
        return args[0] if isinstance(args[0], View) else View(*args[:4])


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> object:
        return _admit(module, name)

    def persistent_load(self, pid: object) -> Storage:
        # ("storage", class, key, device, elements), in the legacy format also None: no view
        if isinstance(pid, tuple) and len(pid) in (5, 6) and pid[0] == "storage" and pid[5:] in ((), (None,)):
            kind, key, numel = pid[1], pid[2], pid[4]
            if kind in STORAGE_DTYPES and isinstance(key, str) and type(numel) is int:
                return Storage(kind, key, numel)
        raise Refused("holds a storage in a form that is not known", STATE_DICT_WANTED)


def _admit(module: str, name: str) -> object:
    """The inert stand-in for an admitted global."""
    if (module, name) == ("collections", "OrderedDict"):
        return OrderedDict
    if module == "torch._utils" and name in ("_rebuild_tensor_v2", "_rebuild_parameter"):
        return _Rebuild()
    if module == "torch" and name in STORAGE_DTYPES:
        return name
    raise Refused(f"asks for `{module}.{name}`, which no state dict needs", STATE_DICT_WANTED)


def unpickle(stream: IO[bytes]) -> object:
    """Load the next pickle, and leave the stream at its end. Raises Refused.

    All opcodes are checked before any is executed. Tensors come back as `View`, other values as they are.
    """
    start = stream.tell()
    try:
        slots = [arg for op, arg, _ in pickletools.genops(stream) if _sets_slot(op.name, arg)]
        length = stream.tell() - start
        # The unpickler allocates as many memo slots as the highest index, and genuine pickles number them from 0:
        # a huge index is an attack on memory.
        if any(int(slot or 0) > length for slot in slots):
            raise Refused("is damaged: memo index out of range")
        stream.seek(start)
        return _Unpickler(io.BytesIO(stream.read(length))).load()
    except Refused:
        raise
    except Exception as err:  # a damaged pickle can fail in any way at all
        raise Refused(f"is damaged or cut short: its pickle cannot be read: {err}") from None


def _sets_slot(opcode: str, arg: str | int | None) -> bool:
    """Whether the opcode fills a memo slot by number; raises Refused for a global that is not admitted."""
    if opcode in ("GLOBAL", "INST") and isinstance(arg, str):
        _admit(*arg.split(" ", 1))
    return opcode in ("PUT", "BINPUT", "LONG_BINPUT")
