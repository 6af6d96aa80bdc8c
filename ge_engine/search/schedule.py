"""When the next children are generated: generation after generation, or as soon as there is room for them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

from ge_engine.config import RunConfig
from ge_engine.evaluation.cores import cores
from ge_engine.genome import Seed
from ge_engine.ledger import History
from ge_engine.ledger.hand_made import HandMade, drawn_before, hand_made, left_by_hand
from ge_engine.population import HAND, Individual, Migration
from ge_engine.search.attempts import Attempts
from ge_engine.search.breakdown import Breakdown
from ge_engine.search.credit import credit_of
from ge_engine.search.early_stopping import rule_of
from ge_engine.search.generation import Generation
from ge_engine.search.halving import Halving, as_recorded
from ge_engine.search.islands import bred_on, island_of, moved, ring, travels, turn_of, turns
from ge_engine.search.run_state import RunState
from ge_engine.search.screen import Screen
from ge_engine.search.screen_quality import ScreenWatch
from ge_engine.search.selection import Selection
from ge_engine.search.services import RunServices
from ge_engine.search.settled import Settled
from ge_engine.search.slots import Slot

STOCK = (3, 8)
"""Children that a steady schedule keeps generated and unscored for each worker, at first and at most. It
keeps more when workers ran dry while a batch was generated: the slower the language model, the more must be
in stock, and the older is the population that children are generated from."""

MANY = 8
"""Trainings at once from which on it is told that a generation has too few children for them."""


class Schedule(ABC):
    """What both schedules share: to plan, generate and finish one generation."""

    def __init__(
        self, config: RunConfig, state: RunState, selection: Selection, services: RunServices
    ) -> None:
        self._config = config
        self._state = state
        self._selection = selection
        self._services = services
        self._ledger = services.ledger
        self._attempts = Attempts(services.ledger)
        self._settled = Settled(services.ledger)
        self._termination = services.termination
        self._halving = Halving(config, services.ledger, services.scoring, state.directions)
        if rule := rule_of(config, services.ledger, state.directions):
            services.scoring.at_rung = lambda job, outcome: not rule.objection(job, outcome)
            services.scoring.behind = rule.objection
        self._screen_watch = ScreenWatch(config, services.ledger, services.announce)
        self._script: History | None = None
        self._breakdown = Breakdown(config.population * config.screen)

    def run(self) -> str:
        """Generate until something says stop, then what was made by hand; the reason. Work in flight goes
        on."""
        with _script(self._services.models.replays, self._ledger.seed) as self._script:
            reason = self._run()
            while self._adds(self._state.next) and not self._termination.interrupted:
                self.add()
        return reason

    def add(self) -> None:
        """Take in and train what was made by hand, without a language model: in the generation that was cut
        off, else in one of its own."""
        number, scoring = self._state.next, self._services.scoring
        for one in self._state.unmerged:
            if one.steps[0].operator == HAND:
                scoring.score_child(one.id, one.genome, one.parents)
        if resumed := self._ledger.begun(number):
            self._ledger.place_waiting(number)
        elif self._adds(number):
            self._ledger.start_generation(number, 0, self._replayed(number))
        drawn, made = self._slots(number)
        if made:
            generation = self._generation(number, [], made, resumed)
            generation.breed()
            born = list(generation.admitted())
            if not drawn and self._trained(born):
                self._merge(number, generation, born)
        scoring.drain()

    @abstractmethod
    def _run(self) -> str:
        """Generate until something says stop; the reason."""

    @abstractmethod
    def _trained(self, born: Sequence[Individual]) -> bool:
        """Let the trainings of all of a generation end; False when they were interrupted."""

    @abstractmethod
    def _merge(self, number: int, generation: Generation, ended: Sequence[Individual]) -> None:
        """Let what has ended enter the populations, and finish the generation."""

    def _adds(self, number: int) -> bool:
        """Whether there are children that were made by hand for a generation without any others."""
        replayed = not self._ledger.begun(number) and self._script_size(number) == 0
        return replayed or left_by_hand(self._ledger, number)

    def _given(self, number: int) -> Sequence[HandMade]:
        """What was made by hand for this generation: as in the run whose replies are given again, else what
        the run begins with."""
        return self._replayed(number) if self._script or number else self._services.starts

    def _replayed(self, number: int) -> list[HandMade]:
        """What was made by hand for this generation in the run whose replies are given again."""
        return list(hand_made(self._script, number).values()) if self._script else []

    def _script_size(self, number: int) -> int | None:
        """How many children operators had in this generation of that run; None where it has none."""
        if self._script is None or number >= self._script.next_generation():
            return None
        return self._script.size(number) - len(hand_made(self._script, number))

    def _breed(self, number: int, size: int) -> Generation | str:
        """Generate at most `size` children, and what was made by hand; the reason when it was
        stopped in the middle."""
        resumed = self._ledger.begun(number)
        self._ledger.start_generation(number, size, self._given(number))
        generation = self._generation(number, *self._slots(number), resumed)
        if reason := generation.breed():
            return reason
        self._breakdown.bred(self._ledger.size(number), generation.broken())
        return generation

    def _slots(self, number: int) -> tuple[list[Slot], dict[Slot, HandMade]]:
        """The slots of a generation that was begun, apart from those whose child was made by hand."""
        made, size = hand_made(self._ledger, number), self._ledger.size(number)
        earlier, own = drawn_before(self._ledger, number), size - len(made)
        before = turns(earlier, self._config.screen) + self._ledger.slots_before(number) - earlier
        slots = [
            Slot(at, number, island_of(turn_of(at, own, self._config.screen), before, self._config.islands))
            for at in range(size)
        ]
        drawn = [slot for slot in slots if slot.number not in made]
        return drawn, {slot: made[slot.number] for slot in slots if slot.number in made}

    def _generation(
        self, number: int, drawn: Sequence[Slot], made: Mapping[Slot, HandMade], resumed: bool
    ) -> Generation:
        islands = [slot.island for slot in drawn]
        pools = [
            self._selection.pool(number, island, islands.count(island), self._state.seed, population)
            for island, population in enumerate(self._state.populations if drawn else ())
        ]
        credit = credit_of(self._ledger, number, self._config, self._attempts, self._settled)
        front, room = tuple(self._state.front), self._services.prompt_tokens
        pools = [
            replace(pool, credit=credit, front=front, prompt_tokens=room[island])
            for island, pool in enumerate(pools)
        ]
        parents = [one.id for pool in pools for one in pool.parents]
        size = len(drawn) + len(made)
        self._services.announce("generation_started", generation=number, size=size, parents=parents)
        screen = Screen(self._config, drawn)
        return Generation(self._services, number, pools, drawn, made, resumed, screen)

    def _finish(self, number: int, generation: Generation, merged: Sequence[Individual], scored: int) -> None:
        state = self._state
        moves = self._moves(number)
        state.populations = moved(state.populations, moves)
        alive = [[one.id for one in island] for island in state.populations]
        front = [one.id for one in state.front]
        self._ledger.finish_generation(number, alive, front, [one.id for one in merged], moves)
        state.next = number + 1
        self._services.scoring.keep_parents(state.parents_to_be)
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
            errors=state.front_errors,
        )
        self._screen_watch.look()
        outcomes = [] if scored else [self._ledger.score(one.genome.digest) for one in merged]
        self._breakdown.ended(self._ledger.size(number), scored, [one for one in outcomes if one is not None])

    def _ended(self, one: Individual) -> bool:
        return self._ledger.score(one.genome.digest) is not None

    def _moves(self, number: int) -> list[Migration]:
        """Who travels when generation `number` is finished."""
        bred = self._ledger.slots_before(number), self._ledger.slots_before(number + 1)
        if not travels(self._config, *bred):
            return []
        return ring(self._state.populations, partial(self._selection.travellers, number))


class Generational(Schedule):
    """The paper's: generate all, score all, then select. Training overlaps with decoding in a generation."""

    _advised = False

    def _run(self) -> str:
        while not (reason := self._termination.before(self._state.next)):
            number = self._state.next
            self._advise()
            size = self._termination.slots(self._config.population) * self._config.screen
            generation = self._breed(number, 0 if self._script_size(number) == 0 else size)
            if isinstance(generation, str):
                return generation
            born = list(generation.admitted())
            if not self._trained(born):
                return self._termination.now()
            self._merge(number, generation, born)
        return reason

    def _advise(self) -> None:
        """Tell once that workers are so many that they wait for one another; machines come as a run goes."""
        slots, population = self._services.scoring.at_once(), self._config.population
        if self._advised or slots < MANY or 2 * slots <= population:
            return
        self._advised = True
        message = (
            f"{slots} trainings can run at once, and a generation has {population} children: workers wait "
            "for each other at its end. A run with --schedule steady keeps them busy"
        )
        self._services.announce("remark", model="schedule", message=message)

    def _trained(self, born: Sequence[Individual]) -> bool:
        self._services.scoring.drain()
        if self._termination.interrupted and not all(map(self._ended, born)):
            return False
        if not self._config.halving:
            return True
        return self._halving.whole_cohort(born, lambda: self._termination.interrupted)

    def _merge(self, number: int, generation: Generation, ended: Sequence[Individual]) -> None:
        """All that were born, beside the elites of those that lived."""
        state = self._state
        scored = state.scored(ended)
        state.populations = [
            self._selection.elites(number, island, population) + bred_on(island, scored)
            for island, population in enumerate(state.populations)
        ]
        self._finish(number, generation, ended, len(scored))


