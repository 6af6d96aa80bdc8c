"""`python -m benchmarks.from_scratch RUN`: train from scratch who stood on a run's front by inherited scores.

As the run itself would without `--inherit`: the same random seed, images and epochs. What is trained is not
trained again. Ends with 1 where a training failed for no fault of the candidate.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from concurrent.futures import as_completed
from dataclasses import replace
from pathlib import Path

from benchmarks.course import left_of, scratch
from ge_engine.contracts import Job
from ge_engine.ledger import History
from ge_engine.outcome import Failed, Outcome, Scored
from ge_engine.pareto import losses
from ge_engine.population import Direction
from ge_engine.registry import Registry, load_registry


def train_left(run: Path, registry: Registry) -> bool:
    """Whether all are trained now."""
    left = left_of(run)
    with History(run) as history:
        seed, directions = history.seed.genome, history.directions
        config = replace(history.config, inherit=False, screen=1, keep_weights="none")
    folder = run.with_name(f"{run.name}.scratch")
    folder.mkdir(parents=True, exist_ok=True)
    objectives = [registry.objectives[name] for name in config.objective_names]
    evaluator = registry.evaluators[config.evaluator]
    with evaluator.open(seed, config, objectives, folder, registry.tasks) as evaluation:
        jobs = {evaluation.submit(Job(one.id, one.genome, config.random_seed)): one.id for one in left}
        ended = [_taken(run, jobs[future], future.result(), directions) for future in as_completed(jobs)]
    return all(ended)


def _taken(run: Path, name: str, outcome: Outcome, directions: dict[str, Direction]) -> bool:
    """Record what came of a training; whether that can be said."""
    if isinstance(outcome, Scored):
        scratch(run).add([{"id": name, "point": losses(outcome.objectives, directions)}])
        return True
    print(f"failed from scratch: {name} of {run.name}: {outcome.reason}", flush=True)
    if isinstance(outcome, Failed) and outcome.fault != "candidate":
        return False
    scratch(run).add([{"id": name, "point": None}])
    return True


def main(arguments: Sequence[str] | None = None) -> int:
    (run,) = sys.argv[1:] if arguments is None else arguments
    return 0 if train_left(Path(run), load_registry()) else 1


if __name__ == "__main__":
    sys.exit(main())
