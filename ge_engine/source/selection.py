"""Which blocks a user's patterns choose."""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence

from ge_engine.errors import SeedError
from ge_engine.genome import Genome
from ge_engine.source.addresses import BETWEEN, split_address


def select_addresses(genome: Genome, patterns: Sequence[str]) -> tuple[str, ...]:
    """The evolvable addresses that `patterns` choose, in the order of the file.

    A pattern is an address or a glob ("Net.*", "*Block", "heads/*.py::*"), without a file one of every file;
    with "!" in front it excludes. Later patterns win. When the first pattern excludes, or there is none, all
    are chosen at the start.

    Raises:
        SeedError: a pattern matches no block, or only blocks that are not evolvable, or none is left.
    """
    chosen = set(genome.evolvable) if not patterns or patterns[0].startswith("!") else set()
    for pattern in patterns:
        matches = _matching(genome, pattern.removeprefix("!"))
        chosen = chosen - matches if pattern.startswith("!") else chosen | matches
    if not chosen:
        raise SeedError("The block patterns leave no block to evolve.", "See `ge blocks` for the addresses.")
    return tuple(address for address in genome.evolvable if address in chosen)


def _matching(genome: Genome, pattern: str) -> set[str]:
    known = {address for address in genome.blocks if _matches(address, pattern)}
    if not known:
        raise SeedError(
            f"The block pattern {pattern!r} matches nothing.", f"Blocks are: {', '.join(genome.blocks)}."
        )
    matches = known & set(genome.evolvable)
    if not matches:
        first = min(known)
        raise SeedError(f"The block {first!r} cannot be evolved: {genome.blocks[first].reason}.")
    return matches


def _matches(address: str, pattern: str) -> bool:
    named = address if BETWEEN in pattern else split_address(address)[1]
    return named == pattern or fnmatch.fnmatchcase(named, pattern)
