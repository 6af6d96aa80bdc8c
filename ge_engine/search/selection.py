"""Who breeds and who survives: NSGA-II for parents, SPEA-2 for elites, over the same population."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

from ge_engine.blaming import blaming
from ge_engine.config import RunConfig
from ge_engine.contracts import Selector
from ge_engine.pareto import Direction, gains
from ge_engine.population import SEED_ID, Individual
from ge_engine.registry import Registry, choose
from ge_engine.search.islands import share
from ge_engine.search.variation import MatingPool


class Selection:
    """Selects with random numbers of (random seed, `number`, island, role) alone.

    Raises:
        ConfigError: no selector of that name.
        PluginError: a selector failed.
    """

    def __init__(self, config: RunConfig, registry: Registry, directions: Mapping[str, Direction]) -> None:
        self._config = config
        self._directions = directions
        self._registry = registry
        self._parents = choose(registry.selectors, config.parent_selector, "selector")
        self._elites = choose(registry.selectors, config.elite_selector, "selector")

    def pool(
        self, number: int, island: int, size: int, seed: Individual, population: Sequence[Individual]
    ) -> MatingPool:
        """The mating pool of `size` slots of an island (two parents each) and the elites whose change
        helped, both of its `population` alone."""
        if number == 0:
            return MatingPool(0, (seed,), ())
        parents = self._select(self._parents, population, 2 * size, number, island, "parents")
        gained = [
            one
            for one in population
            if one.id != SEED_ID and gains(one.objectives, seed.objectives, self._directions)
        ]
        thought = max(min(1, self._config.eot_elites), self._share(self._config.eot_elites, island))
        helpful = self._select(self._elites, gained, thought, number, island, "eot")
        return MatingPool(number, tuple(parents), tuple(helpful))

    def elites(self, number: int, island: int, population: Sequence[Individual]) -> list[Individual]:
        kept = self._share(self._config.elites, island)
        return self._select(self._elites, population, kept, number, island, "elites")

    def travellers(self, number: int, island: int, population: Sequence[Individual]) -> list[Individual]:
        """The elites of an island of which copies go to the next one."""
        return self._select(self._elites, population, self._config.migrants, number, island, "migrants")

    def _share(self, total: int, island: int) -> int:
        return share(total, island, self._config.islands)

    def _select(
        self,
        selector: Selector,
        individuals: Sequence[Individual],
        k: int,
        number: int,
        island: int,
        role: str,
    ) -> list[Individual]:
        if not individuals:
            return []
        where = f"{number}/{island}" if island else str(number)
        rng = random.Random(f"{self._config.random_seed}/{where}/{role}")
        with blaming(self._registry, "ge_selectors", selector.name):
            return selector.select(individuals, k, self._directions, rng)
