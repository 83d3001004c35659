"""Arithmetic of shell scripts: `$((n + 1))`, `((i < 4))`, `let i+=2`, on whole numbers."""

import ast
import operator
import re
from collections.abc import Callable, Mapping, MutableMapping
from typing import Any

_STEP = re.compile(r"\s*([A-Za-z_]\w*)\s*(\+\+|--)\s*")
_ASSIGN = re.compile(r"\s*([A-Za-z_]\w*)\s*([-+*/%]?)=(?!=)\s*(.+)", re.DOTALL)
_NOT = re.compile(r"!(?!=)")
_LARGEST = 1 << 63
_BINARY: Mapping[type, Callable[[int, int], int]] = {
    **{ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul},
    **{ast.Div: lambda a, b: int(a / b), ast.FloorDiv: operator.floordiv, ast.Mod: operator.mod},
    **{ast.Pow: lambda a, b: a ** min(max(b, 0), 63)},
}
_COMPARED: Mapping[type, Callable[[int, int], bool]] = {
    **{ast.Lt: operator.lt, ast.LtE: operator.le, ast.Gt: operator.gt, ast.GtE: operator.ge},
    **{ast.Eq: operator.eq, ast.NotEq: operator.ne},
}


def calculated(text: str, variables: MutableMapping[str, Any]) -> int:
    """The value of an expression; assignments change the variables. Raises ValueError for what is none."""
    if (step := _STEP.fullmatch(text)) is not None:
        value = _number(variables.get(step[1], "0"))
        variables[step[1]] = str(value + (1 if step[2] == "++" else -1))
        return value
    if (assign := _ASSIGN.fullmatch(text)) is not None:
        right = f"{assign[1]} {assign[2]} ({assign[3]})" if assign[2] else assign[3]
        value = calculated(right, variables)
        variables[assign[1]] = str(value)
        return value
    python = _NOT.sub(" not ", text.replace("&&", " and ").replace("||", " or ")).strip()
    try:
        value = _value(ast.parse(python or "0", mode="eval").body, variables)
    except (SyntaxError, ZeroDivisionError, RecursionError) as error:
        raise ValueError(f"not understood: {text}") from error
    if abs(value) > _LARGEST:
        raise ValueError(f"too large: {text}")
    return value


def _number(value: Any) -> int:
    return int(str(value) or "0")


def _value(node: ast.expr, variables: Mapping[str, Any]) -> int:
    if isinstance(node, ast.Constant) and isinstance(node.value, int):
        return int(node.value)
    if isinstance(node, ast.Name):
        return _number(variables.get(node.id, "0"))
    if isinstance(node, ast.BinOp) and type(node.op) in _BINARY:
        return _BINARY[type(node.op)](_value(node.left, variables), _value(node.right, variables))
    if isinstance(node, ast.UnaryOp):
        inner = _value(node.operand, variables)
        return {ast.Not: int(not inner), ast.USub: -inner}.get(type(node.op), inner)
    if isinstance(node, ast.BoolOp):
        found = [bool(_value(each, variables)) for each in node.values]
        return int(all(found) if isinstance(node.op, ast.And) else any(found))
    if isinstance(node, ast.Compare) and len(node.ops) == 1 and type(node.ops[0]) in _COMPARED:
        left, right = _value(node.left, variables), _value(node.comparators[0], variables)
        return int(_COMPARED[type(node.ops[0])](left, right))
    raise ValueError("not understood: arithmetic of another kind")
