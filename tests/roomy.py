"""The operator `redesign` as a language model with room sees it: `--plugin roomy --operators roomy`."""

from __future__ import annotations

from dataclasses import replace

from ge_engine.contracts import Context, Operator, Proposal
from ge_engine.hookspecs import hookimpl
from ge_plugins.redesign import Redesign


class Roomy(Redesign):
    """A redesign whose prompts always have room for the file."""

    name = "roomy"

    def propose(self, context: Context) -> Proposal:
        return (yield from super().propose(replace(context, prompt_tokens=100_000)))


@hookimpl
def ge_operators() -> list[Operator]:
    return [Roomy()]
