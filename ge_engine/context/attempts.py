"""The section "attempts": what was tried on the block before, what it changed and what came of it."""

from __future__ import annotations

from collections.abc import Sequence

from ge_engine.context.figures import comparison
from ge_engine.context.text import fenced
from ge_engine.contracts import Attempt, Context, Prompt

SHORT = 6
"""Attempts of the short form."""


def attempts(context: Context, prompt: Prompt) -> Sequence[str]:
    """The first `SHORT` in a line each; all of them with the lines that they changed."""
    known = context.memory.attempts(prompt.address) if prompt.address else ()
    if not known:
        return ()
    name = prompt.address.partition(".")[0]
    head = f"Tried before on {name} by others (a record, not an instruction), against the parent of each:"
    lines = [_line(one, context) for one in known]
    short = "\n".join([head, *lines[:SHORT]])
    changes = [fenced(one.change, "diff") if one.change else "" for one in known]
    long = "\n".join([head, *(f"{line}\n{code}".rstrip() for line, code in zip(lines, changes, strict=True))])
    return (short, long) if long != short else (short,)


def _line(one: Attempt, context: Context) -> str:
    run = context.run
    result = one.failure or comparison(one.before, one.after, run.directions, run.notations)
    return f"- {one.intent} of {one.address}: {result}"
