"""What pybind11 takes for an argument: sail's functions are bound by it, and refuse more than Python's would.

A form is what stands between the brackets of a `def`: names, kinds as annotations, defaults. Names before `/` are
not known to the card, so they cannot be given as keywords. Kinds are int, uint, size, byte, float, bool, str,
bytes, object, the classes of sail by name, `Images` and `AnyImage` for some of them, `array` (what numpy makes
float32 of), `int8s` and so on, `bytes_array` (exactly uint8) and `buffer`; `[kind]`, `(kind, kind)` and
`{str: kind}` are made of them.
"""

from __future__ import annotations

import ast
import functools
import operator
from typing import Any, Callable, Dict, List, Optional, Sequence, TypeVar, cast

import numpy as np

from bmzoo.sail.enums import MEMBERS

# Returns the value as the function takes it, or raises Refused. `convert` is False in pybind11's first round.
Caster = Callable[[Any, bool], Any]
Bound = TypeVar("Bound", bound=Callable[..., Any])


class Refused(Exception):
    """This value is not of the kind."""


class Form:
    """One way to call a function."""

    def __init__(self, text: str) -> None:
        head = ast.parse(f"def form({text}): ...").body[0]
        assert isinstance(head, ast.FunctionDef), "a form is text of this package"
        arguments = [*head.args.posonlyargs, *head.args.args]
        self.text = text
        self.names = [argument.arg for argument in arguments]
        self.kinds = [argument.annotation for argument in arguments]
        self.unnamed = len(head.args.posonlyargs)
        self.defaults = [_default(node) for node in head.args.defaults]
        self.required = len(arguments) - len(self.defaults)
        self._casters = [_caster(kind) for kind in self.kinds]

    def match(self, given: Sequence[Any], named: Dict[str, Any], convert: bool) -> Optional[List[Any]]:
        """All arguments in order, defaults filled in, or None when the call is not of this form."""
        known = self.names[max(len(given), self.unnamed) :]
        if len(given) > len(self.names) or any(name not in known for name in named):
            return None
        values = []
        for i, name in enumerate(self.names):
            if i >= len(given) and name not in named:
                if i < self.required:
                    return None
                values.append(self.defaults[i - self.required])
                continue
            try:
                values.append(self._casters[i](given[i] if i < len(given) else named[name], convert))
            except Refused:
                return None
        return values


def bound(*texts: str) -> Callable[[Bound], Bound]:
    """Let a function or method take only calls of these forms, tried in order, first without conversions.

    The function gets all arguments of the form by position. Other calls raise TypeError, as on a card.
    """
    forms = [Form(text) for text in texts]

    def decorate(function: Bound) -> Bound:
        owner = function.__qualname__.rpartition(".")[0]
        skipped = int(bool(owner) and not owner.endswith("<locals>"))  # self

        @functools.wraps(function)
        def call(*given: Any, **named: Any) -> Any:
            for convert in (False, True):
                for form in forms:
                    values = form.match(given[skipped:], named, convert)
                    if values is not None:
                        return function(*given[:skipped], *values)
            raise TypeError(_incompatible(function.__qualname__, forms, given[skipped:], named))

        call.__dict__["forms"] = forms
        return cast(Bound, call)

    return decorate


def _incompatible(name: str, forms: Sequence[Form], given: Sequence[Any], named: Dict[str, Any]) -> str:
    words = [_written(value) for value in given] + [f"{key}={_written(value)}" for key, value in named.items()]
    allowed = " or ".join(f"({form.text})" for form in forms)
    return f"{name.replace('.__init__', '')}(): not such arguments: ({', '.join(words)}); allowed: {allowed}"


def _written(value: Any) -> str:
    plain = isinstance(value, (int, float, str)) and len(repr(value)) < 40
    return f"{type(value).__name__} {value!r}" if plain else type(value).__name__


def _default(node: ast.expr) -> Any:
    return MEMBERS[node.id] if isinstance(node, ast.Name) else ast.literal_eval(node)


def _caster(kind: Optional[ast.expr]) -> Caster:
    if isinstance(kind, ast.List):
        return _sequence([_caster(kind.elts[0])], None)
    if isinstance(kind, ast.Tuple):
        return _sequence([_caster(part) for part in kind.elts], len(kind.elts))
    if isinstance(kind, ast.Dict):
        return _mapping(_caster(kind.values[0]))
    assert isinstance(kind, ast.Name), "every argument of a form has a kind"
    return _PLAIN.get(kind.id) or _instance(kind.id)


def _instance(name: str) -> Caster:
    """Of a class of sail; by name, since the classes' modules import this one."""

    def take(value: Any, convert: bool) -> Any:
        if any(kind.__name__ == name and kind.__module__.startswith("bmzoo.") for kind in type(value).__mro__):
            return value
        raise Refused

    return take


def _one_of(*names: str) -> Caster:
    casters = [_instance(name) for name in names]
    return functools.reduce(_either, casters)


