"""A pure operator: it never yields a prompt, so it costs no model call."""

from __future__ import annotations

import re

from ge_engine.contracts import Context, Operator, Proposal
from ge_engine.hookspecs import hookimpl
from ge_engine.outcome import Skipped
from ge_engine.patch import parse_patch

ACTIVATIONS = ("ReLU", "SiLU", "GELU", "Hardswish", "ELU", "Mish")
PATTERN = re.compile(r"\bnn\.(" + "|".join(ACTIVATIONS) + r")\(\)")


class SwapActivation(Operator):
    name = "swap-activation"

    def propose(self, context: Context) -> Proposal:
        fitting = [a for a in context.addresses if PATTERN.search(context.genome.blocks[a].code)]
        if not fitting:
            return Skipped("no block has an activation to swap")
        address = context.rng.choice(fitting)
        code = context.genome.blocks[address].code
        found = context.rng.choice(list(PATTERN.finditer(code)))
        new = context.rng.choice([a for a in ACTIVATIONS if a != found.group(1)])
        return parse_patch(context.genome, address, code[: found.start(1)] + new + code[found.end(1) :])
        yield  # makes this a generator


@hookimpl
def ge_operators() -> list[Operator]:
    return [SwapActivation()]
