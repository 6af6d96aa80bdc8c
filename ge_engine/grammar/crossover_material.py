"""What the other parent's version of a block offers: its statements, where what they read is in reach."""

from __future__ import annotations

import ast
import builtins
from collections import Counter
from collections.abc import Mapping

from ge_engine.genome import Genome
from ge_engine.grammar.channel_inference import KEEPS, assigned_layers
from ge_engine.grammar.rewrite_sites import Site
from ge_engine.grammar.scope import Scope
from ge_engine.source.source_text import Source
from ge_engine.source.syntax import Function, dotted
from ge_engine.structure.numbers import SMALLEST_WIDTH

Key = tuple[str, str, int]
Statement = ast.Assign | ast.AugAssign | ast.AnnAssign | ast.Return | ast.Expr
KIND = "mate"


def sites(text: Source, other: str, genome: Genome, scope: Scope) -> list[Site]:
    """Statements of `text` whose counterpart in `other` differs, with the counterpart in their place, and
    statements that only `other` has, behind the one they follow there. Empty when `other` does not parse."""
    try:
        other_text = type(text)(other)
        theirs = _statements(other_text.tree)
    except (SyntaxError, ValueError):
        return []
    tree = text.tree
    ours = _statements(tree)
    reach = _names(tree) | set(genome.bound) | set(dir(builtins))
    attributes = _attributes(tree) | set(assigned_layers(scope))
    found: list[Site] = []
    before: Key | None = None
    for key, statement in theirs.items():
        own = ours.get(key)
        fits = _names(statement) <= reach and _attributes(statement) <= attributes
        fits = fits and (own is None or _stands_alone(own, statement, tree, other_text.tree, scope))
        if fits and own is not None and ast.dump(own) != ast.dump(statement):
            found.append(_site(own, other_text.on_one_line(statement), text))
        elif fits and own is None and before is not None and not isinstance(ours[before], ast.Return):
            indent = "\n" + " " * ours[before].col_offset
            found.append(
                _site(
                    ours[before],
                    text.on_one_line(ours[before]) + indent + other_text.on_one_line(statement),
                    text,
                )
            )
        before = key if own is not None else before
    return found


def _stands_alone(own: ast.AST, new: ast.AST, ours: ast.AST, theirs: ast.AST, scope: Scope) -> bool:
    """One may take the other's place alone: no width changes that stands elsewhere as well, and no layer with
    weights is called no more."""
    before, after = _widths(own), _widths(new)
    gone, come = before - after, after - before
    if any(gone[w] and _widths(ours)[w] > before[w] for w in gone):
        return False
    if any(come[w] and _widths(theirs)[w] > after[w] for w in come):
        return False
    left = Counter(_calls(ours))
    left.subtract(_calls(own))
    return all(left[name] > 0 for name in set(_calls(own)) - set(_calls(new)) if _weighs(name, scope))


def _widths(node: ast.AST) -> Counter[int]:
    constants = (one.value for one in ast.walk(node) if isinstance(one, ast.Constant))
    return Counter(value for value in constants if type(value) is int and value >= SMALLEST_WIDTH)


def _calls(node: ast.AST) -> list[str]:
    """Layers of `self` that are called, each as often as it is."""
    names = (dotted(one.func) for one in ast.walk(node) if isinstance(one, ast.Call))
    return [name.removeprefix("self.") for name in names if name.startswith("self.")]


def _weighs(name: str, scope: Scope) -> bool:
    layer = assigned_layers(scope).get(name)
    return layer is not None and dotted(layer.func).rpartition(".")[2] not in KEEPS


def untouched(site: Site, code: str, other: str) -> bool:
    """Whether the site stands on lines that both versions have."""
    lines = code.split("\n")[site.lines[0] - 1 : site.lines[1]]
    return set(lines) <= set(other.split("\n"))


def _site(own: Statement, new: str, text: Source) -> Site:
    start, end = text.span(own)
    return Site(start, end, new, (text.on_one_line(own),), KIND, (own.lineno, own.end_lineno or own.lineno))


def _statements(tree: ast.Module) -> Mapping[Key, Statement]:
    """Simple statements of every function's own body by function, what they bind, and occurrence."""
    seen: Counter[tuple[str, str]] = Counter()
    found: dict[Key, Statement] = {}
    for function in (node for node in ast.walk(tree) if isinstance(node, Function)):
        for statement in function.body:
            if not isinstance(statement, Statement):
                continue
            name = (function.name, _bound(statement))
            found[*name, seen[name]] = statement
            seen[name] += 1
    return found


def _bound(statement: Statement) -> str:
    if isinstance(statement, ast.Assign):
        return ", ".join(ast.unparse(target) for target in statement.targets)
    if isinstance(statement, ast.AugAssign | ast.AnnAssign):
        return ast.unparse(statement.target)
    return type(statement).__name__


def _names(node: ast.AST) -> set[str]:
    """Every name that occurs, parameters included."""
    names = {one.id for one in ast.walk(node) if isinstance(one, ast.Name)}
    return names | {one.arg for one in ast.walk(node) if isinstance(one, ast.arg)}


def _attributes(node: ast.AST) -> set[str]:
    """Attributes of `self` that occur."""
    return {
        one.attr
        for one in ast.walk(node)
        if isinstance(one, ast.Attribute) and isinstance(one.value, ast.Name) and one.value.id == "self"
    }
