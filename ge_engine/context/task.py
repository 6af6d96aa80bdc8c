"""The section "task": what is trained on and how, and what is to be better."""

from __future__ import annotations

from collections.abc import Sequence

from ge_engine.contracts import Context, Prompt


def task(context: Context, _: Prompt) -> Sequence[str]:
    """One form; none where nobody knows."""
    return (f"The task: {context.run.task}",) if context.run.task else ()
