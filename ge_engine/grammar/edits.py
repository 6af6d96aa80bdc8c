"""The `edits` form: a few lines of a block, each by its number, rewritten in place.

    7: self.act1 = nn.GELU()
    width 48 = 64

The second shape changes one width wherever the block uses it, so that layers stay consistent.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass

from ge_engine.contracts import Constraint, Target
from ge_engine.grammar.families import CHANNEL_ARGUMENTS
from ge_engine.grammar.making import Parts, changed_only, disjoint, make, rng_of, sites_of, without
from ge_engine.grammar.scope import Scope, scope_of
from ge_engine.grammar.signatures import bind
from ge_engine.grammar.sites import Site
from ge_engine.grammar.template import Part, either
from ge_engine.outcome import Rejected

ATTEMPTS = 12
LINE = re.compile(r"^[ \t>*`-]*(\d{1,5})[ \t]*[:|][ \t]?(.*?)[ \t]*$")
WIDTH = re.compile(r"^[ \t>*`-]*width[ \t]+(\d{1,5})[ \t]*(?:=|->|to)[ \t]*(\d{1,5})[ \t`]*$", re.IGNORECASE)
WIDTH_FACTORS = (0.5, 0.67, 0.75, 0.84, 1.17, 1.25, 1.34, 1.5, 2.0)


@dataclass(frozen=True, slots=True)
class Plan:
    """What is open: lines by number with their old text, what may stand there instead, and the answer's
    terminal without what was tried."""

    shown: tuple[str, ...]
    lines: tuple[Part, ...]
    terminal: str


def plan(target: Target) -> Plan | Rejected:
    """Choose by `target.seed` what is open; choose again when all of it was tried."""
    code = target.genome.blocks[target.address].code
    for attempt in range(ATTEMPTS):
        rng = rng_of(target, f"edits{attempt}")
        widths = _widths(code, scope_of(target.genome, target.address)) if rng.random() < 0.25 else []
        if widths:
            width, part = _width_part(rng.choice(widths))
            shown: tuple[str, ...] = (f"width {width}",)
            changed: tuple[Part, ...] = (part,)
        else:
            sites = disjoint(sites_of(target, rng), rng, rng.choice((1, 1, 2, 2, 3)), by_lines=True)
            if not sites:
                continue
            lines = [_line(code, site) for site in sites]
            shown = tuple(old for old, _, _ in lines)
            new = [changed_only(part, same) for _, part, same in lines]
            changed = tuple(part for part in new if part is not None)
            if len(changed) < len(lines):
                continue
        terminal = _terminal(changed, target)
        if terminal is not None:
            return Plan(shown, changed, terminal)
    return Rejected("grammar", f"the block {target.address} offers no line that could be rewritten anew")


def constraint(target: Target) -> Constraint | Rejected:
    """The concrete grammar of one answer."""
    made = plan(target)
    return made if isinstance(made, Rejected) else Parts((make("edits", {"ANSWER": made.terminal}),))


def instructions(target: Target) -> str:
    """Which lines are asked for, with their numbers and their old text."""
    made = plan(target)
    if isinstance(made, Rejected):
        return ""
    if made.shown[0].startswith("width "):
        return (
            "Answer with one line: the word width, the old number of channels, an equals sign, the new one. "
            f"Change {made.shown[0]}."
        )
    lines = "\n".join(made.shown)
    return (
        "Change only the lines below. Answer with each of them: its number, a colon, and the new code.\n"
        + lines
    )


def rewritten(text: str, target: Target) -> str | Rejected:
    """The block's code after the edits that `text` states."""
    code = target.genome.blocks[target.address].code
    lines, edits = code.split("\n"), answers(text)
    if not edits:
        return Rejected("extract", "the reply holds no line of the form `number: code`")
    tree = ast.parse(code)
    for key, new in edits.items():
        if key.startswith("width "):
            code_or_no = _with_width(code, key, new, target)
            if isinstance(code_or_no, Rejected) or len(edits) == 1:
                return code_or_no
            return Rejected("extract", "a width and single lines cannot be changed in one answer")
        first = int(key)
        if not 1 <= first <= len(lines):
            return Rejected("extract", f"the reply changes line {first}; the block has {len(lines)} lines")
    for key in sorted(edits, key=int, reverse=True):
        first = int(key)
        last = _last_line(tree, first, edits[key])
        indent = lines[first - 1][: len(lines[first - 1]) - len(lines[first - 1].lstrip())]
        lines[first - 1 : last] = [indent + edits[key].lstrip()]
    return "\n".join(lines)


