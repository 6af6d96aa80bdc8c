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
from ge_engine.ledger import History
from ge_engine.population import Individual, Migration
from ge_engine.search.credit import credit_of
from ge_engine.search.generation import Generation
from ge_engine.search.halving import Halving, as_recorded
from ge_engine.search.islands import bred_on, island_of, moved, ring, travels
from ge_engine.search.run_state import RunState
from ge_engine.search.selection import Selection
from ge_engine.search.services import RunServices

STOCK = (3, 8)
"""Children that a steady schedule keeps bred and unscored for each worker, at first and at most. It keeps
more when workers ran dry while a batch was bred: the slower the language model, the more must be in stock,
and the older is the population that children are bred from."""


class Schedule(ABC):
    """What both schedules share: to plan, breed and finish one generation."""

    def __init__(
        self, config: RunConfig, state: RunState, selection: Selection, services: RunServices
    ) -> None:
        self._config = config
        self._state = state
        self._selection = selection
        self._services = services
        self._ledger = services.ledger
        self._termination = services.termination
        self._halving = Halving(config, services.ledger, services.scoring, state.directions)

    @abstractmethod
    def run(self) -> str:
        """Breed until something says stop; the reason. Work in flight goes on."""

    def _breed(self, number: int, size: int) -> Generation | str:
        """Breed a generation of at most `size` slots; the reason when it was stopped in the middle."""
        resumed = self._ledger.begun(number)
        size = self._ledger.start_generation(number, size)
        before = self._ledger.slots_before(number)
        islands = [island_of(slot, before, self._config.islands) for slot in range(size)]
        pools = [
            self._selection.pool(number, island, islands.count(island), self._state.seed, population)
            for island, population in enumerate(self._state.populations)
        ]
        credit = credit_of(self._ledger, number, self._config)
        front, room = tuple(self._state.front), self._services.prompt_tokens
        pools = [
            replace(pool, credit=credit, front=front, prompt_tokens=room[island])
            for island, pool in enumerate(pools)
        ]
        parents = [one.id for pool in pools for one in pool.parents]
        self._services.announce("generation_started", generation=number, size=size, parents=parents)
        generation = Generation(self._services, number, pools, islands, resumed)
        return generation.breed() or generation

    def _finish(self, number: int, generation: Generation, merged: Sequence[Individual], scored: int) -> None:
        state = self._state
        moves = self._moves(number)
        state.populations = moved(state.populations, moves)
        alive = [[one.id for one in island] for island in state.populations]
        front = [one.id for one in state.front]
        self._ledger.finish_generation(number, alive, front, [one.id for one in merged], moves)
        state.next = number + 1
        self._services.announce("survivors", generation=number, ids=[one.id for one in state.population])
        if moves:
            told = [(move.id, move.source, move.target) for move in moves]
            self._services.announce("migrated", generation=number, moves=told)
        self._services.announce(
            "generation_finished",
            generation=number,
            admitted=sum(1 for _ in generation.admitted()),
            scored=scored,
            rejected=dict(generation.rejections()),
            front=state.front_data,
        )

    def _ended(self, one: Individual) -> bool:
        return self._ledger.score(one.genome.digest) is not None

    def _moves(self, number: int) -> list[Migration]:
        """Who travels when generation `number` is finished."""
        bred = self._ledger.slots_before(number), self._ledger.slots_before(number + 1)
        if not travels(self._config, *bred):
            return []
        return ring(self._state.populations, partial(self._selection.travellers, number))


class Generational(Schedule):
    """The paper's: breed all, score all, then select. Training overlaps with decoding in a generation."""

    def run(self) -> str:
        state = self._state
        while not (reason := self._termination.before(state.next, state.next)):
            number = state.next
            generation = self._breed(number, self._termination.slots(self._config.population))
            if isinstance(generation, str):
                return generation
            self._services.scoring.drain()
            born = list(generation.admitted())
            if self._termination.interrupted and not all(map(self._ended, born)):
                return self._termination.now()
            if not self._halving.whole_cohort(born, lambda: self._termination.interrupted):
                return self._termination.now()
            scored = state.scored(born)
            state.populations = [
                self._selection.elites(number, island, population) + bred_on(island, scored)
                for island, population in enumerate(state.populations)
            ]
            self._finish(number, generation, born, len(scored))
        return reason


class Steady(Schedule):
    """Breeds a batch as soon as there is room, from the population as it stands, and never waits for all.

    A batch is a generation of the ledger. What had ended when it was bred is recorded with it, so that a
    resumed run breeds the next from the same population, whatever has ended since. Where the replies come
    from another steady run (`replay:RUN`), the order of completions does too.
    """

    def run(self) -> str:
        with _script(self._services.models.replays) as script:
            return self._run(script)

    def _run(self, script: History | None) -> str:
        state, scoring = self._state, self._services.scoring
        decide = self._halving.one_by_one
        scoring.at_rung = as_recorded(script.promoted, decide) if script else decide
        workers = self._config.workers or os.cpu_count() or 1
        room = STOCK[0] * workers
        for one in state.unmerged:
            scoring.score(one.id, one.genome)
        total = self._config.generations * self._config.population
        born = self._ledger.slots_before(state.next)
        while not (reason := self._termination.before(born // self._config.population, state.next)):
            number = state.next
            scripted = script is not None and number < script.next_generation()
            free = max(1, min(room - scoring.load, total - born))
            size = script.size(number) if script and scripted else self._termination.slots(free, scoring.load)
            generation = self._breed(number, size)
            if isinstance(generation, str):
                return generation
            state.unmerged += generation.admitted()
            born += self._ledger.size(number)
            if scoring.load < workers:
                room = min(room + workers, STOCK[1] * workers)
            if script and scripted:
                ended = self._scripted(script.merged(number))
                if self._termination.interrupted:
                    return self._termination.now()
                self._merge(number, generation, ended)
            else:
                self._wait(room - max(1, workers // 2) if born < total else 0)
                self._merge(number, generation, [one for one in state.unmerged if self._ended(one)])
        return reason

    def _wait(self, load: int) -> None:
        """Until no more than `load` children await their score, or the run has to stop."""
        while self._services.scoring.load > load and not (load and self._termination.now()):
            self._services.event_loop.turn()

    def _scripted(self, ids: Sequence[str]) -> list[Individual]:
        """The children that ended by then in the other run, once they have ended in this one."""
        known = {one.id: one for one in self._state.unmerged}
        wanted = [known[identity] for identity in ids if identity in known]
        while not all(self._ended(one) for one in wanted) and self._services.scoring.load:
            self._services.event_loop.turn()
        return [one for one in wanted if self._ended(one)]

    def _merge(self, number: int, generation: Generation, ended: Sequence[Individual]) -> None:
        """Let what has ended enter the population, of which the elites stay."""
        state = self._state
        gone = {one.id for one in ended}
        state.unmerged = [one for one in state.unmerged if one.id not in gone]
        scored = state.scored(ended)
        state.populations = [
            self._selection.elites(number, island, [*population, *bred_on(island, scored)])
            for island, population in enumerate(state.populations)
        ]
        self._finish(number, generation, ended, len(scored))


@contextmanager
def _script(replayed: Path | None) -> Iterator[History | None]:
    if replayed is None:
        yield None
        return
    with History(replayed) as history:
        yield history if history.config.schedule == "steady" else None


SCHEDULES: Mapping[str, type[Schedule]] = {"generational": Generational, "steady": Steady}
