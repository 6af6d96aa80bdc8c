"""Which blocks of a genome a run may rewrite, and which of them are drawn."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ge_engine.config import RunConfig
from ge_engine.contracts import Probe
from ge_engine.errors import SeedError
from ge_engine.genome import Genome, select_addresses


class Addresses:
    """The live blocks that `--blocks` chose; of helpers that came along, all, unless `--blocks` chose.

    Raises:
        SeedError: no block is left.
    """

    def __init__(self, seed: Genome, config: RunConfig, probe: Probe) -> None:
        chosen = select_addresses(seed, config.blocks)
        live = probe.executed if probe.executed and not config.dead_blocks else set(seed.evolvable)
        self._allowed = {address for address in chosen if address in live}
        self._closed = set(seed.blocks) if not config.blocks else None
        if not self._allowed:
            raise SeedError(
                f"None of the chosen blocks is executed: {', '.join(chosen)}.",
                "Choose others with --blocks, or give --dead-blocks; see `ge blocks`.",
            )

    def of(self, genome: Genome) -> tuple[str, ...]:
        return tuple(a for a in genome.evolvable if a in self._allowed or self._came_along(a))

    def _came_along(self, address: str) -> bool:
        return self._closed is not None and address not in self._closed


def drawable(genome: Genome, addresses: Sequence[str], long_class: int) -> Sequence[str]:
    """The addresses less the methods of each class among them that has at most `long_class` lines: it is
    rewritten as a whole."""
    lengths = {a: genome.blocks[a].code.count("\n") + 1 for a in addresses if a in genome.blocks}
    return [a for a in addresses if "." not in a or lengths.get(a.partition(".")[0], math.inf) > long_class]
