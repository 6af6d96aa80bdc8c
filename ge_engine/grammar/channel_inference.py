"""How wide the tensors of a forward pass are, as far as the layers that `__init__` assigns tell."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from ge_engine.grammar.catalog import ACTIVATION_LAYERS, DROPOUTS, SHAPE_CALLS
from ge_engine.grammar.closed_values import is_closed, sizes_in
from ge_engine.grammar.scope import Scope
from ge_engine.grammar.signatures import bind
from ge_engine.source.syntax import Function, dotted, method_of

WIDENS = {"Conv2d": "out_channels", "BatchNorm2d": "num_features", "InstanceNorm2d": "num_features"}
KEEPS = {*ACTIVATION_LAYERS, *DROPOUTS, "Identity", "MaxPool2d", "AvgPool2d"}


@dataclass(frozen=True, slots=True)
class TensorStatement:
    """A statement of a forward pass whose value is a tensor. `variable` is the assigned name, "" for a
    return; `width` is the number of channels of a (batch, channels, height, width) value, "" when unknown."""

    statement: ast.Assign | ast.Return
    variable: str
    width: str


def tensor_statements(function: Function, scope: Scope) -> list[TensorStatement]:
    """The tensor statements of the function's own body, in order."""
    layers, sizes = assigned_layers(scope), sizes_in(function)
    known: dict[str, str] = {}
    found: list[TensorStatement] = []
    for statement in function.body:
        value = statement.value if isinstance(statement, ast.Return | ast.Assign) else None
        if value is None or is_closed(value, sizes):
            continue
        if isinstance(statement, ast.Return) and _is_tensor(value):
            found.append(TensorStatement(statement, "", _width(value, layers, known, scope)))
        elif isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
            name = statement.targets[0].id
            known[name] = _width(statement.value, layers, known, scope)
            if _is_tensor(statement.value) and len(statement.targets) == 1:
                found.append(TensorStatement(statement, name, known[name]))
    return found


def assigned_layers(scope: Scope) -> Mapping[str, ast.Call]:
    """Attribute name -> the call that `__init__` assigns to it; no tensors, which nobody can call."""
    init = method_of(scope.owner, "__init__") if scope.owner else None
    return {name: call for name, call in _assignments(init) if not _makes_tensor(call, scope)} if init else {}


def _makes_tensor(call: ast.Call, scope: Scope) -> bool:
    module, name = scope.spelling.read(call.func) or ("", "")
    return module in ("F", "torch") or (module, name) in (("nn", "Parameter"), ("nn", "Buffer"))


def _assignments(init: Function) -> Iterator[tuple[str, ast.Call]]:
    for node in ast.walk(init):
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call):
            name = dotted(node.targets[0])
            if name.startswith("self.") and name.count(".") == 1:
                yield name.removeprefix("self."), node.value


def _width(node: ast.expr, layers: Mapping[str, ast.Call], known: Mapping[str, str], scope: Scope) -> str:
    if isinstance(node, ast.Name):
        return known.get(node.id, "")
    if isinstance(node, ast.BinOp):
        return _width(node.left, layers, known, scope) or _width(node.right, layers, known, scope)
    if not isinstance(node, ast.Call) or not node.args:
        return ""
    layer = layers.get(dotted(node.func).removeprefix("self."))
    member = scope.spelling.read(layer.func) if layer is not None else scope.spelling.read(node.func)
    if layer is not None and member is not None and member[0] == "nn":
        if member[1] in WIDENS:
            return (bind(*member, layer) or {}).get(WIDENS[member[1]], "")
        return _width(node.args[0], layers, known, scope) if member[1] in KEEPS else ""
    keeps = member is not None and member[0] == "F" and len(node.args) == 1
    return _width(node.args[0], layers, known, scope) if keeps else ""


def _is_tensor(node: ast.expr) -> bool:
    if isinstance(node, ast.BinOp | ast.UnaryOp):
        return True
    return isinstance(node, ast.Call) and dotted(node.func).rpartition(".")[2] not in SHAPE_CALLS
