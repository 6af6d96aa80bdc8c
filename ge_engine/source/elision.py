"""Code that a rewritten block leaves out: a body of dots, or a comment that stands for what was there.

Judged only where code of the old block is gone: what still has all its old statements leaves nothing out.
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections import Counter
from collections.abc import Iterator

from ge_engine.source.digests import digest
from ge_engine.source.facts import is_ellipsis, is_stub
from ge_engine.source.syntax import DEFINITIONS, Definition, without_docstring

MAX_COMMENT = 300
"""Characters of a comment that are looked at."""
_NOUNS = (
    r"(?:code|body|bodies|methods?|functions?|implementations?|layers?|lines?|parts?|everything|all|class|logic|"
    r"definitions?|steps?|init|__init__|forward)"
)
_LEFT_OUT = re.compile(
    r"^\W*(?:\.\.\.|…)|(?:\.\.\.|…)\W*$"
    rf"|\b(?:rest|remainder|remaining)\b.*\b(?:unchanged|same|omitted|{_NOUNS})\b"
    r"|^\W*(?:kept\s+|left\s+|is\s+|are\s+|remains?\s+|stays?\s+)?(?:unchanged|omitted|no\s+changes?|the\s+same)\W*$"
    rf"|\b{_NOUNS}\b[^.:;,]*\b(?:unchanged|omitted|left\s+out)\b"
    r"|\b(?:same as (?:before|above|(?:the )?original)|as before|for brevity)\b"
    r"|\b(?:existing|original|previous|other) (?:code|methods?|implementation|layers?)\b.*"
    r"(?:\b(?:here|unchanged|remains?|stays?|same)\b|\.\.\.|…)"
    r"|^\W*(?:your|add|insert) (?:code|implementation) here",
    re.IGNORECASE,
)


def left_out(old: Definition, new: Definition, code: str, known: str) -> Iterator[str]:
    """What `new`, read from `code`, leaves out of `old`. A comment that stands in the text `known` already is
    the file's own."""
    if is_stub(new) and isinstance(new, ast.ClassDef):
        if not is_stub(old):
            yield f"the body of {new.name} is left out"
        return
    before, after = _scopes(old), _scopes(new)
    lost = {path for path, node in after.items() if _gone(before.get(path), node)}
    for path, node in after.items():
        yield from _stub(before.get(path), node)
        yield from _dots(before.get(path), node, path in lost)
    for comment in _comments(new, code):
        owner = next(path for path, node in reversed(after.items()) if _holds(node, comment, new))
        if owner in lost and comment.string not in known:
            text = comment.string[:60]
            yield f"the comment in line {comment.start[0]} stands for code that is left out ({text})"


def stand_in(new: ast.stmt, code: str, known: str) -> str:
    """The first comment within `new`, read from `code`, that stands for something left out; "" for none. One
    that stands in the text `known` already is the file's own."""
    return next((c.string[:60] for c in _comments(new, code) if c.string not in known), "")


def _scopes(root: Definition) -> dict[tuple[str, ...], Definition]:
    """The definition and all within it, in order, by their names; the outermost has none."""
    found: dict[tuple[str, ...], Definition] = {}
    stack: list[tuple[tuple[str, ...], ast.AST]] = [((), root)]
    while stack:
        path, node = stack.pop()
        if isinstance(node, DEFINITIONS):
            found[path] = node
        children = [
            child
            for child in ast.iter_child_nodes(node)
            if isinstance(child, (ast.stmt, ast.ExceptHandler, ast.match_case))
        ]
        stack += [
            ((*path, child.name) if isinstance(child, DEFINITIONS) else path, child)
            for child in reversed(children)
        ]
    return found


def _stub(old: Definition | None, new: Definition) -> Iterator[str]:
    if old is not None and is_stub(new) and not is_stub(old):
        yield f"the body of {new.name} is left out (line {new.lineno})"


def _dots(old: Definition | None, new: Definition, lost: bool) -> Iterator[str]:
    """Statements of dots that the old definition does not have: beside others always, alone in a suite where
    code is gone."""
    if is_stub(new):
        return
    had = len(_ellipses(old)) if old is not None else 0
    found = _ellipses(new)
    if len(found) > had:
        yield from (f"code is left out in line {n.lineno}" for n, alone in found if lost or not alone)


def _ellipses(scope: Definition) -> list[tuple[ast.stmt, bool]]:
    """Statements of dots of a definition's own, and whether each is all that stands in its suite."""
    found: list[tuple[ast.stmt, bool]] = []
    for node in _own(scope):
        for name in ("body", "orelse", "finalbody"):
            suite = getattr(node, name, None)
            if isinstance(suite, list) and not (isinstance(node, DEFINITIONS) and node is not scope):
                found += [(n, len(without_docstring(suite)) == 1) for n in suite if is_ellipsis(n)]
    return found


def _gone(old: Definition | None, new: Definition) -> bool:
    """Statements of the old definition are not in the new one."""
    if old is None:
        return False
    return bool(Counter(_statements(old)) - Counter(_statements(new)))


def _statements(scope: Definition) -> Iterator[str]:
    """Digests of a definition's own simple statements, and of what its compound ones begin with."""
    for node in _own(scope):
        if isinstance(node, ast.stmt) and node is not scope and not isinstance(node, DEFINITIONS):
            if not hasattr(node, "body"):
                yield digest(node)
            else:
                heads = [
                    child
                    for child in ast.iter_child_nodes(node)
                    if isinstance(child, (ast.expr, ast.withitem))
                ]
                yield f"{type(node).__name__} {digest(*heads)}"


def _own(scope: Definition) -> Iterator[ast.AST]:
    """The definition and its statements, without what stands within the definitions in it."""
    stack: list[ast.AST] = [scope]
    while stack:
        node = stack.pop()
        yield node
        if node is scope or not isinstance(node, DEFINITIONS):
            stack += [
                n
                for n in ast.iter_child_nodes(node)
                if isinstance(n, (ast.stmt, ast.ExceptHandler, ast.match_case))
            ]


def _comments(new: ast.stmt, code: str) -> Iterator[tokenize.TokenInfo]:
    """The comments within a statement that may stand for code."""
    if not any(stands_for_code(line.partition("#")[2]) for line in code.split("\n") if "#" in line):
        return
    for token in tokenize.generate_tokens(io.StringIO(code).readline):
        within = new.lineno <= token.start[0] <= (new.end_lineno or new.lineno)
        if token.type == tokenize.COMMENT and within and stands_for_code(token.string):
            yield token


def stands_for_code(comment: str) -> bool:
    """Whether a comment says that something is left out."""
    return _LEFT_OUT.search(comment.lstrip("# ")[:MAX_COMMENT]) is not None


def _holds(node: Definition, comment: tokenize.TokenInfo, root: Definition) -> bool:
    """The comment stands within this definition, or after its last line at its indent."""
    line, column = comment.start
    return node is root or (node.lineno <= line and column > node.col_offset and _is_last(node, line, root))


def _is_last(node: Definition, line: int, root: Definition) -> bool:
    """No statement of another definition begins between this one's end and the line."""
    end = node.end_lineno or node.lineno
    others = (n for n in ast.walk(root) if isinstance(n, ast.stmt))
    return line <= end or not any(end < n.lineno <= line for n in others)
