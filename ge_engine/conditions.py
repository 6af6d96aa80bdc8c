"""Conditions on objectives, such as "accuracy >= 0.95 and parameters < 300000"."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Collection, Mapping

from ge_engine.errors import ConfigError

Condition = Callable[[Mapping[str, float]], bool]
COMPARE: Mapping[type[ast.cmpop], Callable[[float, float], bool]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}
ARITHMETIC: Mapping[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}


def parse_condition(text: str, names: Collection[str]) -> Condition:
    """Compile a condition of comparisons, arithmetic, `and`, `or` and `not` over `names`.

    A division by zero makes the condition false.

    Raises:
        ConfigError: it cannot be read, is no comparison, or names something else.
    """
    try:
        tree = ast.parse(text.strip(), mode="eval").body
        test = _truth(tree, names)
    except (SyntaxError, ValueError, OverflowError, RecursionError, MemoryError) as error:
        said = error.msg if isinstance(error, SyntaxError) else str(error)
        raise ConfigError(
            f"The condition {text!r} cannot be read: {said}.",
            f'Write for example "{next(iter(names), "accuracy")}>=0.9"; names are: {", ".join(names)}.',
        ) from error

    def holds(values: Mapping[str, float]) -> bool:
        try:
            return test(values)
        except (ZeroDivisionError, OverflowError):
            return False

    return holds


def _truth(node: ast.expr, names: Collection[str]) -> Condition:
    if isinstance(node, ast.BoolOp):
        parts = [_truth(value, names) for value in node.values]
        join = all if isinstance(node.op, ast.And) else any
        return lambda values: join(part(values) for part in parts)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        inner = _truth(node.operand, names)
        return lambda values: not inner(values)
    if isinstance(node, ast.Compare) and all(type(op) in COMPARE for op in node.ops):
        sides = [_number(side, names) for side in (node.left, *node.comparators)]
        compare = [COMPARE[type(op)] for op in node.ops]
        return lambda values: all(
            op(left(values), right(values))
            for op, left, right in zip(compare, sides[:-1], sides[1:], strict=True)
        )
    raise ValueError(f"{ast.unparse(node)!r} is no comparison")


def _number(node: ast.expr, names: Collection[str]) -> Callable[[Mapping[str, float]], float]:
    if isinstance(node, ast.Constant) and isinstance(node.value, (int, float)):
        constant = float(node.value)
        return lambda _: constant
    if isinstance(node, ast.Name):
        name = node.id
        if name not in names:
            raise ValueError(f"there is no objective {name!r}")
        return lambda values: values[name]
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        inner = _number(node.operand, names)
        return lambda values: -inner(values)
    if isinstance(node, ast.BinOp) and type(node.op) in ARITHMETIC:
        left, right, op = _number(node.left, names), _number(node.right, names), ARITHMETIC[type(node.op)]
        return lambda values: op(left(values), right(values))
    raise ValueError(f"{ast.unparse(node)!r} is no number")
