"""Code at column 0 <-> code in a file's style, through libcst.

Only code that `syntax.parse` accepted comes here. Docstrings and other strings are tokens of the tree,
so re-indenting never touches their value.
"""

from __future__ import annotations

import ast
import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache, wraps
from typing import ParamSpec, TypeVar

import libcst as cst

from ge_engine.source.syntax import BLANKS, SyntaxFault, parse, split_lines

Statement = cst.SimpleStatementLine | cst.BaseCompoundStatement
Defined = cst.FunctionDef | cst.ClassDef
P = ParamSpec("P")
T = TypeVar("T")
UNSUPPORTED = "this layout or indentation is not supported by libcst"
_FORM_FEED = re.compile(r"^(?:[ \t]+\x0c|\x0c+[ \t])[ \t\x0c]*[^\s]", re.MULTILINE)


def supported(work: Callable[P, T]) -> Callable[P, T | SyntaxFault]:
    """`work` with all that libcst raises in it as a fault: it refuses some code that Python compiles."""

    @wraps(work)
    def attempt(*args: P.args, **kwargs: P.kwargs) -> T | SyntaxFault:
        try:
            return work(*args, **kwargs)
        except RecursionError:
            return SyntaxFault(0, "the code nests too deeply for libcst to print it")
        except BaseException as error:
            return SyntaxFault(0, _refusal(error))

    return attempt


@lru_cache(maxsize=8)
def read(code: str) -> cst.Module | SyntaxFault:
    """Parse code with LF line ends. A fault says what libcst cannot represent, and where."""
    feed = _FORM_FEED.search(code)
    if feed is not None:
        line = code.count("\n", 0, feed.start()) + 1
        return SyntaxFault(line, "a form feed within the indent of a line is not supported here")
    try:
        return cst.parse_module(code)
    except cst.ParserSyntaxError as error:
        if "tokenizer error" in error.message:
            return SyntaxFault(_line_of_bad_indent(code), UNSUPPORTED)
        return SyntaxFault(error.raw_line, UNSUPPORTED)
    except RecursionError:
        return SyntaxFault(0, "libcst cannot read this code (RecursionError)")
    except BaseException as error:
        return SyntaxFault(_line_refused(code), _refusal(error))


def _refusal(error: BaseException) -> str:
    """What libcst has against some code. Raises what is neither its error nor a panic of its parser."""
    if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
        raise error
    what = str(error) if isinstance(error, cst.CSTValidationError) else type(error).__name__
    return f"this spelling is not supported here ({what.rstrip('.')})"


def _line_refused(code: str) -> int:
    """The line of the first statement that libcst does not read; where none fails alone, the first of all."""
    tree = parse(code)
    if isinstance(tree, SyntaxFault):
        return 0
    lines = split_lines(code)
    for node in ast.walk(tree):
        if isinstance(node, ast.stmt) and not _readable(_head(node, lines)):
            return node.lineno
    return tree.body[0].lineno


def _head(node: ast.stmt, lines: Sequence[str]) -> str:
    """A statement's code from its first character to its body, which becomes `pass`."""
    body = getattr(node, "body", None) or getattr(node, "cases", None)
    last, end = node.end_lineno or node.lineno, node.end_col_offset
    if body:
        first = body[0] if isinstance(body[0], ast.stmt) else body[0].pattern
        last, end = first.lineno, first.col_offset
    text = "".join(lines[node.lineno - 1 : last]).encode()
    text = text[node.col_offset : len(text) - len(lines[last - 1].encode()) + (end or 0)]
    text = b"if" + text.removeprefix(b"elif") if text.startswith(b"elif") else text
    return text.decode(errors="replace") + (" pass" if body else "")


def _readable(code: str) -> bool:
    try:
        cst.parse_module(code)
    except cst.ParserSyntaxError:
        return True
    except BaseException as error:
        _refusal(error)
        return False
    return True


def _line_of_bad_indent(code: str) -> int:
    """The first line that the tokenizer of libcst refuses; it does not say so itself."""
    lines = code.split("\n")
    low, high = 1, len(lines)
    while low < high:
        middle = (low + high) // 2
        try:
            cst.parse_module("\n".join(lines[:middle]) + "\n")
        except cst.ParserSyntaxError as error:
            refused = "tokenizer error" in error.message
        else:
            refused = False
        low, high = (low, middle) if refused else (middle + 1, high)
    return low


@supported
def restyle(module: cst.Module, nodes: Sequence[Statement], indent: str) -> str:
    """Print `nodes` at column 0 with `indent` per level, no comment above the first, no final newline."""
    bare = [nodes[0].with_changes(leading_lines=()), *nodes[1:]]
    return _print(module.with_changes(body=bare, header=(), footer=(), default_indent=indent))


