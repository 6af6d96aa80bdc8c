"""One process's work on a run: what it has before anything is opened, and how it begins and ends."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path

from ge_engine.blaming import blamed_objective
from ge_engine.config import RunConfig
from ge_engine.context import tokens
from ge_engine.contracts import Evaluation, Probe
from ge_engine.events import Announcer, Observe
from ge_engine.genome import Seed
from ge_engine.ledger import Ledger
from ge_engine.ledger.hand_made import left_by_hand
from ge_engine.noise import Ties
from ge_engine.outcome import SCREEN
from ge_engine.population import SEED_ID, Direction, Individual
from ge_engine.registry import Registry, choose
from ge_engine.search.canary import refuse_blind
from ge_engine.search.early_stopping import quarters_of
from ge_engine.search.event_loop import EventLoop
from ge_engine.search.finalists import Result, all_scored_on_test, result_of
from ge_engine.search.halving import rungs_of
from ge_engine.search.resolution import (
    chosen_objectives,
    notations_of,
    objectives_of,
    require_conditions,
    require_names,
)
from ge_engine.search.run_folder import opened_run
from ge_engine.search.run_state import RunState
from ge_engine.search.scoring import Scoring
from ge_engine.search.screen import lacking_proxies
from ge_engine.search.seed_admission import admitted_seed
from ge_engine.search.services import opened_evaluation
from ge_engine.search.termination import Interrupts, StopConditions
from ge_engine.tracking import tracked


@contextmanager
def opened_session(
    seed: Seed, config: RunConfig, registry: Registry, folder: Path, observe: Observe, allow_changes: bool
) -> Iterator[Session]:
    """A session of the run in `folder`. Raises as `loop.run`."""
    require_names(config, registry)
    require_conditions(config)
    directions, notations = objectives_of(config, registry), notations_of(config, registry)
    with (
        tracked(config.trackers, folder, observe) as told,
        opened_run(folder, seed, config, registry, directions, notations, allow_changes) as opened,
        Interrupts() as interrupts,
    ):
        termination = StopConditions(config, directions, opened.ledger, interrupts)
        announce = Announcer(told, registry)
        yield Session(config, registry, opened.ledger, opened.differences, directions, termination, announce)


@dataclass(frozen=True)
class Session:
    """`differences`: in words, the versions and checks that changed since the last session."""

    config: RunConfig
    registry: Registry
    ledger: Ledger
    differences: str
    directions: Mapping[str, Direction]
    termination: StopConditions
    announce: Announcer
    event_loop: EventLoop = field(default_factory=EventLoop)

    @contextmanager
    def opened_scoring(self, longer: RunConfig | None = None) -> Iterator[tuple[Evaluation, Scoring]]:
        """The run's evaluation and what hands genomes to it, closed at the end. `longer` are settings of
        longer trainings than the run's, in place of these."""
        config, ledger = longer or self.config, self.ledger
        with ExitStack() as stack:
            with self.ended_when_interrupted():
                opened = opened_evaluation(ledger.seed.genome, config, self.registry, ledger)
                evaluation = stack.enter_context(opened)
            scoring = Scoring(
                evaluation,
                ledger,
                tuple(self.directions),
                config.random_seed,
                self.event_loop,
                self.announce,
                rungs_of(config) or quarters_of(config),
                ledger.digest_of if config.inherit else None,
                seed_pauses=config.budget_rule != "none",
            )
            yield evaluation, scoring

    def begin(
        self,
        evaluation: Evaluation,
        scoring: Scoring,
        meanwhile: Callable[[Probe], AbstractContextManager[None]] = lambda _probe: nullcontext(),
    ) -> tuple[RunState, Probe]:
        """Probe and score the seed model; where the run stands. `meanwhile` is entered with its probe when
        its training has begun, and left when that has ended. Raises SeedError."""
        genome = self.ledger.seed.genome
        evaluator = choose(self.registry.evaluators, self.config.evaluator, "evaluator")
        if evaluation.runs_programs and self.config.canary and not self.ledger.seed_is_scored:
            refuse_blind(evaluation, genome, self.config.project)
        with self.ended_when_interrupted():
            seed, probe = admitted_seed(
                genome, evaluator, self.registry, self.ledger, evaluation, scoring, meanwhile
            )
        if self.config.screen > 1 and (message := lacking_proxies(probe)):
            self.announce("remark", model=SCREEN, message=message)
        return self._state(seed), probe

    def nothing_left(self) -> tuple[RunState, str] | None:
        """How the run ended when an earlier session did all of it: neither model nor worker is needed."""
        genome = self.ledger.seed.genome
        outcome = self.ledger.score(genome.digest)
        if outcome is None:
            return None
        state = self._state(Individual(SEED_ID, 0, -1, (), (), genome, outcome))
        reason = self.reason_to_stop(state)
        done = all_scored_on_test(state, self.ledger, self.config)
        left = left_by_hand(self.ledger, state.next)
        return (state, reason) if reason and done and not left else None

    def reason_to_stop(self, state: RunState) -> str:
        """Why no more children are generated; "" to go on."""
        return self.termination.before(state.next)

    @contextmanager
    def ended_when_interrupted(self) -> Iterator[None]:
        """Within, a first signal raises KeyboardInterrupt: no child is in flight, and what is waited
        for may take as long as machines do to come."""
        before = self.termination.when_interrupted(_end)
        yield
        self.termination.when_interrupted(before)

    @contextmanager
    def halted_when_interrupted(self, scoring: Scoring) -> Iterator[None]:
        """Within, a first signal lets `scoring` take no new work."""
        interrupted: Future[None] = Future()
        self.event_loop.start(scoring.halt(interrupted))

        def act() -> None:
            scoring.close()
            interrupted.set_result(None)

        self.termination.when_interrupted(act)
        yield
        self.termination.when_interrupted(lambda: None)

    def hear(self, model: str, message: str) -> None:
        """Announce what a language model says, in the session's own thread."""
        self.event_loop.call(partial(self.announce, "remark", model=model, message=message))

    def tell_start(self, data: str = "", remarks: Sequence[str] = ()) -> None:
        """Announce the run, what of it is there, and what its evaluation says of its data, where one is
        open."""
        generation = self.ledger.next_generation()
        self.announce(
            "run_started",
            folder=str(self.ledger.folder),
            resumed=generation > 0 or self.ledger.seed_is_scored,
            changes=self.differences,
            generation=generation,
            generations=self.config.generations,
            population=self.config.population,
            objectives=dict(self.directions),
            notations={name: asdict(one) for name, one in self.ledger.notations.items()},
            data=data,
            remarks=list(remarks),
        )

    def tell_instructions_left_out(self, models: str, room: Sequence[int]) -> None:
        """Announce it where prompts of some island have no room for the user's instructions."""
        needed, least = tokens(self.config.instructions), min(room)
        if needed > least:
            message = f"the instructions take {needed:,} tokens and prompts have {least:,}: they are left out"
            self.announce("remark", model=models, message=f"{message}; --context sets the room")

    def chance(self, probe: Probe) -> dict[str, float]:
        """What guesses reach, by objective, where the model has classes and that is known."""
        if len(probe.output_shape) != 2:
            return {}
        found = {
            name: blamed_objective(one, self.registry).chance(probe.output_shape[-1])
            for name, one in chosen_objectives(self.config, self.registry).items()
        }
        return {name: level for name, level in found.items() if level is not None and math.isfinite(level)}

    def finish(self, state: RunState, stopped: str) -> Result:
        """Record and announce why the run stopped; what it found."""
        result = result_of(state, self.ledger, stopped)
        self.ledger.set_stopped(stopped)
        self.announce(
            "run_finished",
            stopped_because=stopped,
            message=result.message,
            front=state.front_data,
            errors=state.front_errors,
            rejected=result.rejections,
        )
        return result

    def _state(self, seed: Individual) -> RunState:
        ties = Ties.around(seed, self.config.ties)
        return RunState(self.ledger, seed, self.directions, self.config.islands, ties)


def _end() -> None:
    raise KeyboardInterrupt
