"""What every evaluator promises: an outcome for every genome, finite scores, no harm from a bad one."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import pytest

from ge_engine.config import RunConfig, config_from_dict
from ge_engine.contracts import Evaluation, Evaluator, Job, Objective, Probe
from ge_engine.errors import SeedError
from ge_engine.genome import Genome, Seed
from ge_engine.outcome import PROXIES, Failed, Outcome, Scored
from ge_engine.registry import load_registry
from ge_engine.testing.material import PLAIN, changed
from ge_engine.testing.watching import assert_is_a_name

T = TypeVar("T")
DEADLINE = 120.0
BROKEN_EDIT = ("self.head(self.body(x).mean(dim=(2, 3)))", "self.head(self.body(x))")
GOOD_EDIT = ("nn.ReLU()", "nn.SiLU()")


class EvaluatorContract:
    """Override `evaluator` with a fixture of scope "class" on a classmethod: one evaluation serves all tests.

    Override `settings`, `source` and `broken` where your evaluator does not train a network on digits.
    """

    source: bytes = PLAIN
    settings: dict[str, Any] = {  # noqa: RUF012 (overridden as a whole)
        "workers": 2,
        "timeout": 60.0,
        "objectives": ("accuracy", "parameters"),
        "training": {"epochs": 1, "train_limit": 128},
    }

    @pytest.fixture(scope="class")
    @classmethod
    def evaluator(cls) -> Evaluator:
        raise NotImplementedError("give the fixture `evaluator`, with scope='class'")

    @pytest.fixture(scope="class")
    @classmethod
    def config(cls) -> RunConfig:
        return config_from_dict(cls.settings)

    @pytest.fixture(scope="class")
    @classmethod
    def objectives(cls, config: RunConfig) -> list[Objective]:
        known = load_registry().objectives
        return [known[name] for name in config.objectives]

    @pytest.fixture(scope="class")
    @classmethod
    def evaluation(
        cls,
        evaluator: Evaluator,
        config: RunConfig,
        objectives: list[Objective],
        tmp_path_factory: pytest.TempPathFactory,
    ) -> Iterator[Evaluation]:
        seed = Seed.from_bytes(cls.source, Path("seed.py")).genome
        with evaluator.open(seed, config, objectives, tmp_path_factory.mktemp("scratch")) as opened:
            yield opened

    def seed(self) -> Genome:
        return Seed.from_bytes(self.source, Path("seed.py")).genome

    def good(self) -> Genome:
        """A child of the seed model that works."""
        return changed(self.seed(), *GOOD_EDIT)[0]

    def broken(self) -> Genome:
        """A child of the seed model that fails when it is run."""
        return changed(self.seed(), *BROKEN_EDIT)[0]

    def scored(self, evaluation: Evaluation, genome: Genome, key: str = "g0s0", **job: Any) -> Outcome:
        return done(evaluation.submit(Job(key, genome, 0, **job)))

    def test_it_has_a_name(self, evaluator: Evaluator) -> None:
        assert_is_a_name(evaluator.name)

    def test_the_seed_passes_its_probe(self, evaluation: Evaluation) -> None:
        seen = done(evaluation.probe(self.seed()))
        assert isinstance(seen, Probe)
        assert (seen.stage, seen.error) == ("", "")
        assert seen.finite
        assert seen.executed <= set(self.seed().blocks), "it saw blocks run that the seed model does not have"

    def test_a_probe_says_the_same_each_time(self, evaluation: Evaluation) -> None:
        one, other = (done(evaluation.probe(self.seed())) for _ in range(2))
        assert one.fingerprint == other.fingerprint
        assert one.output_shape == other.output_shape

    def test_another_function_has_another_fingerprint(self, evaluation: Evaluation) -> None:
        seed, child = done(evaluation.probe(self.seed())), done(evaluation.probe(self.good()))
        assert not seed.fingerprint or seed.fingerprint != child.fingerprint

    def test_a_genome_that_works_is_scored_in_every_objective(
        self, evaluation: Evaluation, config: RunConfig
    ) -> None:
        outcome = self.scored(evaluation, self.good())
        assert isinstance(outcome, Scored), outcome
        assert set(config.objectives) <= set(outcome.objectives)
        assert all(math.isfinite(value) for value in outcome.objectives.values())
        assert all(0 <= error < math.inf for error in outcome.errors.values())

    def test_the_test_split_is_scored_too(self, evaluation: Evaluation, config: RunConfig) -> None:
        outcome = self.scored(evaluation, self.good(), split="test")
        assert isinstance(outcome, Scored), outcome
        assert set(config.objectives) <= set(outcome.objectives)

    def test_a_broken_genome_is_stopped_by_the_probe_or_fails(self, evaluation: Evaluation) -> None:
        probe = done(evaluation.probe(self.broken()))
        outcome = self.scored(evaluation, self.broken())
        assert probe.stage or isinstance(outcome, Failed)
        assert not isinstance(outcome, Scored)
        if isinstance(outcome, Failed):
            assert outcome.fault == "candidate"
            assert outcome.reason.strip()

    def test_a_broken_genome_harms_no_other(self, evaluation: Evaluation) -> None:
        self.scored(evaluation, self.broken())
        assert isinstance(self.scored(evaluation, self.good()), Scored)

    def test_the_figures_that_it_screens_by_are_there_and_the_same_each_time(
        self, evaluator: Evaluator, config: RunConfig, objectives: list[Objective], tmp_path: Path
    ) -> None:
        if not evaluator.screens:
            return
        told = []
        for name in ("one", "other"):
            screening = dataclasses.replace(config, screen=2)
            with evaluator.open(self.seed(), screening, objectives, tmp_path / name) as opened:
                facts = done(opened.probe(self.seed())).facts
            told.append({name: facts[name] for name in PROXIES if name in facts})
        assert told[0], f"it says `screens`, and its probe tells none of {', '.join(PROXIES)}"
        assert all(math.isfinite(figure) for figure in told[0].values())
        assert told[0] == pytest.approx(told[1])

    def test_several_at_once_end_each_with_their_own_outcome(self, evaluation: Evaluation) -> None:
        genomes = [self.good(), self.broken(), self.seed(), self.good()]
        jobs = [Job(f"g0s{n}", genome, 0) for n, genome in enumerate(genomes)]
        outcomes = [done(future) for future in [evaluation.submit(job) for job in jobs]]
        assert [isinstance(outcome, Scored) for outcome in outcomes] == [True, False, True, True]

    def test_submitting_does_not_wait_for_the_outcome(self, evaluation: Evaluation) -> None:
        future = evaluation.submit(Job("g0s0", self.good(), 0))
        assert isinstance(future, Future)
        done(future)

    def test_it_leaves_the_genome_as_it_is(self, evaluation: Evaluation) -> None:
        genome = self.good()
        before = genome.source
        self.scored(evaluation, genome)
        assert genome.source == before

    def test_a_seed_that_does_not_run_is_refused_or_fails(
        self, evaluator: Evaluator, config: RunConfig, objectives: list[Objective], tmp_path: Path
    ) -> None:
        outcome: Outcome | None = None
        with suppress(SeedError), evaluator.open(self.broken(), config, objectives, tmp_path) as evaluation:
            outcome = self.scored(evaluation, self.broken(), "seed")
        assert outcome is None or isinstance(outcome, Failed)


def done(future: Future[T]) -> T:
    """The future's value. Fails after two minutes: no candidate may hold a run."""
    return future.result(timeout=DEADLINE)