def answers(text: str) -> dict[str, str]:
    """Line number (or "width N") -> new text, of every line of a reply that has the form."""
    found: dict[str, str] = {}
    for line in text.replace("\r\n", "\n").split("\n"):
        if (match := WIDTH.match(line)) is not None:
            found[f"width {int(match[1])}"] = match[2]
        elif (match := LINE.match(line)) is not None:
            found[str(int(match[1]))] = match[2]
    return found


def canonical(text: str) -> str:
    """The answer with layout and order taken out, as the grammar itself would spell it."""
    found = answers(text)
    return "\n".join(
        f"{key} = {new}" if key.startswith("width ") else f"{key}: {new}"
        for key, new in sorted(found.items(), key=lambda item: (not item[0].isdigit(), item[0].zfill(6)))
    )


def _line(code: str, site: Site) -> tuple[str, Part, tuple[str, ...]]:
    """(the old line with its number, the new line as a part, spellings that change nothing)."""
    start = code.rfind("\n", 0, site.start) + 1
    end = code.find("\n", site.end)
    end = len(code) if end < 0 else end
    head = f"{site.lines[0]}: {code[start : site.start].lstrip()}"
    tail = code[site.end : end].rstrip()
    return (
        f"{head}{site.same[0]}{tail}",
        (head, site.part, tail),
        tuple(f"{head}{text}{tail}" for text in site.same),
    )


def _terminal(lines: tuple[Part, ...], target: Target) -> str | None:
    whole: Part = tuple(piece for part in lines for piece in ("\n", part))[1:]
    return without(whole, target.tried)


def _width_part(width: int) -> tuple[int, Part]:
    step = 4 if width >= 16 else 1
    near = sorted({max(1, round(width * factor / step) * step) for factor in WIDTH_FACTORS} - {width})
    return width, (f"width {width} = ", either([str(n) for n in near]))


def _with_width(code: str, key: str, new: str, target: Target) -> str | Rejected:
    old = int(key.removeprefix("width "))
    places = _width_places(code, scope_of(target.genome, target.address))
    if old not in places or not 1 <= int(new) <= 65536:
        return Rejected("extract", f"the width {old} cannot be changed to {new} in this block")
    lines = [line.encode() for line in code.split("\n")]
    for number, start, end in sorted(places[old], reverse=True):
        lines[number - 1] = lines[number - 1][:start] + new.encode() + lines[number - 1][end:]
    return b"\n".join(lines).decode()


def _widths(code: str, scope: Scope) -> list[int]:
    """Widths that stand at least twice, so that a change is consistent within the block."""
    return sorted(
        width for width, places in _width_places(code, scope).items() if len(places) > 1 and width > 3
    )


def _width_places(code: str, scope: Scope) -> dict[int, list[tuple[int, int, int]]]:
    """(line, first byte, end byte) of each width literal, for widths that stand nowhere as another number."""
    tree = ast.parse(code)
    places: dict[int, list[tuple[int, int, int]]] = {}
    channel = {
        id(node)
        for call in ast.walk(tree)
        if isinstance(call, ast.Call)
        for node in _width_nodes(call, scope)
    }
    other: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and type(node.value) is int:
            if id(node) in channel:
                at = (node.lineno, node.col_offset, node.end_col_offset or 0)
                places.setdefault(node.value, []).append(at)
            else:
                other.add(node.value)
    return {width: found for width, found in places.items() if width not in other}


def _width_nodes(call: ast.Call, scope: Scope) -> list[ast.expr]:
    if isinstance(call.func, ast.Name) and call.func.id in scope.classes:
        return [*call.args, *(keyword.value for keyword in call.keywords)]
    member = scope.spelling.read(call.func)
    if member is None or member[0] != "nn" or (bound := bind(*member, call)) is None:
        return []
    names = list(bound)
    given = dict(zip(names, call.args, strict=False)) | {k.arg: k.value for k in call.keywords if k.arg}
    return [node for name, node in given.items() if name in CHANNEL_ARGUMENTS]


def _last_line(tree: ast.AST, first: int, new: str) -> int:
    """The last line of what `first: new` replaces: a simple statement by a statement, else the longest
    expression that begins the line, else the line itself."""
    nodes = [n for n in ast.walk(tree) if getattr(n, "lineno", 0) == first]
    statements = [n for n in nodes if isinstance(n, ast.stmt) and not hasattr(n, "body")]
    if statements and _is_statement(new):
        return max(n.end_lineno or first for n in statements)
    begin = min((n.col_offset for n in nodes if isinstance(n, ast.expr)), default=0)
    expressions = [n for n in nodes if isinstance(n, ast.expr) and n.col_offset == begin]
    return first if statements else max((n.end_lineno or first for n in expressions), default=first)


def _is_statement(text: str) -> bool:
    try:
        return len(ast.parse(text.strip()).body) > 0
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return False
