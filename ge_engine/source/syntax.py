"""Untrusted text -> syntax tree, safely.

Python's parser looks first: it bounds its own depth, while `compile()` may write a text of one kilobyte out
into gigabytes. Then `compile()`, because libcst accepts code that Python refuses and overflows the C stack on
deep nesting. What compiles but nests too deeply to be printed again is refused with its own reason.
"""

from __future__ import annotations

import ast
import re
import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeVar

from ge_engine.source.expansion import expansive

MAX_DEPTH = 100
"""Levels of nested syntax that a block may have. libcst needs up to four Python frames per level."""

MAX_BRACKETS = 50
"""Brackets within brackets that a block may have: the parser of libcst recurses on the C stack."""

T = TypeVar("T")
BLANKS = " \t\x0c\r\n"
_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+\Z")
_BRACKET = re.compile(r"[()\[\]{}]")
Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
Function = ast.FunctionDef | ast.AsyncFunctionDef
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
Assignment = ast.Assign | ast.AnnAssign


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
    tree = _attempt(lambda: ast.parse(text))
    if isinstance(tree, SyntaxFault):
        return tree
    if _bracket_depth(text) > MAX_BRACKETS:
        return SyntaxFault(0, f"more than {MAX_BRACKETS} brackets stand within one another")
    deep = too_deep(tree)
    if deep:
        return SyntaxFault(deep, f"the code nests deeper than {MAX_DEPTH} levels")
    return _too_large(tree, text) or compiles(text) or tree


def compiles(text: str) -> SyntaxFault | None:
    """None when Python compiles `text`, whose definitions `parse` or `tree_of` has accepted."""
    code = _attempt(lambda: compile(text, "<file>", "exec", dont_inherit=True))
    return code if isinstance(code, SyntaxFault) else None


def tree_of(text: str) -> ast.Module | SyntaxFault:
    """The tree of a whole file, which may hold blocks that `parse` refuses. Never raises on any text."""
    tree = _attempt(lambda: ast.parse(text))
    fault = tree if isinstance(tree, SyntaxFault) else _too_large(tree, text)
    return fault or compiles(text) or tree


