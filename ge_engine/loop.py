"""The loop: breed, validate, evaluate, select; nothing else. Resume is: open the ledger and go on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from ge_engine.config import RunConfig
from ge_engine.contracts import Evaluation, Probe
from ge_engine.errors import ConfigError
from ge_engine.events import Announcer, Observe
from ge_engine.genome import Seed
from ge_engine.ledger import History
from ge_engine.population import SEED_ID, Direction, Individual
from ge_engine.registry import Registry
from ge_engine.search.addresses import Addresses
from ge_engine.search.event_loop import EventLoop
from ge_engine.search.finalists import Result, all_tested, finalists, result_of, test_finalists
from ge_engine.search.halving import stages_of
from ge_engine.search.models import opened_models
from ge_engine.search.rescoring import OwnSettings, settled
from ge_engine.search.resolution import objectives_of, require_names
from ge_engine.search.run_folder import OpenedRun, opened_run
from ge_engine.search.run_state import RunState
from ge_engine.search.schedule import SCHEDULES, front_data
from ge_engine.search.scoring import Scoring
from ge_engine.search.seed_admission import admitted_seed
from ge_engine.search.selection import Selection
from ge_engine.search.services import RunServices, checks_of, opened_evaluation, variations_of
from ge_engine.search.survey import Surveys
from ge_engine.search.termination import Interrupts, Limits
from ge_engine.store.foreign import confirmed
from ge_engine.tracking import tracked

__all__ = ["Result", "rescore", "run"]


def run(
    seed: Seed,
    config: RunConfig,
    registry: Registry,
    folder: Path,
    observe: Observe,
    *,
    allow_changes: bool = False,
) -> Result:
    """Evolve `seed` in `folder`, or go on with the run that is there; one whose seed was refused begins anew.

    Raises:
        LedgerError: the run is locked, damaged or of another seed, or the disk is full.
        ConfigError: a name that no plugin registers, or other settings than the run's; or other versions or
            checks, by which its results could change, without `allow_changes`.
        SeedError: the seed does not build, run or train, or no block may be rewritten.
        ModelError: the language model cannot be opened or reached.
        PluginError: a selector failed.
    """
    with _session(seed, config, registry, folder, observe, allow_changes) as session:
        return session.run()


def rescore(
    folder: Path,
    seeds: int,
    registry: Registry,
    observe: Observe,
    own: OwnSettings | None = None,
    *,
    allow_changes: bool = False,
) -> Result:
    """Train the finalists of a run that has ended with `seeds` further seeds, those left out that it holds.

    Raises:
        ConfigError: the run goes on, or was cut off, or another evaluator than `own` scores it; or other
            versions than made it, without `allow_changes`.
        LedgerError, SeedError, PluginError: as `run`.
    """
    with History(folder) as history:
        seed, stored, ended = confirmed(history.seed), history.config, history.stopped_because
    if not ended:
        raise ConfigError(f"The run {folder} has not ended.", "Go on with it by `ge evolve`.")
    config = settled(folder, stored, own or OwnSettings(), seeds)
    with _session(seed, config, registry, folder, observe, allow_changes) as session:
        return session.rescore(ended)


@contextmanager
def _session(
    seed: Seed, config: RunConfig, registry: Registry, folder: Path, observe: Observe, allow_changes: bool
) -> Iterator[_Session]:
    require_names(config, registry)
    directions = objectives_of(config, registry)
    with (
        tracked(config.trackers, folder, observe) as told,
        opened_run(folder, seed, config, registry, directions, allow_changes) as opened,
        Interrupts() as interrupts,
    ):
        limits = Limits(config, directions, opened.ledger, interrupts)
        yield _Session(config, registry, opened, Announcer(told, registry), directions, limits)


@dataclass(frozen=True)
class _Session:
    """One process's work on a run."""

    config: RunConfig
    registry: Registry
    opened: OpenedRun
    announce: Announcer
    directions: Mapping[str, Direction]
    limits: Limits
    event_loop: EventLoop = field(default_factory=EventLoop)

    def run(self) -> Result:
        """Admit the seed, evolve, test the finalists."""
        if done := self._nothing_left():
            self._announce_start()
            return self._finish(*done)
        with self._scoring() as (evaluation, scoring):
            self._announce_start()
            state, probe = self._begin(evaluation, scoring)
            chance = 1 / probe.output_shape[-1] if len(probe.output_shape) == 2 else 0.0
            self.announce("seed_scored", objectives=dict(state.seed.objectives), chance=chance)
            stopped = self._evolve(state, probe, evaluation, scoring)
            if not self.limits.interrupted:
                self._test_finalists(state, scoring)
        return self._finish(state, stopped)

    def rescore(self, ended: str) -> Result:
        """Test and rescore the finalists of a run that ended for the reason `ended`."""
        with self._scoring() as (evaluation, scoring):
            state, _ = self._begin(evaluation, scoring)
            self._test_finalists(state, scoring)
        return self._finish(state, ended)

    def _nothing_left(self) -> tuple[RunState, str] | None:
        """How the run ended when an earlier session did all of it: neither model nor worker is needed."""
        genome, ledger = self.opened.ledger.seed.genome, self.opened.ledger
        outcome = ledger.score(genome.digest, "validation")
        if outcome is None:
            return None
        state = self._state(Individual(SEED_ID, 0, -1, (), (), genome, outcome))
        reason = self._reason_to_stop(state)
        return (state, reason) if reason and all_tested(state, ledger, self.config.rescore_seeds) else None

    @contextmanager
    def _scoring(self) -> Iterator[tuple[Evaluation, Scoring]]:
        ledger, config = self.opened.ledger, self.config
        with opened_evaluation(ledger.seed.genome, config, self.registry, ledger) as evaluation:
            yield (
                evaluation,
                Scoring(
                    evaluation,
                    ledger,
                    tuple(self.directions),
                    config.random_seed,
                    self.event_loop,
                    self.announce,
                    stages_of(config),
                ),
            )

    def _begin(self, evaluation: Evaluation, scoring: Scoring) -> tuple[RunState, Probe]:
        ledger = self.opened.ledger
        seed, probe = admitted_seed(ledger.seed.genome, self.config, ledger, evaluation, scoring)
        return self._state(seed), probe

    def _state(self, seed: Individual) -> RunState:
        return RunState(self.opened.ledger, seed, self.directions, self.config.islands)

    def _reason_to_stop(self, state: RunState) -> str:
        done = self.opened.ledger.slots_before(state.next) // self.config.population
        return self.limits.before(done if self.config.schedule == "steady" else state.next, state.next)

    def _evolve(self, state: RunState, probe: Probe, evaluation: Evaluation, scoring: Scoring) -> str:
        """Breed generations until something says stop; the reason, told when work in flight has ended."""
        config, registry, ledger, seed = self.config, self.registry, self.opened.ledger, state.seed
        addresses = Addresses(ledger.seed.genome, config, probe).of
        variations = variations_of(config, registry, ledger, seed, self.directions, addresses)
        checks = checks_of(config, registry, ledger, probe)
        surveys = Surveys(getattr(evaluation, "sizes", None))
        with self._halted_when_interrupted(scoring):
            if reason := self._reason_to_stop(state):
                return reason
            with opened_models(config, registry) as models:
                services = RunServices(
                    ledger,
                    variations,
                    checks,
                    scoring,
                    models,
                    surveys,
                    self.event_loop,
                    self.announce,
                    self.limits,
                )
                selection = Selection(config, registry, self.directions)
                reason = SCHEDULES[config.schedule](config, state, selection, services).run()
                self.announce("stopping", reason=reason)
                scoring.close()
                scoring.drain()
        return reason

    @contextmanager
    def _halted_when_interrupted(self, scoring: Scoring) -> Iterator[None]:
        interrupted: Future[None] = Future()
        self.event_loop.start(scoring.halt(interrupted))
        self.limits.when_interrupted(lambda: interrupted.set_result(None))
        yield
        self.limits.when_interrupted(lambda: None)

    def _test_finalists(self, state: RunState, scoring: Scoring) -> None:
        """Train the front and the seed once more and score them on the test split."""
        self.announce("finalists", ids=[one.id for one in finalists(state)])
        test_finalists(state, scoring, self.config.rescore_seeds)

    def _announce_start(self) -> None:
        ledger, config = self.opened.ledger, self.config
        generation = ledger.next_generation()
        self.announce(
            "run_started",
            folder=str(ledger.folder),
            resumed=generation > 0 or ledger.seed_is_scored,
            changes=self.opened.changes,
            generation=generation,
            generations=config.generations,
            population=config.population,
            objectives=dict(self.directions),
        )

    def _finish(self, state: RunState, stopped: str) -> Result:
        result = result_of(state, self.opened.ledger, stopped)
        self.opened.ledger.set_stopped(stopped)
        self.announce(
            "run_finished",
            stopped_because=stopped,
            message=result.message,
            front=front_data(state.front),
            rejected=result.rejections,
        )
        return result