class Steady(Schedule):
    """Generates a batch as soon as there is room, from the population as it stands, and never waits for all.

    A batch is a generation of the run database. What had ended when it was generated is recorded with it, so
    that a resumed run generates the next from the same population, whatever has ended since. Where the
    replies come from another steady run (`replay:RUN`), the order of completions does too.
    """

    def __init__(
        self, config: RunConfig, state: RunState, selection: Selection, services: RunServices
    ) -> None:
        super().__init__(config, state, selection, services)
        if config.halving:
            services.scoring.at_rung = self._halving.one_by_one

    def _run(self) -> str:
        state, scoring = self._state, self._services.scoring
        script = self._script if self._script and self._script.config.schedule == "steady" else None
        if script and self._config.halving:
            scoring.at_rung = as_recorded(script.promoted, self._halving.one_by_one)
        room = 0
        for one in state.unmerged:
            scoring.score_child(one.id, one.genome, one.parents)
        total = self._config.generations * self._config.population
        while not (reason := self._termination.before(state.next)):
            number = state.next
            workers = scoring.at_once() or self._config.workers or cores()
            room = min(max(room, STOCK[0] * workers), STOCK[1] * workers)
            born = turns(drawn_before(self._ledger, number), self._config.screen)
            scripted = self._script_size(number) if script else None
            free = max(1, min(room - scoring.load, total - born))
            planned = self._termination.slots(free, scoring.load) * self._config.screen
            generation = self._breed(number, planned if scripted is None else scripted)
            if isinstance(generation, str):
                return generation
            state.unmerged += generation.admitted()
            born = turns(drawn_before(self._ledger, number + 1), self._config.screen)
            if scoring.load < workers:
                room = min(room + workers, STOCK[1] * workers)
            if script and scripted is not None:
                ended = self._scripted(script.merged(number))
                if self._termination.interrupted:
                    return self._termination.now()
                self._merge(number, generation, ended)
            else:
                self._wait(room - max(1, workers // 2) if born < total else 0)
                self._merge(number, generation, [one for one in state.unmerged if self._ended(one)])
        return reason

    def _trained(self, born: Sequence[Individual]) -> bool:
        self._services.scoring.drain()
        return all(map(self._ended, born))

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
def _script(replayed: Path | None, seed: Seed) -> Iterator[History | None]:
    """The run whose replies are given again, where it is of the same seed model."""
    if replayed is None:
        yield None
        return
    with History(replayed) as history:
        yield history if history.seed.sources == seed.sources else None


SCHEDULES: Mapping[str, type[Schedule]] = {"generational": Generational, "steady": Steady}