def _attempt(work: Callable[[], T]) -> T | SyntaxFault:
    """What `work` gives; else why Python refuses the text."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return work()
        except SyntaxError as error:
            return SyntaxFault(error.lineno or 0, error.msg or "invalid syntax")
        except ValueError as error:
            return SyntaxFault(0, f"the text holds a character that Python refuses ({_reason(error)})")
        except (RecursionError, MemoryError):
            return SyntaxFault(0, "the code nests too deeply for Python to compile it")


def _too_large(tree: ast.Module, text: str) -> SyntaxFault | None:
    """A fault where compiling would write out too much. Without the word `finally` nothing does."""
    if "finally" not in text:
        return None
    line = expansive(tree)
    return (
        SyntaxFault(line, "this `finally` is compiled too many times over: leave it by fewer ways")
        if line
        else None
    )


def too_deep(tree: ast.AST) -> int:
    """A line on which the tree goes below MAX_DEPTH levels, 0 when there is none. Does not recurse.

    Only the fields of a node count. All trees of a process share their `Load` and `Store`, and others, such
    as what prints IPython's tracebacks, hang a parent on these, which leads into trees of any size.
    """
    level: list[ast.AST] = [tree]
    line = 1
    for _ in range(MAX_DEPTH + 1):
        below: list[ast.AST] = []
        for node in level:
            for value in [getattr(node, field, None) for field in node._fields]:
                if value.__class__ is list:
                    below += [item for item in value if isinstance(item, ast.AST)]
                elif isinstance(value, ast.AST):
                    below.append(value)
        if not below:
            return 0
        level = below
        line = next((node.lineno for node in level if hasattr(node, "lineno")), line)
    return line


def _bracket_depth(text: str) -> int:
    """The deepest nesting of brackets, those within strings and comments included."""
    if sum(map(text.count, "([{")) <= MAX_BRACKETS:
        return 0
    depth = deepest = 0
    for bracket in _BRACKET.findall(text):
        depth = depth + 1 if bracket in "([{" else max(0, depth - 1)
        deepest = max(deepest, depth)
    return deepest


def dotted(node: ast.AST | None) -> str:
    """ "torch.nn.Conv2d" of a name or a chain of attributes, "" of anything else."""
    if isinstance(node, ast.Name):
        return node.id
    head = dotted(node.value) if isinstance(node, ast.Attribute) else ""
    return f"{head}.{node.attr}" if isinstance(node, ast.Attribute) and head else ""


def assigned_name(statement: ast.stmt) -> str:
    """The name that an assignment gives a value, and it alone; "" for any other statement."""
    match statement:
        case (
            ast.Assign(targets=[ast.Name(id=name)])
            | ast.AnnAssign(target=ast.Name(id=name), value=ast.expr())
        ):
            return name
    return ""


def name_of(statement: ast.stmt) -> str:
    """The name that a statement defines or assigns, "" for one that does neither."""
    return statement.name if isinstance(statement, DEFINITIONS) else assigned_name(statement)


def method_of(owner: ast.ClassDef, name: str) -> Function | None:
    """A method of a class by name."""
    return next((n for n in owner.body if isinstance(n, FUNCTIONS) and n.name == name), None)


def unparsed(node: ast.AST) -> str:
    """The node's source in Python's own layout; "..." for a number too long to be written out."""
    try:
        return ast.unparse(node)
    except ValueError:
        return "..."


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


def first_line(node: ast.stmt, lines: Sequence[str]) -> int:
    """The line on which a statement begins, the `@` of its first decorator included."""
    decorators = getattr(node, "decorator_list", None)
    if not decorators:
        return node.lineno
    line: int = decorators[0].lineno
    while line > 1 and not lines[line - 1].lstrip(" \t\x0c").startswith("@"):
        line -= 1
    return line


def last_line(node: ast.stmt) -> int:
    return node.end_lineno or node.lineno


def block_indent(node: Definition, lines: Sequence[str]) -> str:
    """The indent of a definition's body, "" when it stands on the line of the `def` or `class`."""
    first = node.body[0]
    line = first_line(first, lines)
    text = lines[line - 1]
    decorated = text.lstrip(" \t\x0c").startswith("@")
    header = (
        "" if decorated else text.encode("utf-8", "replace")[: first.col_offset].decode("utf-8", "replace")
    )
    joined = line > 1 and lines[line - 2].rstrip("\r\n").endswith("\\")
    return "" if joined or header.strip(BLANKS) else indent_of(text)


def end_line(node: Definition, lines: Sequence[str]) -> int:
    """The last line of a definition with the comments that end its body: of the comments and blank lines
    after its code, the comments up to the last line, blank or not, that is indented as the body is, as libcst
    divides them.
    """
    end = comment = last_line(node)
    indent = block_indent(node, lines)
    for at in range(end, len(lines) if indent else end):
        text = lines[at].strip(BLANKS)
        if text and not text.startswith("#"):
            break
        comment = at + 1 if text else comment
        if lines[at].startswith(indent):
            end = comment
    return end


def indent_of(line: str) -> str:
    """The spaces and tabs in front of a line, form feeds before them left out."""
    line = line.lstrip("\x0c")
    return line[: len(line) - len(line.lstrip(" \t"))]


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


def is_main_guard(statement: ast.stmt) -> bool:
    """`if __name__ == "__main__":`, which does not run when the file is imported."""
    return isinstance(statement, ast.If) and any(
        isinstance(n, ast.Name) and n.id == "__name__" for n in ast.walk(statement.test)
    )


def _reason(error: Exception) -> str:
    return " ".join(str(error).split())
