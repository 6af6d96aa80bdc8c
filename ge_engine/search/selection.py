"""Selection: NSGA-II for parents, SPEA-2 for elites, over the same population and ties."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import replace

from ge_engine.blaming import blaming
from ge_engine.config import RunConfig
from ge_engine.contracts import Selector
from ge_engine.noise import NO_TIES, Ties
from ge_engine.outcome import Scored
from ge_engine.pareto import Direction, gains
from ge_engine.population import SEED_ID, Individual
from ge_engine.registry import Registry, choose
from ge_engine.search.islands import share
from ge_engine.search.variation import MatingPool


class Selection:
    """Selects with random numbers of (random seed, `number`, island, role) alone. Selectors see individuals
    with the figures that `ties` leaves; of equal ones the better by their own figures are taken.

    Raises:
        ConfigError: no selector of that name.
        PluginError: a selector failed.
    """

    def __init__(
        self,
        config: RunConfig,
        registry: Registry,
        directions: Mapping[str, Direction],
        ties: Ties = NO_TIES,
    ) -> None:
        self._config = config
        self._directions = directions
        self._ties = ties
        self._registry = registry
        self._parents = choose(registry.selectors, config.parent_selector, "selector")
        self._elites = choose(registry.selectors, config.elite_selector, "selector")

    def pool(
        self, number: int, island: int, size: int, seed: Individual, population: Sequence[Individual]
    ) -> MatingPool:
        """The mating pool for `size` children of an island (two parents each) and the elites whose change
        helped, both of its `population` alone."""
        if number == 0:
            return MatingPool(0, (seed,), ())
        parents = self._select(self._parents, population, 2 * size, number, island, "parents")
        gained = [one for one in population if one.id != SEED_ID and self._gained(one, seed)]
        thought = max(min(1, self._config.eot_elites), self._share(self._config.eot_elites, island))
        helpful = self._select(self._elites, gained, thought, number, island, "eot")
        return MatingPool(number, tuple(parents), tuple(helpful))

    def elites(self, number: int, island: int, population: Sequence[Individual]) -> list[Individual]:
        kept = self._share(self._config.elites, island)
        return self._select(self._elites, population, kept, number, island, "elites")

    def travellers(self, number: int, island: int, population: Sequence[Individual]) -> list[Individual]:
        """The elites of an island of which copies go to the next one."""
        return self._select(self._elites, population, self._config.migrants, number, island, "migrants")

    def _gained(self, one: Individual, seed: Individual) -> bool:
        """Whether it is better than the baseline somewhere, by more than ties."""
        mine, seeds = self._ties.seen(one.objectives), self._ties.seen(seed.objectives)
        return gains(mine, seeds, self._directions)

    def _seen(self, one: Individual) -> Individual:
        """An individual as selectors see it."""
        if not self._ties.widths or not isinstance(one.outcome, Scored):
            return one
        seen = replace(one.outcome, objectives=self._ties.seen(one.objectives))
        return replace(one, outcome=seen)

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
        known = {one.id: one for one in individuals}
        with blaming(self._registry, "ge_selectors", selector.name):
            seen = selector.select([self._seen(one) for one in individuals], k, self._directions, rng)
            chosen = [known[one.id] for one in seen]
        return self._ties.better_first(chosen, individuals, self._directions)
