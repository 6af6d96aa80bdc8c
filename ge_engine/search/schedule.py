"""When the next children are bred: generation after generation, or as soon as there is room for them."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

from ge_engine.config import RunConfig
from ge_engine.errors import LedgerError
from ge_engine.ledger import History, Ledger
from ge_engine.outcome import Outcome
from ge_engine.pareto import Direction, pareto_front
from ge_engine.population import SEED_ID, Individual, Move
from ge_engine.search.breeding import Breeding, Shop
from ge_engine.search.credit import credit_of
from ge_engine.search.halving import Halving, as_recorded
from ge_engine.search.islands import bred_on, island_of, moved, ring, travels
from ge_engine.search.selection import Selection
from ge_engine.search.stopping import Limits

STOCK = (3, 8)
"""Children that a steady schedule keeps bred and unscored for each worker, at first and at most. It keeps
more when workers ran dry while a batch was bred: the slower the language model, the more must be in stock,
and the older is the population that children are bred from."""


class Standing:
    """Where a run stands: the populations alive, the front of everything scored, the next generation.

    `populations` are those of the islands. `unmerged` are admitted children that have not entered theirs
    yet (schedule "steady").
    """

    def __init__(
        self, ledger: Ledger, seed: Individual, directions: Mapping[str, Direction], islands: int
    ) -> None:
        self._ledger = ledger
        self._seed = seed
        self.next = ledger.next_generation()
        alive = ledger.populations(self.next - 1) if self.next else ((SEED_ID,),) * islands
        self.populations = [[self._load(identity) for identity in ids] for ids in alive]
        front = ledger.fronts(self.next - 1) if self.next else (SEED_ID,)
        self.front = [self._load(identity) for identity in front]
        self.unmerged = [self._load(identity) for identity in ledger.unmerged(self.next)]
        self.directions = directions

    @property
    def population(self) -> list[Individual]:
        """Everybody alive, each once."""
        return list({one.id: one for island in self.populations for one in island}.values())

    def _load(self, identity: str) -> Individual:
        one = self._seed if identity == SEED_ID else self._ledger.individual(identity)
        if not isinstance(one, Individual):
            raise LedgerError(f"The ledger names {identity} and does not hold it.", "See `ge log --check`.")
        return one

    def scored(self, born: Sequence[Individual]) -> list[Individual]:
        """Those of `born` that have a score by now, with it; the front is brought up to date."""
        known = [replace(one, outcome=self._outcome(one)) for one in born]
        scored = [one for one in known if one.scored]
        self.front = pareto_front([*self.front, *scored], self.directions)
        return scored

    def _outcome(self, one: Individual) -> Outcome | None:
        return self._ledger.score(one.genome.digest)


class Schedule(ABC):
    """What both schedules share: planning, breeding and finishing one generation."""

    def __init__(
        self,
        config: RunConfig,
        ledger: Ledger,
        standing: Standing,
        seed: Individual,
        selection: Selection,
        limits: Limits,
        shop: Shop,
    ) -> None:
        self._config = config
        self._ledger = ledger
        self._standing = standing
        self._seed = seed
        self._selection = selection
        self._limits = limits
        self._shop = shop
        self._halving = Halving(config, ledger, shop.scoring, standing.directions)

    @abstractmethod
    def run(self) -> str:
        """Breed until something says stop; the reason. Work in flight goes on."""

    def _breed(self, number: int, size: int) -> Breeding | str:
        """Breed a generation of at most `size` slots; the reason when it was stopped in the middle."""
        resumed = self._ledger.begun(number)
        size = self._ledger.start_generation(number, size)
        before = self._ledger.slots_before(number)
        islands = [island_of(slot, before, self._config.islands) for slot in range(size)]
        pools = [
            self._selection.pool(number, island, islands.count(island), self._seed, population)
            for island, population in enumerate(self._standing.populations)
        ]
        experience = credit_of(self._ledger, number, self._config)
        pools = [replace(pool, experience=experience) for pool in pools]
        parents = [one.id for pool in pools for one in pool.parents]
        self._shop.announce("generation_started", generation=number, size=size, parents=parents)
        breeding = Breeding(self._shop, pools, islands, resumed)
        return breeding.run() or breeding

    def _finish(self, number: int, breeding: Breeding, merged: Sequence[Individual], scored: int) -> None:
        standing = self._standing
        moves = self._moves(number)
        standing.populations = moved(standing.populations, moves)
        alive = [[one.id for one in island] for island in standing.populations]
        front = [one.id for one in standing.front]
        self._ledger.finish_generation(number, alive, front, [one.id for one in merged], moves)
        standing.next = number + 1
        self._shop.announce("survivors", generation=number, ids=[one.id for one in standing.population])
        if moves:
            told = [(move.id, move.source, move.target) for move in moves]
            self._shop.announce("migrated", generation=number, moves=told)
        self._shop.announce(
            "generation_finished",
            generation=number,
            admitted=sum(1 for _ in breeding.admitted()),
            scored=scored,
            rejected=dict(breeding.rejections()),
            front=front_data(standing.front),
        )

    def _ended(self, one: Individual) -> bool:
        return self._ledger.score(one.genome.digest) is not None

    def _moves(self, number: int) -> list[Move]:
        """Who travels when generation `number` is finished."""
        bred = self._ledger.slots_before(number), self._ledger.slots_before(number + 1)
        if not travels(self._config, *bred):
            return []
        return ring(self._standing.populations, partial(self._selection.travellers, number))


class Generational(Schedule):
    """The paper's: breed all, score all, then select. Training overlaps with decoding in a generation."""

    def run(self) -> str:
        standing = self._standing
        while not (reason := self._limits.before(standing.next, standing.next)):
            number = standing.next
            breeding = self._breed(number, self._limits.slots(self._config.population))
            if isinstance(breeding, str):
                return breeding
            self._shop.scoring.drain()
            born = list(breeding.admitted())
            if self._limits.interrupted and not all(map(self._ended, born)):
                return self._limits.now()
            if not self._halving.whole_brood(born, lambda: self._limits.interrupted):
                return self._limits.now()
            scored = standing.scored(born)
            standing.populations = [
                self._selection.elites(number, island, population) + bred_on(island, scored)
                for island, population in enumerate(standing.populations)
            ]
            self._finish(number, breeding, born, len(scored))
        return reason


