"""The section "instructions": what the user says of the problem, in the user's words."""

from __future__ import annotations

from collections.abc import Sequence

from ge_engine.contracts import Context, Prompt


def instructions(context: Context, _: Prompt) -> Sequence[str]:
    """One form; none where the user says nothing."""
    text = context.run.instructions.strip()
    return (f"What the user says of the problem:\n{text}",) if text else ()
