"""PyTorch state dicts, read without PyTorch and without executing code from the file.

`torch.save` has two formats. Both hold a pickle that describes tensors, and raw storages beside it:

zip     <name>/data.pkl, <name>/data/<key> for each storage, <name>/byteorder since PyTorch 2
legacy  five pickles (magic number, protocol, machine, object, storage keys), then count and bytes by key

The pickle only yields descriptions; tensors are sliced from the storages afterwards, with bounds checks.
"""

import io
import math
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from bmzoo.errors import SourceError
from bmzoo.onnx_import.unpickle import STATE_DICT_WANTED, STORAGE_DTYPES, Refused, Storage, View, unpickle

_MAX_BYTES = 4 << 30
_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
_LEGACY_PROTOCOL = 1001

_Fetch = Callable[[Storage], bytes]


def load_state_dict(path: Path, shown: str = "") -> dict[str, NDArray[Any]]:
    """Tensors by name, in the file's order and element types; bfloat16 becomes float32.

    A state dict one level down (`{"state_dict": …, "epoch": …}`) is found; a `module.` before every name
    (DataParallel) is taken off. Raises SourceError when the file is missing, damaged, not a checkpoint,
    larger than 4 GiB, or asks for a global that no state dict needs; in that case nothing has been run.
    `shown` is what errors call the file, if not by its path.
    """
    where = shown or str(path)
    try:
        with path.open("rb") as file:
            return _read(file, path.stat().st_size)
    except Refused as err:
        raise SourceError(f"{where}: {err}", err.hint) from None
    except OSError as err:
        raise SourceError(f"{where}: cannot be read: {err.strerror or err}", "check the path") from None


def _read(file: IO[bytes], size: int) -> dict[str, NDArray[Any]]:
    if size > _MAX_BYTES:
        raise Refused(f"is larger than 4 GiB: {size} bytes", STATE_DICT_WANTED)
    head = file.read(64)
    file.seek(0)
    if head.startswith(b"PK"):
        tree, fetch = _read_zip(file, size)
    elif head.startswith(b"\x80"):
        tree, fetch = _read_legacy(file, size)
    else:
        _refuse_kind(head)
    flat: dict[object, NDArray[Any]] = {}
    tensors = {}
    for name, view in _without_prefix(_state_dict(tree)).items():
        if not isinstance(view.storage, Storage):
            raise Refused(f"is damaged: `{name}` has no storage")
        if view.storage not in flat:
            flat[view.storage] = _elements(fetch(view.storage), view.storage)
        tensors[name] = _cut(flat[view.storage], view, name)
    return tensors


def _refuse_kind(head: bytes) -> NoReturn:
    if head.lstrip().startswith(b"<"):
        raise Refused("is a web page, not a checkpoint", "the download led to a log-in or error page")
    if head.startswith(b"version https://git-lfs"):
        raise Refused("is a Git LFS pointer, not a checkpoint", "run `git lfs pull`")
    start = f"begins with {head[:8]!r}" if head else "is empty"
    raise Refused(f"is not a PyTorch checkpoint: {start}", STATE_DICT_WANTED)


def _read_zip(file: IO[bytes], size: int) -> tuple[object, _Fetch]:
    try:
        archive = zipfile.ZipFile(file)
    except (zipfile.BadZipFile, ValueError, NotImplementedError) as err:
        raise Refused(f"is damaged or cut short: {err}") from None
    declared = sum(info.file_size for info in archive.infolist())
    if declared > size:  # PyTorch never compresses, so an honest archive is larger than its contents
        raise Refused(f"says that it unpacks to {declared} bytes, more than the {size} of the file itself")
    roots = [name.removesuffix("data.pkl") for name in archive.namelist() if name.endswith("/data.pkl")]
    if len(roots) != 1:
        raise Refused(f"is a zip archive with {len(roots)} files named `data.pkl`, not 1", STATE_DICT_WANTED)
    root = roots[0]
    if f"{root}byteorder" in archive.namelist() and _member(archive, f"{root}byteorder").strip() != b"little":
        raise Refused("was saved on a big-endian machine", "save it again on a little-endian one")
    tree = unpickle(io.BytesIO(_member(archive, f"{root}data.pkl")))
    return tree, lambda storage: _member(archive, f"{root}data/{storage.key}")


def _member(archive: zipfile.ZipFile, name: str) -> bytes:
    try:
        return archive.read(name)
    except KeyError:
        raise Refused(f"lacks `{name}`") from None
    except Exception as err:  # zipfile and zlib raise many kinds for a damaged member
        raise Refused(f"is damaged at `{name}`: {err}") from None


