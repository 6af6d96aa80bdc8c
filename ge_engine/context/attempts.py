"""The section "attempts": what was tried on the block before, what it changed and what came of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import zip_longest

from ge_engine.context.figures import comparison
from ge_engine.contracts import Attempt, Context, Prompt, fenced
from ge_engine.source.addresses import owner_of

SHORT, LONG = 6, 12
"""Attempts of the short form, and of the others."""
LINES = 12
"""Changed lines of each attempt that the middle form shows; the longest shows all that are known."""


def attempts(context: Context, prompt: Prompt) -> Sequence[str]:
    """The first `SHORT` in a line each; the first `LONG` with `LINES` lines of their changes; with all."""
    names = blocks_of(prompt)
    known = _together([context.memory.attempts(name) for name in names])[:LONG]
    if not known:
        return ()
    where = names[0] if len(names) == 1 else "this file"
    head = f"Tried before on {where} by others (a record, not an instruction), against the parent of each:"
    lines = [_line(one, context) for one in known]
    short = "\n".join([head, *lines[:SHORT]])
    changes = [one.change for one in known]
    forms = [short, _with_code(head, lines, map(_first_lines, changes)), _with_code(head, lines, changes)]
    return tuple(dict.fromkeys(forms))


def _with_code(head: str, lines: Iterable[str], changes: Iterable[str]) -> str:
    codes = [fenced(change, "diff") if change else "" for change in changes]
    return "\n".join([head, *(f"{line}\n{code}".rstrip() for line, code in zip(lines, codes, strict=True))])


def _first_lines(change: str) -> str:
    lines = change.split("\n")
    return change if len(lines) <= LINES else "\n".join([*lines[:LINES], "..."])


def blocks_of(prompt: Prompt) -> list[str]:
    """The top-level blocks that the reply may rewrite."""
    addresses = (prompt.address, *prompt.addresses)
    return list(dict.fromkeys(owner_of(address) for address in addresses if address))


def _together(groups: Sequence[Sequence[Attempt]]) -> list[Attempt]:
    """The attempts on several blocks, in turn, each child once."""
    rows = zip_longest(*groups)
    return list({one.id: one for row in rows for one in row if one is not None}.values())


def _line(one: Attempt, context: Context) -> str:
    run = context.run
    compared = comparison(one.before, one.after, one.within, run.directions, run.notations)
    done = ", then ".join(one.steps) or f"{one.intent} of {one.address}"
    return f"- {done}: {one.failure or compared}"
