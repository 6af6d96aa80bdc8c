"""Which blocks of a genome a run may rewrite, and which of them are drawn."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import lru_cache

from ge_engine.config import RunConfig
from ge_engine.contracts import Probe
from ge_engine.errors import SeedError
from ge_engine.genome import Genome
from ge_engine.source.addresses import owner_of
from ge_engine.source.selection import select_addresses

HELD = 256
"""Genomes whose executed blocks are held, so that each draw does not read them anew."""


class Addresses:
    """The executed blocks that `--blocks` chose; of helpers that came along, all, unless `--blocks` chose.

    A block counts as executed where the probe of the genome itself ran it; in a cross, where that of a parent
    did; where none is known, the seed model's. `probed` gives the probe of a digest.

    Raises:
        SeedError: no block is left.
    """

    def __init__(
        self, seed: Genome, config: RunConfig, probe: Probe, probed: Callable[[str], Probe | None]
    ) -> None:
        self._chosen = chosen = set(select_addresses(seed, config.blocks))
        known = _unknown if config.unused_blocks else _executed(probed)
        self._executed: Callable[[str], frozenset[str]] = lru_cache(HELD)(known)
        live = probe.executed if probe.executed and not config.unused_blocks else set(seed.evolvable)
        self._allowed = {address for address in chosen if address in live}
        self._closed = set(seed.blocks) if not config.blocks else None
        if not self._allowed:
            raise SeedError(
                f"None of the chosen blocks is executed: {', '.join(sorted(chosen))}.",
                "Choose others with --blocks, or give --unused-blocks; see `ge blocks`.",
            )

    def of(self, genome: Genome, parents: Sequence[Genome]) -> tuple[str, ...]:
        """The addresses of a genome that its parents, all of them probed, made: the first one's own, or a
        cross."""
        own = parents[:1] if genome.digest == parents[0].digest else parents
        known = [self._executed(parent.digest) for parent in own]
        live = frozenset[str]().union(*known) if all(known) else frozenset()
        allowed = self._chosen & live if live else self._allowed
        return tuple(
            a for a in genome.evolvable if a in allowed or (self._came_along(a) and (not live or a in live))
        )

    def _came_along(self, address: str) -> bool:
        return self._closed is not None and address not in self._closed


def _executed(probed: Callable[[str], Probe | None]) -> Callable[[str], frozenset[str]]:
    def executed(digest: str) -> frozenset[str]:
        probe = probed(digest)
        return probe.executed if probe else frozenset()

    return executed


def _unknown(_digest: str) -> frozenset[str]:
    return frozenset()


def drawable(genome: Genome, addresses: Sequence[str], long_class: int) -> Sequence[str]:
    """The addresses less the methods of each class among them that has at most `long_class` lines: it is
    rewritten as a whole."""
    lengths = {a: genome.blocks[a].code.count("\n") + 1 for a in addresses if a in genome.blocks}
    return [a for a in addresses if owner_of(a) == a or lengths.get(owner_of(a), math.inf) > long_class]