class Steady(Schedule):
    """Breeds a batch as soon as there is room, from the population as it stands, and never waits for all.

    A batch is a generation of the ledger. What had ended when it was bred is recorded with it, so that a
    resumed run breeds the next from the same population, whatever has ended since. Where the replies come
    from another steady run (`replay:RUN`), the order of completions does too.
    """

    def run(self) -> str:
        with _script(self._shop.models.replays) as script:
            return self._run(script)

    def _run(self, script: History | None) -> str:
        standing, scoring = self._standing, self._shop.scoring
        decide = self._halving.one_by_one
        scoring.at_stage = as_recorded(script.promoted, decide) if script else decide
        workers = self._config.workers or os.cpu_count() or 1
        room = STOCK[0] * workers
        for one in standing.unmerged:
            scoring.score(one.id, one.genome)
        total = self._config.generations * self._config.population
        born = self._ledger.slots_before(standing.next)
        while not (reason := self._limits.before(born // self._config.population, standing.next)):
            number = standing.next
            scripted = script is not None and number < script.next_generation()
            free = max(1, min(room - scoring.load, total - born))
            size = script.size(number) if script and scripted else self._limits.slots(free, scoring.load)
            breeding = self._breed(number, size)
            if isinstance(breeding, str):
                return breeding
            standing.unmerged += breeding.admitted()
            born += self._ledger.size(number)
            if scoring.load < workers:
                room = min(room + workers, STOCK[1] * workers)
            if script and scripted:
                ended = self._scripted(script.merged(number))
                if self._limits.interrupted:
                    return self._limits.now()
                self._merge(number, breeding, ended)
            else:
                self._wait(room - max(1, workers // 2) if born < total else 0)
                self._merge(number, breeding, [one for one in standing.unmerged if self._ended(one)])
        return reason

    def _wait(self, load: int) -> None:
        """Until no more than `load` children await their score, or the run shall stop."""
        while self._shop.scoring.load > load and not (load and self._limits.now()):
            self._shop.inbox.get()()

    def _scripted(self, ids: Sequence[str]) -> list[Individual]:
        """The children that ended by then in the other run, once they have ended in this one."""
        known = {one.id: one for one in self._standing.unmerged}
        wanted = [known[identity] for identity in ids if identity in known]
        while not all(self._ended(one) for one in wanted) and self._shop.scoring.busy:
            self._shop.inbox.get()()
        return [one for one in wanted if self._ended(one)]

    def _merge(self, number: int, breeding: Breeding, ended: Sequence[Individual]) -> None:
        """Let what has ended enter the population, of which the elites stay."""
        standing = self._standing
        gone = {one.id for one in ended}
        standing.unmerged = [one for one in standing.unmerged if one.id not in gone]
        scored = standing.scored(ended)
        standing.populations = [
            self._selection.elites(number, island, [*population, *bred_on(island, scored)])
            for island, population in enumerate(standing.populations)
        ]
        self._finish(number, breeding, ended, len(scored))


@contextmanager
def _script(replayed: Path | None) -> Iterator[History | None]:
    if replayed is None:
        yield None
        return
    with History(replayed) as history:
        yield history if history.config.schedule == "steady" else None


SCHEDULES: Mapping[str, type[Schedule]] = {"generational": Generational, "steady": Steady}


def front_data(front: Sequence[Individual]) -> list[tuple[str, dict[str, float]]]:
    """Ids and objectives, as events tell a front."""
    return [(one.id, dict(one.objectives)) for one in front]
