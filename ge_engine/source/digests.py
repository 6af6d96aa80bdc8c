"""Digests of syntax trees: equal for trees that mean the same."""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Mapping
from types import MappingProxyType

from ge_engine.source.syntax import DEFINITIONS, without_docstring

DIGEST_LENGTH = 32
"""Characters of a digest."""
DOCUMENTED = (*DEFINITIONS, ast.Module)
_UNIMPORTANT = frozenset({"ctx", "type_comment", "type_ignores"})


def digest(*nodes: ast.AST) -> str:
    """A hash of what the nodes mean: comments, docstrings, layout and positions do not count."""
    return digest_of(*map(tokens, nodes))


def digest_of(*texts: str) -> str:
    """The digest of nodes whose tokens are known."""
    state = hashlib.blake2b(digest_size=DIGEST_LENGTH // 2)
    for text in texts:
        state.update(text.encode("utf-8", "surrogatepass"))
        state.update(b"\x01")
    return state.hexdigest()


def tokens(root: ast.AST, known: Mapping[int, str] = MappingProxyType({})) -> str:
    """The tree written down without positions, so that equal text means an equal tree.

    `known` gives the tokens of nodes within it, by `id`, that were written down before.
    """
    found: list[str] = []
    stack: list[object] = [root]
    while stack:
        item = stack.pop()
        if isinstance(item, ast.AST):
            if id(item) in known:
                found.append(known[id(item)])
                continue
            found.append(item.__class__.__name__)
            if isinstance(item, ast.Constant):
                found.append(_literal(item.value))
                continue
            for name in reversed(item._fields):
                if name == "body" and isinstance(item, DOCUMENTED):
                    stack.append(without_docstring(item.body))
                elif name not in _UNIMPORTANT:
                    stack.append(getattr(item, name, None))
        elif isinstance(item, list):
            found.append("[")
            stack.append("]")
            stack += item[::-1]
        else:
            found.append("-" if item is None else str(item))
    return "\x00".join(found)


def _literal(value: object) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        return hex(value)
    return f"{value.__class__.__name__}:{value!r}"
