"""The `block` form: the whole block rewritten, narrowed to what is in scope.

Typed holes stand at a few places; after tensor statements of a forward pass new statements may come; and
where the widths are known, `__init__` may assign a new layer, which the rest of the class must then use.
So the answer can have two parts: the second part's grammar is made from what the first one assigned.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence

from ge_engine.contracts import Constraint, Target
from ge_engine.grammar import edits
from ge_engine.grammar.block_template import LAYER_NAMES, BlockTemplate, Piece, filled, named, template_of
from ge_engine.grammar.choices import Part, either, longest
from ge_engine.grammar.lark_builder import make, rng_of, without
from ge_engine.outcome import Rejected
from ge_engine.replies.answer import Form

ATTEMPTS = 8
MOST_CHARACTERS = 2400
INSTRUCTIONS = "Answer with the complete new code and nothing else."


class Rewriting(Constraint):
    """The constraint of one answer: one part, or `__init__` first and then what depends on it."""

    def __init__(self, draft: BlockTemplate, tried: frozenset[str]) -> None:
        self._draft = draft
        self._tried = tried

    @property
    def longest(self) -> int:
        """No answer has more characters."""
        draft = self._draft
        used = max((longest(named(use, LAYER_NAMES[:2]).part) for use in draft.use), default=0)
        return longest(filled(draft.code, 0, len(draft.code), draft.pieces)) + longest(draft.fresh) + used

    def part(self, so_far: str) -> str | None:
        draft = self._draft
        if not draft.cut:
            return None if so_far else self.whole()
        if not so_far:
            return make("block", {"ANSWER": _body(draft.head(), ())})
        return None if draft.marker in so_far else self._rest(so_far)

    def whole(self) -> str:
        """One part for servers: without a new layer, which would need the second part to know its name."""
        draft = self._draft
        return make(
            "block", {"ANSWER": _body(filled(draft.code, 0, len(draft.code), draft.pieces), self._tried)}
        )

    def _rest(self, so_far: str) -> str:
        draft = self._draft
        end = len(draft.code)
        names = _assigned(so_far, draft.code[: draft.cut])
        if not names:
            variants: list[Part] = [filled(draft.code, draft.cut, end, draft.pieces)]
        else:
            variants = [
                filled(draft.code, draft.cut, end, _with(draft.pieces, named(use, names)))
                for use in draft.use
            ]
        barred = {text[len(so_far) :] for text in self._tried if text.startswith(so_far)}
        return make("block", {"ANSWER": _body(either(variants), barred)})


def _assigned(head: str, old: str) -> list[str]:
    """The attributes that a written `__init__` assigns and the old one does not, in order."""
    before = set(_stores(old))
    return [name for name in _stores(head) if name not in before]


def _stores(code: str) -> list[str]:
    found = [
        node
        for node in ast.walk(ast.parse(code))
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store)
    ]
    return [node.attr for node in sorted(found, key=lambda node: node.lineno)]


def constraint(target: Target) -> Constraint | Rejected:
    """The concrete grammar; that of `edits` when the block is too long for one reply."""
    code = target.genome.blocks[target.address].code
    if _too_long(target):
        return edits.constraint(target)
    barred = target.tried | {target.material.strip("\n")}
    for attempt in range(ATTEMPTS):
        draft = template_of(target, code, rng_of(target, f"block{attempt}"))
        if draft is not None and without(filled(code, 0, len(code), draft.pieces), barred) is not None:
            return Rewriting(draft, barred)
    return Rejected("grammar", f"the block {target.address} offers nothing that could be rewritten anew")


def form(target: Target) -> Form | None:
    """The form that was asked for where the block is too long for one reply; else the whole block."""
    return edits.form(target) if _too_long(target) else None


def instructions(target: Target) -> str:
    """What the prompt says about the answer."""
    return edits.instructions(target) if _too_long(target) else INSTRUCTIONS


def _too_long(target: Target) -> bool:
    code = target.genome.blocks[target.address].code
    return len(code) > MOST_CHARACTERS and edits.fits(target)


def _body(part: Part, barred: frozenset[str] | set[str] | tuple[()]) -> str:
    """When all that is left was tried, trying again is better than a grammar without an answer."""
    return without(part, barred) or without(part, ()) or '""'


def _with(pieces: Sequence[Piece], use: Piece) -> list[Piece]:
    return [*(piece for piece in pieces if piece.end <= use.start or piece.start >= use.end), use]
