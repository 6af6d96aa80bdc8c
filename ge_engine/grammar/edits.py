"""The `edits` form: a few lines of a block, each by its number, rewritten in place.

    7: self.act1 = nn.GELU()
    width 48 = 64

The second shape changes one width wherever the block uses it, so that layers stay consistent.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass
from functools import lru_cache, partial

from ge_engine.contracts import Constraint, Target
from ge_engine.grammar import numbered_lines
from ge_engine.grammar.catalog import CHANNEL_ARGUMENTS
from ge_engine.grammar.choices import Part, either
from ge_engine.grammar.lark_builder import Parts, changed_only, disjoint, make, rng_of, sites_of, without
from ge_engine.grammar.rewrite_sites import Site
from ge_engine.grammar.scope import Scope, scope_of
from ge_engine.grammar.signatures import bind
from ge_engine.outcome import Rejected
from ge_engine.replies.answer import CUT_OFF, Answer, Extraction, Form, too_long
from ge_engine.replies.hunks import looks_like_edit
from ge_engine.replies.reasoning import without_reasoning
from ge_engine.source.language import PYTHON
from ge_engine.source.source_text import Edit, Source
from ge_engine.source.syntax import normalised

ATTEMPTS = 12
WIDTH_FACTORS = (0.5, 0.67, 0.75, 0.84, 1.17, 1.25, 1.34, 1.5, 2.0)


@dataclass(frozen=True, slots=True)
class Plan:
    """What is open: lines by number with their old text, what may stand there instead, and the answer's
    terminal without what was tried."""

    shown: tuple[str, ...]
    lines: tuple[Part, ...]
    terminal: str


def fits(target: Target) -> bool:
    """Whether the target's block is code, whose lines can be told apart."""
    return target.genome.blocks[target.address].language == PYTHON.name


@lru_cache(maxsize=16)
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
            opened = [_line(code, site) for site in sites]
            shown = tuple(old for old, _, _ in opened)
            new = [changed_only(part, same) for _, part, same in opened]
            changed = tuple(part for part in new if part is not None)
            if len(changed) < len(opened):
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
    return (
        "Change only the lines below. Answer with each of them: its number, a colon, and the new code.\n"
        + "\n".join(made.shown)
    )


def form(target: Target) -> Form:
    """Reads the lines, or the width, that a target asks for."""
    made = plan(target)
    return partial(_read, target, () if isinstance(made, Rejected) else made.shown)


def _read(target: Target, shown: tuple[str, ...], answer: Answer) -> Extraction | Rejected | None:
    numbers = frozenset(int(line.partition(":")[0]) for line in shown if not line.startswith("width "))
    pieces = numbered_lines.pieces_of(answer, numbers)
    widths = [pair for one, _ in pieces for pair in one.widths]
    if not widths:
        found = numbered_lines.rewritten(answer, numbers)
        elsewhere = answer.cut or answer.matcher.mentions(answer.text) or looks_like_edit(answer.text)
        return found if found is not None or elsewhere else numbered_lines.NO_LINES
    if numbered_lines.cut_off(answer, pieces):
        return CUT_OFF
    if any(one.stated for one, _ in pieces) or len({old for old, _ in widths}) > 1:
        return Rejected("extract", "a width and other lines cannot be changed in one answer")
    changes = [pair for pair in widths if pair[0] != pair[1]]
    return _with_width(*(changes or widths)[-1], shown, target)


def canonical(text: str) -> str:
    """The answer with layout and order taken out, as the grammar itself would spell it; "" for a reply that
    is too long to be read."""
    if too_long(text) is not None:
        return ""
    found = numbered_lines.stated(without_reasoning(normalised(text))[0])
    kept = {one.number: one.text for one in found.stated}
    return "\n".join(
        [*(f"{number}: {kept[number]}" for number in sorted(kept))]
        + [f"width {old} = {new}" for old, new in sorted(dict(found.widths).items())]
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


def _terminal(parts: tuple[Part, ...], target: Target) -> str | None:
    whole: Part = tuple(piece for part in parts for piece in ("\n", part))[1:]
    return without(whole, target.tried)


def _width_part(width: int) -> tuple[int, Part]:
    step = 4 if width >= 16 else 1
    near = sorted({max(1, round(width * factor / step) * step) for factor in WIDTH_FACTORS} - {width})
    return width, (f"width {width} = ", either([str(n) for n in near]))


def _with_width(old: int, new: int, shown: tuple[str, ...], target: Target) -> Extraction | Rejected:
    code = target.genome.blocks[target.address].code
    places = _width_places(code, scope_of(target.genome, target.address))
    if old not in places or not 1 <= new <= 65536:
        return Rejected("extract", f"the width {old} cannot be changed to {new} in this block")
    if f"width {old}" not in shown:
        return Rejected("extract", f"the reply changes the width {old}, which was not asked for")
    source = Source(code)
    changed = source.edited(Edit(*source.span(node), str(new)) for node in places[old])
    return Extraction(changed or code, (f"changed the width {old}",))


def _widths(code: str, scope: Scope) -> list[int]:
    """Widths that stand at least twice, so that a change is consistent within the block."""
    return sorted(
        width for width, places in _width_places(code, scope).items() if len(places) > 1 and width > 3
    )


def _width_places(code: str, scope: Scope) -> dict[int, list[ast.Constant]]:
    """The literals of each width, for widths that stand nowhere as another number."""
    nodes = list(ast.walk(ast.parse(code)))
    channel = {id(n) for call in nodes if isinstance(call, ast.Call) for n in _width_nodes(call, scope)}
    places: dict[int, list[ast.Constant]] = {}
    other: set[int] = set()
    for node in nodes:
        if isinstance(node, ast.Constant) and type(node.value) is int:
            if id(node) in channel:
                places.setdefault(node.value, []).append(node)
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
