"""Several populations that evolve separately, and the ring along which elites travel from one to the next.

The island model of evolutionary algorithms: Tanese, "Distributed Genetic Algorithms", ICGA 1989; a ring with
copies of the best is the classic topology (Cantu-Paz, "A Survey of Parallel Genetic Algorithms", 1998).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ge_engine.config import RunConfig
from ge_engine.population import Individual, Migration


def share(total: int, island: int, islands: int) -> int:
    """What one island has of `total`: the same for all; the remainder goes to the first ones."""
    return len(range(island, total, islands))


def island_of(turn: int, turns_before: int, islands: int) -> int:
    """The island of the children of a turn when there were `turns_before` in all earlier generations: one
    after the other, so that batches of any size give each its share."""
    return (turns_before + turn) % islands


def turns(drawn: int, screen: int) -> int:
    """How many turns so many children of operators take: those that compete for one training take one."""
    return -(-drawn // screen)


def turn_of(slot: int, drawn: int, screen: int) -> int:
    """Which turn of its generation a child has. The first `drawn` are operators' and compete in groups of
    `screen`, those after them were made by hand and have one each."""
    return slot // screen if slot < drawn else turns(drawn, screen) + slot - drawn


def travels(config: RunConfig, bred_before: int, bred: int) -> bool:
    """Whether elites travel after a generation that brought the count of children from `bred_before` to
    `bred`: each time that `migrate_every` generations are full."""
    period = config.migrate_every * config.population * config.screen
    return config.islands > 1 and config.migrants > 0 and bred_before // period < bred // period


def bred_on(island: int, individuals: Sequence[Individual]) -> list[Individual]:
    return [one for one in individuals if one.island == island]


def ring(
    populations: Sequence[Sequence[Individual]],
    best: Callable[[int, Sequence[Individual]], Sequence[Individual]],
) -> list[Migration]:
    """Who travels: the `best` of each island, of those that do not live on the next already, to the next, and
    the last one's to the first. All leave at once."""
    moves = []
    for source, population in enumerate(populations):
        target = (source + 1) % len(populations)
        there = {one.id for one in populations[target]}
        fresh = [one for one in population if one.id not in there]
        moves += [Migration(one.id, source, target) for one in best(source, fresh)]
    return moves


def moved(populations: Sequence[Sequence[Individual]], moves: Sequence[Migration]) -> list[list[Individual]]:
    """The populations once all have arrived, newcomers last."""
    after = [list(population) for population in populations]
    for move in moves:
        after[move.target].append(next(one for one in populations[move.source] if one.id == move.id))
    return after