@supported
def nest(module: cst.Module, method: Statement, outer: str, indent: str) -> str:
    """Print a method as it stands in a class whose body is indented by `outer`; its first line
    comes without that indent, and without a final newline."""
    body = cst.IndentedBlock([method.with_changes(leading_lines=())], indent=outer)
    shell = cst.ClassDef(cst.Name("_"), body)
    text = _print(module.with_changes(body=[shell], header=(), footer=(), default_indent=indent))
    return text.split("\n", 1)[1][len(outer) :]


def definition(module: cst.Module, address: str) -> Defined:
    """The last definition that `address` asks for, alone or within its class. Raises KeyError."""
    owner, _, name = address.rpartition(".")
    found: list[Defined] = []
    for node in module.body:
        if owner and isinstance(node, cst.ClassDef):
            methods = [n for n in node.body.body if isinstance(n, cst.FunctionDef) and _named(n, name)]
            found += methods if _named(node, owner) else []
        elif isinstance(node, (cst.FunctionDef, cst.ClassDef)) and _named(node, name):
            found.append(node)
    if not found:
        raise KeyError(address)
    return found[-1]


def assignment(module: cst.Module, name: str) -> Statement:
    """The last statement that assigns `name` alone. Raises KeyError."""
    found = [node for node in statements(module) if plain(_assigned(node)) == name]
    if not found:
        raise KeyError(name)
    return found[-1]


def _assigned(node: Statement) -> str:
    small = node.body[0] if isinstance(node, cst.SimpleStatementLine) else None
    if isinstance(small, cst.Assign) and len(small.targets) == 1:
        target = small.targets[0].target
    elif isinstance(small, cst.AnnAssign):
        target = small.target
    else:
        return ""
    return target.value if isinstance(target, cst.Name) else ""


def plain(name: str) -> str:
    """A name as Python reads it: identifiers are compared in the Unicode form NFKC."""
    return name if name.isascii() else unicodedata.normalize("NFKC", name)


def _named(node: Defined, name: str) -> bool:
    return plain(node.name.value) == name


def statements(module: cst.Module) -> Iterator[Statement]:
    """The statements of a module one by one, as `ast` counts them: `a = 1; b = 2` are two."""
    for node in module.body:
        if not isinstance(node, cst.SimpleStatementLine) or len(node.body) == 1:
            yield node
            continue
        for small in node.body:
            alone = small.with_changes(semicolon=cst.MaybeSentinel.DEFAULT)
            yield cst.SimpleStatementLine(
                [alone],
                trailing_whitespace=node.trailing_whitespace
                if small is node.body[-1]
                else cst.TrailingWhitespace(),
            )


def comments_above(module: cst.Module, node: Statement) -> list[str]:
    """The comments that stand directly above a statement of `module`."""
    lines = [*module.header, *node.leading_lines] if node is module.body[0] else list(node.leading_lines)
    found: list[str] = []
    while lines and (comment := lines[-1].comment) is not None:
        found.append(comment.value)
        lines.pop()
    return found[::-1]


def comments_before(module: cst.Module, node: Statement) -> list[str]:
    """The comments between a statement of `module` and the one before it."""
    lines = [*(module.header if node is module.body[0] else ()), *node.leading_lines]
    return [line.comment.value for line in lines if line.comment is not None]


def comment_beside(node: Statement) -> str | None:
    """The comment that follows an assignment on its last line."""
    simple = isinstance(node, cst.SimpleStatementLine) and node.trailing_whitespace.comment
    return simple.value if simple else None


def without_comment_beside(node: Statement) -> Statement:
    """An assignment without what follows it on its last line."""
    assert isinstance(node, cst.SimpleStatementLine)
    return node.with_changes(trailing_whitespace=cst.TrailingWhitespace())


def unnest(module: cst.Module, address: str) -> str | SyntaxFault:
    """The code at column 0 of a method of the class that `module` holds."""
    return restyle(module, [definition(module, address)], module.default_indent)


def unwrapped(module: cst.Module) -> str | SyntaxFault:
    """The statements within the one compound statement of `module`, at column 0."""
    outer = module.body[0]
    body = outer.body.body if isinstance(outer, cst.If) else ()
    inner = [s for s in body if isinstance(s, (cst.SimpleStatementLine, cst.BaseCompoundStatement))]
    return restyle(module, inner, module.default_indent) if inner else SyntaxFault(0, "no code")


def with_tail(node: Statement, module: cst.Module) -> Statement:
    """The definition with the comments that end `module` at the end of its own body."""
    notes = [cst.EmptyLine(comment=line.comment) for line in module.footer if line.comment is not None]
    if not notes or not isinstance(node, Defined) or not isinstance(node.body, cst.IndentedBlock):
        return node
    return node.with_changes(body=node.body.with_changes(footer=[*node.body.footer, *notes]))


def _print(module: cst.Module) -> str:
    """The module's code without the blank lines at its end."""
    code = module.code
    end = len(code)
    while (at := code.rfind("\n", 0, end)) >= 0 and not code[at:end].strip(BLANKS):
        end = at
    return code[:end]
