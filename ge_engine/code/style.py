"""Code at column 0 <-> code in a file's style, through libcst.

Only code that `syntax.parse` accepted comes here. Docstrings and other strings are tokens of the tree,
so re-indenting never touches their value.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import libcst as cst

from ge_engine.code.syntax import SyntaxFault

Statement = cst.SimpleStatementLine | cst.BaseCompoundStatement
Defined = cst.FunctionDef | cst.ClassDef


@lru_cache(maxsize=8)
def read(code: str) -> cst.Module | SyntaxFault:
    """Parse code with LF line ends. A fault says what libcst cannot represent, and where."""
    try:
        return cst.parse_module(code)
    except cst.ParserSyntaxError as error:
        line = _line_of_bad_indent(code) if "tokenizer error" in error.message else error.raw_line
        return SyntaxFault(line, "this layout or indentation is not supported by libcst")
    except (RecursionError, ValueError, IndexError) as error:
        return SyntaxFault(0, f"libcst cannot read this code ({type(error).__name__})")


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


def restyle(module: cst.Module, nodes: Sequence[Statement], indent: str) -> str | SyntaxFault:
    """Print `nodes` at column 0 with `indent` a level, no comment above the first, no final newline."""
    bare = [nodes[0].with_changes(leading_lines=()), *nodes[1:]]
    return _print(module.with_changes(body=bare, header=(), footer=(), default_indent=indent))


def nest(module: cst.Module, method: Statement, outer: str, indent: str) -> str | SyntaxFault:
    """Print a method as it stands in a class whose body is indented by `outer`; its first line
    comes without that indent, and without a final newline."""
    body = cst.IndentedBlock([method.with_changes(leading_lines=())], indent=outer)
    shell = cst.ClassDef(cst.Name("_"), body)
    text = _print(module.with_changes(body=[shell], header=(), footer=(), default_indent=indent))
    return text if isinstance(text, SyntaxFault) else text.split("\n", 1)[1][len(outer) :]


def definition(module: cst.Module, address: str) -> Defined:
    """The last definition that `address` asks for, alone or within its class. Raises KeyError."""
    owner, _, name = address.rpartition(".")
    found: list[Defined] = []
    for node in module.body:
        if owner and isinstance(node, cst.ClassDef):
            methods = [n for n in node.body.body if isinstance(n, cst.FunctionDef) and n.name.value == name]
            found += methods if node.name.value == owner else []
        elif isinstance(node, (cst.FunctionDef, cst.ClassDef)) and node.name.value == name:
            found.append(node)
    if not found:
        raise KeyError(address)
    return found[-1]


def unnest(module: cst.Module, address: str) -> str | SyntaxFault:
    """The code at column 0 of a method of the class that `module` holds."""
    return restyle(module, [definition(module, address)], module.default_indent)


def unwrapped(module: cst.Module) -> str | SyntaxFault:
    """The statements within the one compound statement of `module`, at column 0."""
    outer = module.body[0]
    body = outer.body.body if isinstance(outer, cst.If) else ()
    inner = [s for s in body if isinstance(s, (cst.SimpleStatementLine, cst.BaseCompoundStatement))]
    return restyle(module, inner, module.default_indent) if inner else SyntaxFault(0, "no code")


def _print(module: cst.Module) -> str | SyntaxFault:
    try:
        return module.code.rstrip("\n")
    except RecursionError:
        return SyntaxFault(0, "the code nests too deeply for libcst to print it")
