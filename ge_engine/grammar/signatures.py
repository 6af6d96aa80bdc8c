"""The real signatures of what a model file may call: `torch.nn`, `torch.nn.functional`, `torch.optim`.

torch is imported at the first question, not before: importing the engine must stay cheap.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import re
from functools import cache
from typing import Any

MODULES = {"nn": "torch.nn", "F": "torch.nn.functional", "optim": "torch.optim", "torch": "torch"}


@cache
def parameters(module: str, name: str) -> tuple[tuple[str, Any], ...]:
    """(name, default) of each parameter of `module`'s member, () when there is no such member or signature.

    `module` is "nn", "F", "optim" or "torch"; a parameter without default has `inspect.Parameter.empty`.
    """
    member = getattr(importlib.import_module(MODULES[module]), name, None)
    if member is None:
        return ()
    try:
        signature = inspect.signature(member)
    except (TypeError, ValueError):
        return _documented(name, member)
    if all(p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD) for p in signature.parameters.values()):
        return _documented(name, member)
    kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    found = [(p.name, p.default) for p in signature.parameters.values() if p.kind in kinds]
    return tuple((n, d) for n, d in found if n not in ("device", "dtype"))


def exists(module: str, name: str) -> bool:
    """Whether `module` ("nn", "F", ...) has a public member `name`."""
    return not name.startswith("_") and hasattr(importlib.import_module(MODULES[module]), name)


def bind(module: str, name: str, call: ast.Call) -> dict[str, str] | None:
    """Source text of each argument by parameter name; None when the call does not fit the signature."""
    known = parameters(module, name)
    names = [parameter for parameter, _ in known]
    if not known or len(call.args) > len(names) or any(isinstance(a, ast.Starred) for a in call.args):
        return None
    bound = {names[i]: ast.unparse(argument) for i, argument in enumerate(call.args)}
    for keyword in call.keywords:
        if keyword.arg is None or keyword.arg not in names or keyword.arg in bound:
            return None
        bound[keyword.arg] = ast.unparse(keyword.value)
    return bound


def default(module: str, name: str, parameter: str) -> Any:
    """A parameter's default value; `inspect.Parameter.empty` when it has none or does not exist."""
    return dict(parameters(module, name)).get(parameter, inspect.Parameter.empty)


def _documented(name: str, member: Any) -> tuple[tuple[str, Any], ...]:
    """The parameters that a function in C states in the first line of its documentation."""
    stated = re.search(rf"\b{re.escape(name)}\(([^()]*)\)\s*->", inspect.getdoc(member) or "")
    if stated is None:
        return _DISPATCHED.get(name, ())
    found: list[tuple[str, Any]] = []
    for piece in stated[1].split(","):
        parameter, _, value = (text.strip() for text in piece.partition("="))
        if parameter.isidentifier() and parameter != "out":
            found.append((parameter, _literal(value) if value else inspect.Parameter.empty))
    return tuple(found)


def _literal(text: str) -> Any:
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return None


_POOL: tuple[tuple[str, Any], ...] = (
    ("input", inspect.Parameter.empty),
    ("kernel_size", inspect.Parameter.empty),
    ("stride", None),
    ("padding", 0),
    ("dilation", 1),
    ("ceil_mode", False),
)
_DISPATCHED = {f"max_pool{d}d": _POOL for d in (1, 2, 3)}
"""Functions that choose their implementation by a flag, and so state no signature."""