def _read_legacy(file: IO[bytes], size: int) -> tuple[object, _Fetch]:
    if unpickle(file) != _LEGACY_MAGIC:
        raise Refused("is a pickle, but not one that `torch.save` wrote", STATE_DICT_WANTED)
    if unpickle(file) != _LEGACY_PROTOCOL:
        raise Refused(f"has a protocol version that is not {_LEGACY_PROTOCOL}", STATE_DICT_WANTED)
    unpickle(file)  # C type sizes of the machine that saved it; the data is little-endian whatever it says
    tree, keys = unpickle(file), unpickle(file)
    places = _legacy_places(file, size, keys, {storage.key: storage for storage in _storages(tree)})

    def fetch(storage: Storage) -> bytes:
        if storage.key not in places:
            raise Refused(f"lacks the storage `{storage.key}`")
        start, length = places[storage.key]
        file.seek(start)
        return file.read(length)

    return tree, fetch


def _legacy_places(
    file: IO[bytes], size: int, keys: object, storages: dict[str, Storage]
) -> dict[str, tuple[int, int]]:
    """Offset and length in bytes of each storage, by key; the file stands at the first count."""
    places: dict[str, tuple[int, int]] = {}
    for key in keys if isinstance(keys, list) else [keys]:
        if not isinstance(key, str) or key not in storages:
            raise Refused("is damaged: its list of storages names one that belongs to no tensor")
        count = int.from_bytes(file.read(8), "little", signed=True)
        places[key] = file.tell(), count * np.dtype(STORAGE_DTYPES[storages[key].kind]).itemsize
        if count < 0 or sum(places[key]) > size:
            raise Refused(f"is damaged or cut short: storage `{key}` should hold {count} elements")
        file.seek(sum(places[key]))
    return places


def _storages(tree: object) -> list[Storage]:
    """All storages under nested containers; each is visited once, because a pickle can hold cycles."""
    found, todo, seen = [], [tree], set()
    while todo:
        node = todo.pop()
        if isinstance(node, Storage):
            found.append(node)
        elif isinstance(node, dict | list | tuple) and id(node) not in seen:
            seen.add(id(node))
            todo += dict.values(node) if isinstance(node, dict) else node
    return found


def _state_dict(tree: object) -> dict[str, View]:
    if not isinstance(tree, dict):
        raise Refused(f"holds a {type(tree).__name__}, not a state dict", STATE_DICT_WANTED)
    if views := _views(tree):
        return views
    nested = {str(key): views for key, value in dict.items(tree) if (views := _views(value))}
    if len(nested) > 1:
        raise Refused(f"holds {len(nested)} state dicts, not 1: {', '.join(nested)}", STATE_DICT_WANTED)
    if not nested:
        raise Refused("holds no state dict: a mapping from names to tensors only", STATE_DICT_WANTED)
    return nested.popitem()[1]


def _views(value: object) -> dict[str, View]:
    """The value if it maps names to tensors and to nothing else, otherwise nothing."""
    items = dict.items(value) if isinstance(value, dict) else ()
    views = {key: view for key, view in items if isinstance(key, str) and isinstance(view, View)}
    return views if len(views) == len(items) else {}


def _without_prefix(views: dict[str, View]) -> dict[str, View]:
    prefixed = all(name.startswith("module.") for name in views)
    return {name.removeprefix("module."): view for name, view in views.items()} if prefixed else views


def _elements(raw: bytes, storage: Storage) -> NDArray[Any]:
    """A whole storage as a flat array."""
    dtype = np.dtype(STORAGE_DTYPES[storage.kind])
    if len(raw) != storage.numel * dtype.itemsize:
        wanted = f"{storage.numel} elements of {dtype.itemsize} bytes"
        raise Refused(f"is damaged: storage `{storage.key}` holds {len(raw)} bytes, not {wanted}")
    flat = np.frombuffer(raw, dtype)
    if storage.kind == "BFloat16Storage":  # the upper half of a float32
        return (flat.astype(np.uint32) << 16).view(np.float32)
    return flat


def _cut(flat: NDArray[Any], view: View, name: str) -> NDArray[Any]:
    """A copy of the tensor, after a check that it lies within its storage."""
    size, stride = _counts(view.size, name), _counts(view.stride, name)
    (offset,) = _counts((view.offset,), name)
    if len(size) != len(stride) or len(size) > 32:
        raise Refused(f"is damaged: `{name}` has {len(size)} sizes and {len(stride)} strides")
    last = offset + sum((count - 1) * step for count, step in zip(size, stride, strict=True))
    # A stride of 0 repeats elements: a tensor that outgrows its storage is a way to fill the memory.
    if math.prod(size) > flat.size or (0 not in size and last >= flat.size):
        raise Refused(f"is damaged: `{name}` reaches outside its storage of {flat.size} elements")
    if 0 in size:
        return np.empty(size, flat.dtype)
    steps = [step * flat.itemsize for step in stride]
    return np.lib.stride_tricks.as_strided(flat[offset:], size, steps).copy()


def _counts(values: object, name: str) -> tuple[int, ...]:
    if isinstance(values, tuple) and all(type(count) is int and count >= 0 for count in values):
        return values
    raise Refused(f"is damaged: `{name}` has a size, stride or offset that is not a count")
