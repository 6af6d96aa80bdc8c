"""The built-in forms of an answer: "block", "blocks", "edits", "diff" and "moves"."""

from __future__ import annotations

from dataclasses import replace

from ge_engine.contracts import Constraint, Grammar, Reply, Target
from ge_engine.grammar import block, blocks, diff, edits, moves, reasoning_prefix
from ge_engine.hookspecs import hookimpl
from ge_engine.outcome import Rejected
from ge_engine.patch import JointPatch, Patch, parse_patch
from ge_engine.replies.blocks import read_blocks
from ge_engine.replies.extraction import Form, edited, extract


class Edits(Grammar):
    """A few lines, each by its number: short answers, always well formed. Of values that are no code, which
    are short themselves, the whole block."""

    name = "edits"

    def instructions(self, target: Target) -> str:
        return edits.instructions(target) if _is_code(target) else block.instructions(target)

    def constraint(self, target: Target) -> Constraint | Rejected:
        return edits.constraint(target) if _is_code(target) else block.constraint(target)

    def decode(self, reply: Reply, target: Target) -> Patch | Rejected:
        return _decoded(reply, target, edits.form(target) if _is_code(target) else block.form(target))

    def canonical(self, reply: Reply, target: Target) -> str:
        return edits.canonical(reply.text) if _is_code(target) else _answer(reply).strip("\n")


class Block(Grammar):
    """The whole block, rewritten."""

    name = "block"

    def instructions(self, target: Target) -> str:
        return block.instructions(target)

    def constraint(self, target: Target) -> Constraint | Rejected:
        return block.constraint(target)

    def decode(self, reply: Reply, target: Target) -> Patch | Rejected:
        return _decoded(reply, target, block.form(target))

    def canonical(self, reply: Reply, target: Target) -> str:  # noqa: ARG002
        return _answer(reply).strip("\n")


class Diff(Grammar):
    """SEARCH/REPLACE within one block, for large models; refused unless it matches exactly once."""

    name = "diff"

    def instructions(self, target: Target) -> str:  # noqa: ARG002
        return diff.INSTRUCTIONS

    def constraint(self, target: Target) -> Constraint | Rejected:
        return diff.constraint(target)

    def decode(self, reply: Reply, target: Target) -> Patch | Rejected:
        return _decoded(reply, target, edited)

    def canonical(self, reply: Reply, target: Target) -> str:  # noqa: ARG002
        return _answer(reply).strip()


class Moves(Grammar):
    """Structural changes by name: widths, depth and topology, each built before it is offered where it can
    be."""

    name = "moves"

    def instructions(self, target: Target) -> str:
        return moves.instructions(target)

    def constraint(self, target: Target) -> Constraint | Rejected:
        return moves.constraint(target)

    def decode(self, reply: Reply, target: Target) -> Patch | Rejected:
        return _decoded(reply, target, moves.form(target))

    def canonical(self, reply: Reply, target: Target) -> str:  # noqa: ARG002
        return moves.canonical(_answer(reply))


class Blocks(Grammar):
    """Several blocks as one change: of those that may be changed, as many as the answer rewrites."""

    name = "blocks"

    def instructions(self, target: Target) -> str:
        return blocks.instructions(target)

    def constraint(self, target: Target) -> Constraint | Rejected:
        return blocks.constraint(target)

    def decode(self, reply: Reply, target: Target) -> Patch | JointPatch | Rejected:
        if not target.addresses:
            return _decoded(reply, target, None)
        return read_blocks(reply.text, reply.finish, target.genome, target.addresses)

    def canonical(self, reply: Reply, target: Target) -> str:  # noqa: ARG002
        return _answer(reply).strip()


@hookimpl
def ge_grammars() -> list[Grammar]:
    return [Block(), Blocks(), Diff(), Edits(), Moves()]


def _decoded(reply: Reply, target: Target, form: Form | None) -> Patch | Rejected:
    """The one way from a reply to a patch, whatever form was asked for; its notes say how it was read."""
    found = extract(reply.text, reply.finish, target.genome, target.address, form)
    if isinstance(found, Rejected):
        return found
    patch = parse_patch(target.genome, target.address, found.code)
    if isinstance(patch, Rejected):
        return patch
    return replace(patch, notes=(*found.notes, *patch.notes))


def _is_code(target: Target) -> bool:
    """Whether the block has lines that can be told apart by their code."""
    return target.genome.blocks[target.address].language == "python"


def _answer(reply: Reply) -> str:
    return reasoning_prefix.answer_of(reply.text) or ""
