"""Training on a run's task: its data loaded, and given in the channels that the seed model takes."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

from ge_engine.config import RunConfig
from ge_engine.contracts import AgentExecutor, Dataset, Objective, Task
from ge_engine.evaluation.data.channels import in_channels, is_grey
from ge_engine.evaluation.fork_server.ahead import started_ahead
from ge_engine.evaluation.seed_check import ChannelsError
from ge_engine.evaluation.setup import machine_of, task_name
from ge_engine.evaluation.train_evaluation import TrainEvaluation, open_training
from ge_engine.genome import Genome
from ge_engine.registry import choose


@contextmanager
def open_task_training(
    seed: Genome,
    config: RunConfig,
    objectives: Sequence[Objective],
    scratch: Path,
    tasks: Mapping[str, Task],
    prepared: Callable[[Dataset], Dataset] = lambda data: data,
    private: Sequence[Path] = (),
    executor: AgentExecutor | None = None,
) -> Iterator[TrainEvaluation]:
    """An evaluation of genomes of `seed` on the data of the task, `prepared`. A seed model that takes another
    number of channels than grey images have gets them so, where no number is asked for. No candidate reads
    what is `private`. It trains where `executor` says, on this machine without one.

    Raises:
        SeedError: the seed model does not build, run or train, or does not open one of its files of values.
        ConfigError: no such task, or one that cannot be used with this recipe.
    """
    name, argument = task_name(config.task)
    task = choose(tasks, name, "task")
    if executor:
        data = prepared(task.load(argument, config))
        with open_agent_training(seed, config, objectives, scratch, data, executor, private) as evaluation:
            yield evaluation
        return
    with ExitStack() as opened:
        opened.enter_context(started_ahead(machine_of(seed, config, scratch, private)))
        data = prepared(task.load(argument, config))

        def training(images: Dataset) -> TrainEvaluation:
            return opened.enter_context(
                open_training(seed, config, objectives, scratch, images, private=private)
            )

        try:
            evaluation = training(data)
        except ChannelsError as error:
            evaluation = training(_in_wanted(data, config, error))
        yield evaluation


@contextmanager
def open_agent_training(
    seed: Genome,
    config: RunConfig,
    objectives: Sequence[Objective],
    scratch: Path,
    data: Dataset,
    executor: AgentExecutor,
    private: Sequence[Path],
) -> Iterator[TrainEvaluation]:
    """As `open_task_training`, on agents. The channels of grey images are found out on this machine: agents
    are called for one session. This machine needs no more devices than a probe takes. Raises as that."""
    here = replace(config, gpus_per_candidate=1, processes_per_candidate=1)
    if is_grey(data) and not config.recipe.channels:
        try:
            with open_training(seed, here, objectives, scratch, data, private=private):
                pass
        except ChannelsError as error:
            data = _in_wanted(data, config, error)
    from ge_engine.evaluation.nodes.opening import jobs_on  # what most runs do without

    jobs = jobs_on(executor, seed, config, scratch, private)
    with open_training(seed, here, objectives, scratch, data, jobs, private) as evaluation:
        yield evaluation


def _in_wanted(data: Dataset, config: RunConfig, error: ChannelsError) -> Dataset:
    """Grey images in the channels that the seed model takes, where no number was asked for. Raises `error`
    where they cannot be given so."""
    if config.recipe.channels or error.wanted not in (1, 3) or not is_grey(data):
        raise error
    _tell_channels(error.wanted)
    return in_channels(data, error.wanted)


def _tell_channels(channels: int) -> None:
    counted = "1 channel" if channels == 1 else f"{channels} channels"
    print(f"The images are grey and are given with {counted}, as the seed model takes them.", file=sys.stderr)
