"""Statements in the place of numbered lines of a block, and what tells statements from prose."""

from __future__ import annotations

import ast
import warnings
from collections.abc import Sequence


def replaced(old: Sequence[str], tree: ast.Module, new: dict[int, str]) -> str:
    """The lines `old` of a block, whose tree is given, with the texts `new` in place of what begins in the
    lines of their numbers, each at the indent of its line."""
    lines = list(old)
    for number in sorted(new, reverse=True):
        last = _last_line(tree, number, new[number])
        indent = old[number - 1][: len(old[number - 1]) - len(old[number - 1].lstrip())]
        lines[number - 1 : last] = _indented(new[number], indent)
    return "\n".join(lines)


def _indented(text: str, indent: str) -> list[str]:
    """The lines of a statement at an indent, those within a string as they are."""
    lines = text.split("\n")
    tree = tree_of(text)
    within: set[int] = set()
    for node in ast.walk(tree) if tree is not None else ():
        if isinstance(node, (ast.Constant, ast.JoinedStr)) and node.end_lineno:
            within.update(range(node.lineno, node.end_lineno))
    lines[0] = lines[0].lstrip()
    return [line if at in within or not line.strip() else indent + line for at, line in enumerate(lines)]


def _last_line(tree: ast.AST, first: int, new: str) -> int:
    """The last line of what `first: new` replaces: a simple statement by a statement, else the longest
    expression that begins the line, else the line itself."""
    nodes = [n for n in ast.walk(tree) if getattr(n, "lineno", 0) == first]
    statements = [n for n in nodes if isinstance(n, ast.stmt) and not hasattr(n, "body")]
    if statements and (written := tree_of(new)) is not None and written.body:
        return max(n.end_lineno or first for n in statements)
    begin = min((n.col_offset for n in nodes if isinstance(n, ast.expr)), default=0)
    expressions = [n for n in nodes if isinstance(n, ast.expr) and n.col_offset == begin]
    return first if statements else max((n.end_lineno or first for n in expressions), default=first)


def has_body(text: str, tree: ast.Module, number: int) -> bool:
    """The text is a statement with lines of its own, and so is what stands in its line."""
    new = tree_of(text)
    if "\n" not in text or new is None or not is_compound(new):
        return False
    return any(
        hasattr(n, "body") and getattr(n, "lineno", 0) == number
        for n in ast.walk(tree)
        if isinstance(n, ast.stmt)
    )


def is_compound(tree: ast.Module) -> bool:
    """One of the statements has statements within it."""
    return any(hasattr(statement, "body") for statement in tree.body)


def tree_of(text: str) -> ast.Module | None:
    """The tree of statements, which may be such as only a function may hold."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return ast.parse(text.strip())
        except (SyntaxError, ValueError, MemoryError, RecursionError):
            return None


def is_code(line: str) -> bool:
    """The line is a statement that does something: no words, no comment."""
    tree = tree_of(line)
    return tree is not None and not all(map(is_word, tree.body))


def is_code_or_broken(line: str) -> bool:
    """Within a fence: anything but blanks, comments and words."""
    bare = line.strip()
    return bool(bare) and not bare.startswith("#") and not is_bare_word(bare)


def is_bare_word(text: str) -> bool:
    """The text is words alone, so far as Python reads it."""
    tree = tree_of(text)
    return tree is not None and all(map(is_word, tree.body))


def is_word(statement: ast.stmt) -> bool:
    """An expression that calls nothing, as words of prose are read."""
    if isinstance(statement, ast.AnnAssign):
        return statement.value is None
    acts = (ast.Call, ast.NamedExpr, ast.Await, ast.Yield, ast.YieldFrom)
    return isinstance(statement, ast.Expr) and not any(isinstance(n, acts) for n in ast.walk(statement))
