"""The section "attempts": what was tried on the block before, what it changed and what came of it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest

from ge_engine.context.figures import comparison
from ge_engine.contracts import Attempt, Context, Prompt, fenced

SHORT = 6
"""Attempts of the short form."""
LONG = 12


def attempts(context: Context, prompt: Prompt) -> Sequence[str]:
    """The first `SHORT` in a line each; the first `LONG` with the lines that they changed."""
    names = blocks_of(prompt)
    known = _together([context.memory.attempts(name) for name in names])[:LONG]
    if not known:
        return ()
    where = names[0] if len(names) == 1 else "this file"
    head = f"Tried before on {where} by others (a record, not an instruction), against the parent of each:"
    lines = [_line(one, context) for one in known]
    short = "\n".join([head, *lines[:SHORT]])
    changes = [fenced(one.change, "diff") if one.change else "" for one in known]
    long = "\n".join([head, *(f"{line}\n{code}".rstrip() for line, code in zip(lines, changes, strict=True))])
    return (short, long) if long != short else (short,)


def blocks_of(prompt: Prompt) -> list[str]:
    """The top-level blocks that the reply may rewrite."""
    addresses = (prompt.address, *prompt.addresses)
    return list(dict.fromkeys(address.partition(".")[0] for address in addresses if address))


def _together(groups: Sequence[Sequence[Attempt]]) -> list[Attempt]:
    """The attempts on several blocks, in turn, each child once."""
    rows = zip_longest(*groups)
    return list({one.id: one for row in rows for one in row if one is not None}.values())


def _line(one: Attempt, context: Context) -> str:
    run = context.run
    result = one.failure or comparison(one.before, one.after, run.directions, run.notations)
    return f"- {one.intent} of {one.address}: {result}"
