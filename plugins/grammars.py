"""The built-in forms of an answer: "block", "edits" and "diff"."""

from __future__ import annotations

from ge_engine.contracts import Constraint, Grammar, Reply, Target
from ge_engine.grammar import block, diff, edits, moves
from ge_engine.hookspecs import hookimpl
from ge_engine.outcome import Rejected
from ge_engine.patch import Patch, parse_patch
from ge_engine.reply import extract


class Edits:
    """A few lines, each by its number: short answers, always well formed."""

    name = "edits"

    def instructions(self, target: Target) -> str:
        return edits.instructions(target)

    def constraint(self, target: Target) -> Constraint | Rejected:
        return edits.constraint(target)

    def decode(self, reply: Reply, target: Target) -> Patch | Rejected:
        code = edits.rewritten(reply.text, target)
        if isinstance(code, Rejected):
            return _whole_block(reply, target, code)
        return parse_patch(target.genome, target.address, code)

    def canonical(self, reply: Reply, target: Target) -> str:  # noqa: ARG002
        return edits.canonical(reply.text)


class Block:
    """The whole block, written anew."""

    name = "block"

    def instructions(self, target: Target) -> str:
        return block.instructions(target)

    def constraint(self, target: Target) -> Constraint | Rejected:
        return block.constraint(target)

    def decode(self, reply: Reply, target: Target) -> Patch | Rejected:
        found = _whole_block(reply, target, None)
        if isinstance(found, Rejected) and edits.answers(reply.text):
            code = edits.rewritten(reply.text, target)
            return found if isinstance(code, Rejected) else parse_patch(target.genome, target.address, code)
        return found

    def canonical(self, reply: Reply, target: Target) -> str:  # noqa: ARG002
        return reply.text.strip("\n")


class Diff:
    """SEARCH/REPLACE within one block, for large models; refused unless it matches exactly once."""

    name = "diff"

    def instructions(self, target: Target) -> str:  # noqa: ARG002
        return diff.INSTRUCTIONS

    def constraint(self, target: Target) -> Constraint | Rejected:
        return diff.constraint(target)

    def decode(self, reply: Reply, target: Target) -> Patch | Rejected:
        code = diff.rewritten(reply.text, target)
        return code if isinstance(code, Rejected) else parse_patch(target.genome, target.address, code)

    def canonical(self, reply: Reply, target: Target) -> str:  # noqa: ARG002
        return reply.text.strip()


class Moves:
    """Structural changes by name: widths, depth and topology, each known to run before it is offered."""

    name = "moves"

    def instructions(self, target: Target) -> str:
        return moves.instructions(target)

    def constraint(self, target: Target) -> Constraint | Rejected:
        return moves.constraint(target)

    def decode(self, reply: Reply, target: Target) -> Patch | Rejected:
        code = moves.rewritten(reply.text, target)
        if isinstance(code, Rejected):
            return _whole_block(reply, target, code)
        return parse_patch(target.genome, target.address, code)

    def canonical(self, reply: Reply, target: Target) -> str:  # noqa: ARG002
        return moves.canonical(reply.text)


@hookimpl
def ge_grammars() -> list[Grammar]:
    return [Block(), Diff(), Edits(), Moves()]


def _whole_block(reply: Reply, target: Target, otherwise: Rejected | None) -> Patch | Rejected:
    """The block that a reply means; `otherwise` is said when it means none."""
    found = extract(reply.text, reply.finish, target.genome, target.address)
    if isinstance(found, Rejected):
        return otherwise or found
    return parse_patch(target.genome, target.address, found.code)
