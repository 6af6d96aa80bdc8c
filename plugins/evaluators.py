"""The built-in evaluators: train on a task, call a function of yours, run a program of yours."""

from __future__ import annotations

import os
import re
import shlex
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from ge_engine.config import RunConfig
from ge_engine.contracts import AgentExecutor, Evaluation, Evaluator, Executor, Objective, Task
from ge_engine.errors import ConfigError
from ge_engine.evaluation.command import open_command, program_places
from ge_engine.evaluation.own_function import open_function
from ge_engine.evaluation.task_training import open_task_training
from ge_engine.genome import Genome
from ge_engine.hookspecs import hookimpl
from ge_engine.registry import load_registry


class TrainEvaluator(Evaluator):
    """Supervised training on the run's task, in isolated processes."""

    name = "train"
    takes_epochs = True
    inherits = True
    screens = True
    takes_task = True
    advice = "Fix it, or change --timeout or the training settings."

    def __init__(self, executor: AgentExecutor | None = None) -> None:
        self._executor = executor

    def on(self, executor: Executor) -> Evaluator:
        return TrainEvaluator(executor) if isinstance(executor, AgentExecutor) else self

    def described(self, argument: str) -> tuple[str, str]:  # noqa: ARG002
        return "training", "Leave --command and --evaluator out."

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
        known = tasks if tasks is not None else load_registry().tasks
        with open_task_training(
            seed, config, objectives, scratch, known, executor=self._executor
        ) as evaluation:
            yield evaluation


class CommandEvaluator(Evaluator):
    """Any program, `evaluator_argument`: "python train.py --model {path}", or any words in a `project`."""

    name = "command"
    takes_epochs = True

    def described(self, argument: str) -> tuple[str, str]:
        return (
            f"the program {argument!r}",
            "If you know it, give it yourself: --command with the same words.",
        )

    @contextmanager
    def open(
        self,
        seed: Genome,
        config: RunConfig,
        objectives: Sequence[Objective],
        scratch: Path,
        tasks: Mapping[str, Task] | None = None,  # noqa: ARG002
    ) -> Iterator[Evaluation]:
        """Raises ConfigError on a command without {path}, one that cannot be split into words, or one whose
        program is not there."""
        try:
            words = shlex.split(config.evaluator_argument)
        except ValueError as error:
            raise ConfigError(
                f"The command {config.evaluator_argument!r} cannot be read: {error}."
            ) from error
        if not words or not (config.project or any("{path}" in word for word in words)):
            raise ConfigError(
                f"The command {config.evaluator_argument!r} does not say where the model's file goes.",
                'Write {path} there: --command "python train.py --model {path}". For a program that imports '
                "it from its own repository, give that: --project DIR.",
            )
        where = os.path.join(config.project, words[0]) if os.sep in words[0] else words[0]
        if not words[0].startswith("{") and shutil.which(where, path=program_places()) is None:
            raise ConfigError(
                f"There is no program {words[0]!r}.", "Check its spelling, or give its path; see --command."
            )
        if config.in_stages and not any("{epochs}" in word for word in words):
            raise ConfigError(
                f"The command {config.evaluator_argument!r} takes no epochs and cannot train in stages.",
                "Write {epochs} where it takes them, or leave --halving and --budget-rule out.",
            )
        _refuse_slowdown(config)
        names = [objective.name for objective in objectives]
        with open_command(seed, config, words, names, scratch) as evaluation:
            yield evaluation


class FunctionEvaluator(Evaluator):
    """A Python function, `evaluator_argument` as FILE.py:FUNCTION or MODULE:FUNCTION; see
    `ge_engine.evaluation.function`."""

    name = "function"
    takes_epochs = True

    def described(self, argument: str) -> tuple[str, str]:
        return (
            f"the function {argument!r}",
            f"If you know it, give it yourself: --evaluator {shlex.quote(argument)}",
        )

    @contextmanager
    def open(
        self,
        seed: Genome,
        config: RunConfig,
        objectives: Sequence[Objective],
        scratch: Path,
        tasks: Mapping[str, Task] | None = None,  # noqa: ARG002
    ) -> Iterator[Evaluation]:
        """Raises ConfigError on anything but a function of a file that is there or of a module."""
        target = _found(config.evaluator_argument)
        _refuse_slowdown(config)
        names = [objective.name for objective in objectives]
        with open_function(seed, config, target, names, scratch) as evaluation:
            yield evaluation


def _found(target: str) -> str:
    """The function with its file's whole path: the program may run in another folder."""
    place, _, name = target.rpartition(":")
    if not name.isidentifier() or not (place.endswith(".py") or re.fullmatch(r"[\w.]+", place)):
        raise ConfigError(
            f"{target!r} is not of the form FILE.py:FUNCTION or MODULE:FUNCTION.",
            "For example: train.py:score.",
        )
    if not place.endswith(".py"):
        return target
    if not Path(place).is_file():
        raise ConfigError(f"There is no file {place!r} with the function {name!r}.", "Check its path.")
    return f"{Path(place).absolute()}:{name}"


def _refuse_slowdown(config: RunConfig) -> None:
    if config.max_slowdown:
        raise ConfigError(
            f"The evaluator {config.evaluator!r} does not time training steps, which max_slowdown needs.",
            "Leave --max-slowdown out; --timeout bounds the whole of it.",
        )


@hookimpl
def ge_evaluators() -> Iterable[Evaluator]:
    """Training on a task, and other jobs."""
    yield TrainEvaluator()
    yield CommandEvaluator()
    yield FunctionEvaluator()
