"""The built-in evaluator: train each genome on a task and score its answers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from ge_engine.blocks import Genome
from ge_engine.config import RunConfig
from ge_engine.contracts import Evaluation, Evaluator, Objective, Task
from ge_engine.evaluate import open_training, task_name
from ge_engine.hookspecs import hookimpl
from ge_engine.registry import choose, load_registry


class TrainEvaluator:
    """Supervised training on the run's task, in isolated processes."""

    name = "train"

    @contextmanager
    def open(
        self,
        seed: Genome,
        config: RunConfig,
        objectives: Sequence[Objective],
        scratch: Path,
        tasks: Mapping[str, Task] | None = None,
    ) -> Iterator[Evaluation]:
        """Load the task's data and start the processes. Raises SeedError or ConfigError."""
        name, argument = task_name(config.task)
        task = choose(tasks if tasks is not None else load_registry().tasks, name, "task")
        with open_training(seed, config, objectives, scratch, task.load(argument, config)) as evaluation:
            yield evaluation


@hookimpl
def ge_evaluators() -> Iterable[Evaluator]:
    """Training on a task."""
    yield TrainEvaluator()
