"""Purposeful mutation: six mutation types; those about size have figures that a child must reach."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from ge_engine.contracts import Context, Goal, Operator, Proposal
from ge_engine.hookspecs import hookimpl
from ge_engine.outcome import Skipped
from ge_engine.profile import block_profiles
from ge_plugins.intents import INTENTS
from ge_plugins.operators import Mutation
from ge_plugins.redesign import AFFORDABLE, LARGEST, SMALLER, by_share, structured
from ge_plugins.whole_file import has_room, of_file

GOALS: Mapping[str, Goal] = {
    "reduce": SMALLER,
    "complex": Goal(parameters=(1.001, LARGEST[1]), flops=AFFORDABLE),
}
"""What a child of a mutation type must be, as shares of its parent."""

PURPOSEFUL = tuple(replace(intent, goal=GOALS.get(intent.name)) for intent in INTENTS)


class Purposeful(Mutation):
    """Mutation in which a mutation type with a goal is asked of what can reach it.

    A language model with room is shown the whole file, and changes whichever blocks have to change. Another
    is asked about one block, drawn by its share of the network's parameters and FLOPs; where that block has
    structural moves, these are what is asked for. Of values they are, whatever the mutation type, for what a
    number does to a network shows when it is built.
    """

    name = "purposeful"
    offers_moves = True

    def __init__(self) -> None:
        super().__init__(PURPOSEFUL)

    def propose(self, context: Context) -> Proposal:
        if not context.addresses:
            return Skipped("the parent has no block that this run may rewrite")
        intent = self.drawn(context)
        if intent.goal is None:
            address = context.choose("block", context.addresses)
            values = context.genome.blocks[address].kind == "values" and not has_room(context)
            if values and structured(context.genome, (address,)):
                intent = replace(intent, grammar="moves")
            return (yield from self.asked(context, address, intent))
        if has_room(context):
            return (yield from of_file(context, intent))
        able = reaching(context, context.addresses, intent.goal)
        if not able:
            return Skipped(f"no block is large enough for the mutation type {intent.name!r}")
        if moving := structured(context.genome, able):
            able, intent = tuple(moving), replace(intent, grammar="moves")
        return (yield from self.asked(context, by_share(context, list(able)), intent))


def reaching(context: Context, addresses: tuple[str, ...], goal: Goal) -> tuple[str, ...]:
    """The blocks that hold at least the share of the parameters that the goal wants cut; all where that is
    not known. A method counts with its class, and what has no module of its own with the network."""
    profiles = block_profiles(context.profile)
    wanted = 1 - min(1.0, goal.parameters[1])
    whole = 1.0

    def share(address: str) -> float:
        held = profiles.get(context.genome.blocks[address].owner)
        return held.parameter_share if held else whole

    return tuple(address for address in addresses if share(address) >= wanted)


@hookimpl
def ge_operators() -> list[Operator]:
    return [Purposeful()]
