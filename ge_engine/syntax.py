"""Untrusted text -> syntax tree, safely; and the digest of a tree.

`compile()` looks first, because libcst accepts code that Python refuses and overflows the C stack on
deep nesting. What compiles but nests too deeply to be printed again is refused with its own reason.
"""

from __future__ import annotations

import ast
import hashlib
import re
import warnings
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

MAX_DEPTH = 100
"""Levels of nested syntax that a block may have. libcst needs up to four Python frames a level."""

_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+\Z")
Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


@dataclass(frozen=True, slots=True)
class SyntaxFault:
    """Why a text is no usable Python. `line` counts from 1; 0 when it cannot be told."""

    line: int
    reason: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.reason}" if self.line else self.reason


@lru_cache(maxsize=16)
def parse(text: str) -> ast.Module | SyntaxFault:
    """The tree of `text` (do not change it), or why there is none. Never raises on any text."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            compile(text, "<block>", "exec", dont_inherit=True)
            tree = ast.parse(text)
        except SyntaxError as error:
            return SyntaxFault(error.lineno or 0, error.msg or "invalid syntax")
        except ValueError as error:
            return SyntaxFault(0, f"the text holds a character that Python refuses ({_reason(error)})")
        except (RecursionError, MemoryError):
            return SyntaxFault(0, "the code nests too deeply for Python to compile it")
    deep = too_deep(tree)
    return SyntaxFault(deep, f"the code nests deeper than {MAX_DEPTH} levels") if deep else tree


def compiles(text: str) -> SyntaxFault | None:
    """None when Python compiles `text`."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            compile(text, "<file>", "exec", dont_inherit=True)
        except SyntaxError as error:
            return SyntaxFault(error.lineno or 0, error.msg or "invalid syntax")
        except ValueError as error:
            return SyntaxFault(0, f"the text holds a character that Python refuses ({_reason(error)})")
        except (RecursionError, MemoryError):
            return SyntaxFault(0, "the code nests too deeply for Python to compile it")
    return None


def too_deep(tree: ast.AST) -> int:
    """The line of the first node below MAX_DEPTH levels, 0 when there is none. Does not recurse."""
    stack: list[tuple[ast.AST, int, int]] = [(tree, 0, 1)]
    while stack:
        node, depth, line = stack.pop()
        line = getattr(node, "lineno", line)
        if depth > MAX_DEPTH:
            return line
        stack.extend((child, depth + 1, line) for child in ast.iter_child_nodes(node))
    return 0


def normalised(code: str) -> str:
    """The text with LF line ends and without a byte order mark."""
    return code.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")


def newline_of(text: str, default: str) -> str:
    """The most common line end of a text."""
    ends = Counter(line[len(line.rstrip("\r\n")) :] for line in split_lines(text))
    del ends[""]
    return ends.most_common(1)[0][0] if ends else default


def split_lines(text: str) -> list[str]:
    """Lines with their ends, cut where Python's tokenizer cuts (not at form feeds or U+2028)."""
    return _LINE.findall(text)


def first_line(node: ast.stmt) -> int:
    """The line on which a statement begins, its decorators included."""
    decorators = getattr(node, "decorator_list", None)
    return min([node.lineno, *(d.lineno for d in decorators)]) if decorators else node.lineno


def last_line(node: ast.stmt) -> int:
    return node.end_lineno or node.lineno


def digest(*nodes: ast.AST) -> str:
    """A hash of what the nodes mean: comments, docstrings, layout and positions do not count."""
    state = hashlib.blake2b(digest_size=16)
    for node in nodes:
        state.update("\x00".join(_tokens(node)).encode("utf-8", "surrogatepass"))
        state.update(b"\x01")
    return state.hexdigest()


def _tokens(root: ast.AST) -> Iterator[str]:
    stack: list[object] = [root]
    while stack:
        item = stack.pop()
        if isinstance(item, ast.AST):
            yield type(item).__name__
            if isinstance(item, ast.Constant):
                yield f"{type(item.value).__name__}:{item.value!r}"
                continue
            stack.append(")")
            for name in reversed(item._fields):
                value = getattr(item, name, None)
                if name == "body" and isinstance(item, (*DEFINITIONS, ast.Module)):
                    stack.append(without_docstring(item.body))
                else:
                    stack.append(value)
        elif isinstance(item, list):
            yield "["
            stack.append("]")
            stack.extend(reversed(item))
        else:
            yield str(item) if item is not None else "-"


def without_docstring(body: list[ast.stmt]) -> list[ast.stmt]:
    """The statements of a body less its docstring; a body of nothing else becomes `pass`."""
    if body and is_docstring(body[0]):
        return body[1:] or [ast.Pass()]
    return body


def is_docstring(statement: ast.stmt) -> bool:
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )


def _reason(error: Exception) -> str:
    return " ".join(str(error).split())
