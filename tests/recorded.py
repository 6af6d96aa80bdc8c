"""An evaluator that gives what another run's database holds: `--plugin recorded --evaluator recorded`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from ge_engine.config import RunConfig
from ge_engine.contracts import Evaluation, Evaluator, Job, Objective, Probe, Task
from ge_engine.genome import Genome
from ge_engine.hookspecs import hookimpl
from ge_engine.ledger import History
from ge_engine.ledger.score_key import TEST, VALIDATION
from ge_engine.outcome import Failed, Outcome, Scored

UNKNOWN = Probe(stage="build", error="the run database holds no probe of this genome")


class Recorded(Evaluation):
    """Probes and scores of the run in a folder. What it does not hold fails."""

    def __init__(self, history: History) -> None:
        self._history = history

    def probe(self, genome: Genome) -> Future[Probe]:
        found: Future[Probe] = Future()
        found.set_result(self._history.probe(genome.digest) or UNKNOWN)
        return found

    def submit(self, job: Job) -> Future[Outcome]:
        found: Future[Outcome] = Future()
        test = self._history.score(job.genome.digest, TEST)
        outcome = test if job.split == "test" else self._history.score(job.genome.digest, VALIDATION)
        if job.split == "both" and isinstance(outcome, Scored) and isinstance(test, Scored):
            outcome = replace(outcome, details={**outcome.details, "test": test})
        found.set_result(outcome or Failed("train", "error", "the run database holds no such score"))
        return found


class RecordedEvaluator(Evaluator):
    """`argument` is the folder of the run."""

    name = "recorded"

    @contextmanager
    def open(
        self,
        seed: Genome,
        config: RunConfig,
        objectives: Sequence[Objective],
        scratch: Path,
        tasks: Mapping[str, Task] | None = None,
    ) -> Iterator[Evaluation]:
        with History(Path(config.evaluator_argument)) as history:
            yield Recorded(history)


@hookimpl
def ge_evaluators() -> list[Evaluator]:
    return [RecordedEvaluator()]
