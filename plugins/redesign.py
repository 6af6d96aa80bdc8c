"""Redesign: changes of a network's structure, as large as the idea: widths, depth, stages, kinds of block."""

from __future__ import annotations

import math

from ge_engine.contracts import Context, Goal, Operator, Proposal
from ge_engine.genome import Block, Genome
from ge_engine.hookspecs import hookimpl
from ge_engine.outcome import Skipped
from ge_engine.profile import block_profiles
from ge_engine.structure.moves import module_classes, moves_of
from ge_plugins.intents import Intent
from ge_plugins.operators import Mutation
from ge_plugins.whole_file import has_room, of_file

FEWEST_MOVES = 4
"""Moves that a block of code must offer to be worth a redesign; of values, one is enough."""
EVEN = 0.25
"""How often a block is drawn evenly, and not by its share of the network's parameters and FLOPs."""
AFFORDABLE = (0.0, 3.0)
"""FLOPs of a child as a share of its parent's: what costs more is seldom worth its training."""
LARGEST = (0.0, 2.0)


SMALLER = Goal(parameters=(0.0, 0.95), flops=(0.0, 1.5))
"""At least 5 % of the parameters fewer."""

REDESIGNS = (
    Intent(
        "rescale",
        "Change the widths or the depth of this network where you expect it to pay.",
        "moves",
        Goal(("width", "depth"), LARGEST, AFFORDABLE, 0.05),
    ),
    Intent(
        "restructure",
        "Change the order or the number of this network's stages where you expect it to pay.",
        "moves",
        Goal(("drop", "repeat", "swap", "replace", "insert", "depth"), LARGEST, AFFORDABLE, 0.05),
    ),
    Intent(
        "replace",
        "Put blocks or layers of another kind where you expect it to pay.",
        "moves",
        Goal(("replace", "insert", "number", "swap"), LARGEST, AFFORDABLE),
    ),
    Intent(
        "simplify",
        "Make this network smaller where it costs no accuracy: stages that see one position only, "
        "widths that nothing needs.",
        "moves",
        SMALLER,
    ),
)


class Redesign(Mutation):
    """Changes a network's structure. A language model with room is shown the whole file, and rewrites
    whichever blocks have to change together; others choose among the structural moves of one block that makes
    others: a network's class, its factory."""

    name = "redesign"
    offers_moves = True

    def __init__(self) -> None:
        super().__init__(REDESIGNS)

    def propose(self, context: Context) -> Proposal:
        if context.addresses and has_room(context):
            return (yield from of_file(context, self.drawn(context)))
        addresses = structured(context.genome, context.addresses)
        if not addresses:
            return Skipped("the parent has no block whose structure this run may change")
        address = by_share(context, addresses)
        return (yield from self.asked(context, address, self.drawn(context)))


def structured(genome: Genome, addresses: tuple[str, ...]) -> list[str]:
    """The top-level blocks among `addresses` that offer structural moves."""

    def offers(block: Block) -> int:
        classes = module_classes(*genome.at(block.address))
        return len(moves_of(block.code, classes, language=block.language))

    def fewest(block: Block) -> int:
        return 1 if block.kind == "values" else FEWEST_MOVES

    blocks = [block for address in addresses if (block := genome.blocks[address]).kind != "method"]
    return [block.address for block in blocks if offers(block) >= fewest(block)]


def by_share(context: Context, addresses: list[str]) -> str:
    """One of `addresses`, by its share of the network's parameters and FLOPs, now and then evenly. The values
    of a file together count as the whole network, which is made from them."""
    profiles = block_profiles(context.profile)
    values = [a for a in addresses if context.genome.blocks[a].kind == "values"]
    shares = [
        (profiles[a].parameter_share + profiles[a].flop_share) / 2 if a in profiles else 0.0
        for a in addresses
    ]
    if profiles:
        shares = [1 / len(values) if a in values else s for a, s in zip(addresses, shares, strict=True)]
    even = context.rng.random() < EVEN
    if even or math.isclose(sum(shares), 0.0):
        return context.choose("block", addresses)
    return context.rng.choices(addresses, shares)[0]


@hookimpl
def ge_operators() -> list[Operator]:
    return [Redesign()]
