"""The loop: breed, validate, evaluate, select; nothing else. Resume is: open the ledger and go on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from queue import SimpleQueue

from ge_engine.blaming import blamed_objective, blamed_tasks, blaming
from ge_engine.config import RunConfig
from ge_engine.contracts import Evaluation, ModuleProfile, Probe
from ge_engine.errors import ConfigError, SeedError
from ge_engine.events import Announcer, Observe
from ge_engine.genome import Genome, Seed
from ge_engine.grammar.thinking import thinking
from ge_engine.ledger import History, Ledger, Settled
from ge_engine.outcome import Outcome, Scored
from ge_engine.population import (
    SEED_ID,
    Direction,
    Individual,
    Population,
)
from ge_engine.registry import Registry, choose
from ge_engine.search.addresses import Addresses
from ge_engine.search.breeding import Shop
from ge_engine.search.chosen import objectives_of, require_names
from ge_engine.search.halving import stages_of
from ge_engine.search.models import opened_models
from ge_engine.search.opening import Opened, opened_run
from ge_engine.search.rescoring import OwnSettings, settled
from ge_engine.search.schedule import SCHEDULES, Standing, front_data
from ge_engine.search.scoring import Inbox, Scoring
from ge_engine.search.selection import Selection
from ge_engine.search.slots import Breeder
from ge_engine.search.stopping import Interrupts, Limits
from ge_engine.search.survey import Surveys
from ge_engine.store.foreign import confirmed
from ge_engine.store.rescored import rescored
from ge_engine.tracking import tracked
from ge_engine.validate import Ladder

PROFILES = 64
"""Parents whose profiles are held, so that each draw does not read them anew."""


@dataclass(frozen=True, slots=True)
class Result:
    """How a run stands. `tests` are outcomes on the test split by id; `rejections` count by stage.

    `message` is a sentence on what was found, or why nothing was.
    """

    seed: Individual
    population: Population
    front: tuple[Individual, ...]
    tests: Mapping[str, Outcome]
    rejections: Mapping[str, int]
    stopped_because: str
    message: str


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
        announce = Announcer(told, registry)
        yield _Session(opened.ledger.seed, config, registry, opened, announce, directions, limits)


class _Session:
    """One process's work on a run."""

    def __init__(
        self,
        seed: Seed,
        config: RunConfig,
        registry: Registry,
        opened: Opened,
        announce: Announcer,
        directions: Mapping[str, Direction],
        limits: Limits,
    ) -> None:
        self._config = config
        self._registry = registry
        self._ledger: Ledger = opened.ledger
        self._changes = opened.changes
        self._announce = announce
        self._directions = directions
        self._limits = limits
        self._inbox: Inbox = SimpleQueue()
        self._selection = Selection(config, registry, directions)
        self._seed = Individual(SEED_ID, 0, -1, (), (), seed.genome)
        self._standing: Standing

    def run(self) -> Result:
        config, registry = self._config, self._registry
        if self._nothing_left():
            self._announce_start()
            return self._finish(self._reason_at_start())
        genome = self._seed.genome
        assert genome is not None
        with self._opened_scoring() as (evaluation, scoring):
            self._announce_start()
            probe = self._begin(evaluation, scoring)
            chance = 1 / probe.output_shape[-1] if len(probe.output_shape) == 2 else 0.0
            self._announce("seed_scored", objectives=dict(self._seed.objectives), chance=chance)
            breeders = self._breeders(Addresses(genome, config, probe).of)
            checks = [choose(registry.checks, name, "check") for name in config.checks]
            ladder = Ladder(checks, probe, lambda name: self._blame("ge_checks", name), self._ledger.probe)
            self._limits.when_interrupted(lambda: self._inbox.put(scoring.halt))
            surveys = Surveys(getattr(evaluation, "sizes", None))
            stopped = self._evolve(breeders, ladder, scoring, surveys)
            self._limits.when_interrupted(lambda: None)
            if not self._limits.interrupted:
                self._test_finalists(scoring)
        return self._finish(stopped)

    def rescore(self, ended: str) -> Result:
        """Test and rescore the finalists of a run that ended for the reason `ended`."""
        with self._opened_scoring() as (evaluation, scoring):
            self._begin(evaluation, scoring)
            self._test_finalists(scoring)
        return self._finish(ended)

    def _begin(self, evaluation: Evaluation, scoring: Scoring) -> Probe:
        probe = self._admit_seed(evaluation, scoring)
        self._standing = Standing(self._ledger, self._seed, self._directions, self._config.islands)
        return probe

    @contextmanager
    def _opened_scoring(self) -> Iterator[tuple[Evaluation, Scoring]]:
        config, registry = self._config, self._registry
        evaluator = choose(registry.evaluators, config.evaluator, "evaluator")
        objectives = [blamed_objective(registry, name) for name in config.objective_names]
        assert self._seed.genome is not None
        scratch = self._ledger.folder / "scratch"
        scratch.mkdir(exist_ok=True)
        with ExitStack() as stack:
            with blaming(registry, "ge_evaluators", evaluator.name):
                opened = evaluator.open(
                    self._seed.genome, config, objectives, scratch, blamed_tasks(registry)
                )
                evaluation = stack.enter_context(opened)
            scoring = Scoring(
                evaluation,
                self._ledger,
                tuple(self._directions),
                config.random_seed,
                self._inbox,
                self._announce,
                stages_of(config),
            )
            yield evaluation, scoring

    def _blame(self, hook: str, name: str) -> str:
        return self._registry.blame(hook, name)

    # --- start --------------------------------------------------------------------------------

    def _nothing_left(self) -> bool:
        """Whether an earlier session did all of it, so that neither model nor worker is needed."""
        assert self._seed.genome is not None
        outcome = self._ledger.score(self._seed.genome.digest, "validation")
        if outcome is None:
            return False
        self._seed = replace(self._seed, outcome=outcome)
        self._standing = Standing(self._ledger, self._seed, self._directions, self._config.islands)
        if not self._reason_at_start():
            return False
        tested = self._ledger.test_outcomes()
        again = rescored(self._ledger)
        return all(
            one.id in tested and len(again.get(one.id, {})) >= self._config.rescore_seeds
            for one in (self._seed, *self._standing.front)
        )

    def _admit_seed(self, evaluation: Evaluation, scoring: Scoring) -> Probe:
        """Probe and score the seed before any prompt. Raises SeedError with its own error."""
        genome = self._seed.genome
        assert genome is not None
        probe = evaluation.probe(genome).result()
        if probe.error:
            raise SeedError(
                f"The seed does not run ({probe.stage}): {probe.error}", "Mend it; see also --entry."
            )
        self._ledger.settle([Settled(self._seed, probe.fingerprint, None)])
        self._ledger.add_probe(genome.digest, probe)
        scoring.score(SEED_ID, genome)
        scoring.drain()
        outcome = self._ledger.score(genome.digest, "validation")
        if not isinstance(outcome, Scored):
            reason = outcome.reason if outcome else "no score"
            trained = self._config.evaluator == "train"
            raise SeedError(
                f"The seed cannot be scored: {reason}",
                "Mend it, or change --timeout or the recipe."
                if trained
                else "Mend what scores it (--command or --evaluator), or change --timeout, --objectives or "
                "--constraints.",
            )
        self._seed = replace(self._seed, outcome=outcome)
        return probe

    def _announce_start(self) -> None:
        generation = self._ledger.next_generation()
        self._announce(
            "run_started",
            folder=str(self._ledger.folder),
            resumed=generation > 0 or self._ledger.seed_is_scored,
            changes=self._changes,
            generation=generation,
            generations=self._config.generations,
            population=self._config.population,
            objectives=dict(self._directions),
        )

    # --- generations --------------------------------------------------------------------------

    def _reason_at_start(self) -> str:
        next_one = self._standing.next
        done = self._ledger.slots_before(next_one) // self._config.population
        steady = self._config.schedule == "steady"
        return self._limits.before(done if steady else next_one, next_one)

    def _breeders(self, addresses: Callable[[Genome], tuple[str, ...]]) -> list[Breeder]:
        """One for each island: they differ in their personas."""
        config, registry = self._config, self._registry
        operators = [choose(registry.operators, name, "operator") for name in config.operators]
        profile = lru_cache(maxsize=PROFILES)(self._profile)
        return [
            Breeder(
                config=config,
                seed=self._seed,
                operators=operators,
                personas=[
                    choose(registry.personas, name, "persona") for name in config.on_island(number).personas
                ],
                grammars=thinking(registry.grammars, config.think),
                directions=self._directions,
                addresses=addresses,
                blame=self._blame,
                profile=profile,
            )
            for number in range(config.islands)
        ]

    def _profile(self, genome: Genome) -> tuple[ModuleProfile, ...]:
        probe = self._ledger.probe(genome.digest)
        return probe.modules if probe else ()

    def _evolve(self, breeders: Sequence[Breeder], ladder: Ladder, scoring: Scoring, surveys: Surveys) -> str:
        """Breed generations until something says stop; the reason, told when work in flight has ended."""
        if reason := self._reason_at_start():
            return reason
        with opened_models(self._config, self._registry) as models:
            shop = Shop(
                self._ledger,
                breeders,
                ladder,
                scoring,
                models,
                surveys,
                self._inbox,
                self._announce,
                self._limits,
            )
            schedule = SCHEDULES[self._config.schedule](
                self._config, self._ledger, self._standing, self._seed, self._selection, self._limits, shop
            )
            reason = schedule.run()
            self._announce("stopping", reason=reason)
            scoring.close()
            scoring.drain()
        return reason

    # --- end ------------------------------------------------------------------------------------

    def _test_finalists(self, scoring: Scoring) -> None:
        """Train the front and the seed once more and score them on the test split."""
        finalists = [self._seed, *(one for one in self._standing.front if one.id != SEED_ID)]
        self._announce("finalists", ids=[one.id for one in finalists])
        scoring.reopen()
        for one in finalists:
            assert one.genome is not None
            scoring.score(one.id, one.genome, "test")
        scoring.drain()
        for one in finalists:
            assert one.genome is not None
            scoring.rescore(one.id, one.genome, self._config.rescore_seeds)
        scoring.drain()

    def _finish(self, stopped: str) -> Result:
        rejections = self._ledger.rejections()
        message = _message(self._standing.front, rejections)
        self._ledger.set_stopped(stopped)
        self._announce(
            "run_finished",
            stopped_because=stopped,
            message=message,
            front=front_data(self._standing.front),
            rejected=rejections,
        )
        return Result(
            seed=self._seed,
            population=Population(self._standing.population),
            front=tuple(self._standing.front),
            tests=self._ledger.test_outcomes(),
            rejections=rejections,
            stopped_because=stopped,
            message=message,
        )


def _message(front: Sequence[Individual], rejections: Mapping[str, int]) -> str:
    found = [one.id for one in front if one.id != SEED_ID]
    if found:
        return (
            f"{len(found)} on the Pareto front besides the seed."
            if len(front) > len(found)
            else (f"{len(found)} on the Pareto front; the seed is dominated.")
        )
    if not rejections:
        return "No child was better than the seed in any objective."
    reasons = ", ".join(f"{count} by {stage}" for stage, count in rejections.items())
    return f"Nothing better than the seed was found. Rejected before training: {reasons}."