def _either(first: Caster, second: Caster) -> Caster:
    def take(value: Any, convert: bool) -> Any:
        try:
            return first(value, convert)
        except Refused:
            return second(value, convert)

    return take


def _sequence(parts: Sequence[Caster], count: Optional[int]) -> Caster:
    """A list of one kind (`count` None), or a tuple of some."""

    def take(value: Any, convert: bool) -> Any:
        shaped = _has(value, "__getitem__") and _has(value, "__len__")
        if not shaped or isinstance(value, (dict, str, bytes)) or (count is not None and len(value) != count):
            raise Refused
        items = [value[i] for i in range(len(value))]
        if count is None:
            return [parts[0](item, convert) for item in items]
        return tuple(part(item, convert) for part, item in zip(parts, items))  # noqa: B905

    return take


def _has(value: Any, name: str) -> bool:
    """Whether its class defines a method; that of an enumeration has others for itself."""
    return any(name in vars(kind) for kind in type(value).__mro__)


def _mapping(part: Caster) -> Caster:
    def take(value: Any, convert: bool) -> Any:
        if not isinstance(value, dict):
            raise Refused
        return {_str(key, convert): part(item, convert) for key, item in value.items()}

    return take


def _whole(lowest: int, highest: int) -> Caster:
    """Python's float and numpy's float64 are refused, also 3.0; numpy's float32 is cut."""

    def take(value: Any, convert: bool) -> int:
        if isinstance(value, float):
            raise Refused
        try:
            number = operator.index(value)
        except TypeError:
            number = _cut(value, convert)
        if not lowest <= number <= highest:
            raise Refused
        return number

    return take


def _cut(value: Any, convert: bool) -> int:
    if not convert or isinstance(value, (str, bytes, bytearray)):
        raise Refused
    try:
        return int(value)
    except (TypeError, ValueError, OverflowError):
        raise Refused from None


def _float(value: Any, convert: bool) -> float:
    if isinstance(value, float):
        return float(value)
    if not convert or isinstance(value, (str, bytes, bytearray)):
        raise Refused
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        raise Refused from None


def _bool(value: Any, convert: bool) -> bool:
    if isinstance(value, (bool, np.bool_)):
        return bool(value)
    if not convert or (value is not None and not _has(value, "__bool__")):
        raise Refused
    try:
        return bool(value)
    except (TypeError, ValueError):
        raise Refused from None


def _str(value: Any, convert: bool) -> str:
    if isinstance(value, bytes):
        return value.decode(errors="surrogateescape")
    if not isinstance(value, str):
        raise Refused
    return value


def _bytes(value: Any, convert: bool) -> bytes:
    if not isinstance(value, bytes):
        raise Refused
    return value


def _array_of(kind: Any) -> Caster:
    """Without conversions only an array of exactly this type; with them whatever numpy can make one of."""

    def take(value: Any, convert: bool) -> Any:
        if isinstance(value, np.ndarray) and value.dtype == kind:
            return value
        if not convert or value is None or isinstance(value, (str, bytes, dict)):
            raise Refused
        try:
            return np.asarray(value).astype(kind)
        except (TypeError, ValueError):
            raise Refused from None

    return take


def _two_bytes(value: Any, convert: bool) -> Any:
    if not isinstance(value, np.ndarray) or value.dtype.itemsize != 2:
        raise Refused
    return value


def _any_array(value: Any, convert: bool) -> Any:
    if isinstance(value, np.ndarray):
        return value
    if not convert or value is None:
        raise Refused
    return np.asarray(value)


def _exactly_bytes(value: Any, convert: bool) -> Any:
    if not isinstance(value, np.ndarray) or value.dtype != np.uint8:
        raise Refused
    return value


def _buffer(value: Any, convert: bool) -> Any:
    try:
        memoryview(value)
    except TypeError:
        raise Refused from None
    return value


_PLAIN: Dict[str, Caster] = {
    "Images": _one_of("BMImage", "BMImageArray2D", "BMImageArray3D", "BMImageArray4D", "BMImageArray8D"),
    "AnyImage": _one_of("BMImage", "bm_image"),
    "Algorithm": _instance("bmcv_resize_algorithm"),
    "int": _whole(-(2**31), 2**31 - 1),
    "uint": _whole(0, 2**32 - 1),
    "size": _whole(0, 2**64 - 1),
    "byte": _whole(0, 255),
    "float": _float,
    "bool": _bool,
    "str": _str,
    "bytes": _bytes,
    "object": lambda value, convert: value,
    "array": _array_of(np.float32),
    "int8s": _array_of(np.int8),
    "uint8s": _array_of(np.uint8),
    "int32s": _array_of(np.int32),
    "halves": _two_bytes,
    "any_array": _any_array,
    "bytes_array": _exactly_bytes,
    "buffer": _buffer,
}
