"""What a candidate costs on an agent of an executor beyond what it costs here.

    python -m benchmarks.bench_executors [--jobs N] [EXECUTOR ...]

Each EXECUTOR ("nodes:127.0.0.1" without any; "slurm:agents=1", "ray:auto") is opened with one training at
once, beside "local". Then trainings of one step are submitted one at a time, in turn to each, so that other
work on the machine falls on all alike. Told are the medians of a training, from when it is submitted until
its score is read, and of the difference to the one that was done here in the same turn. Of `nodes` the script
starts the agent. SLURM and Ray have to be there:

    .ci/slurm 900 .venv/bin/python -m benchmarks.bench_executors slurm:agents=1

Leaves with 1 where the median difference is more than 50 ms over SLURM, or more than 20 ms over Ray.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from ge_engine.config import config_from_dict
from ge_engine.contracts import Evaluation, Job
from ge_engine.evaluation.nodes.opening import ADDRESS, agent_command
from ge_engine.genome import Seed
from ge_engine.outcome import Scored
from ge_engine.registry import load_registry
from ge_engine.testing.material import PLAIN

SETTINGS = {"workers": 1, "timeout": 600.0, "training": {"epochs": 1, "train_limit": 32, "batch_size": 32}}
MOST = {"slurm": 0.050, "ray": 0.020}
"""Seconds by executor."""
WARM = 3
"""Trainings that are not counted: the first on a machine imports and reads what the others find."""


@contextmanager
def opened(spec: str, folder: Path) -> Iterator[Evaluation]:
    """A training whose jobs run where `spec` says; of `nodes` with an agent."""
    registry = load_registry()
    name, _, argument = spec.partition(":")
    executor = registry.executors[name]
    executor.check(argument)
    config = config_from_dict({**SETTINGS, "executor": spec})
    objectives = [registry.objectives[name] for name in config.objectives]
    training = registry.evaluators["train"].on(executor)
    with ExitStack() as stack:
        if name == "nodes":
            stack.enter_context(agent(folder / ADDRESS))
        seed = Seed.from_bytes(PLAIN).genome
        yield stack.enter_context(training.open(seed, config, objectives, folder, registry.tasks))


@contextmanager
def agent(file: Path) -> Iterator[None]:
    """An agent that begins when `file` is there, as somebody would who starts it by hand."""
    waiting = 'while [ ! -e "$0" ]; do sleep 0.1; done; exec "$@"'
    process = subprocess.Popen(["sh", "-c", waiting, str(file), *agent_command(file)])
    try:
        yield
    finally:
        process.terminate()
        process.wait()


def seconds_of(evaluation: Evaluation, number: int) -> float:
    """From when a training is submitted until its score is read."""
    began = time.monotonic()
    outcome = evaluation.submit(Job(str(number), Seed.from_bytes(PLAIN).genome, number)).result()
    if not isinstance(outcome, Scored):
        sys.exit(f"a training failed: {outcome}")
    return time.monotonic() - began


def measured(specs: Sequence[str], jobs: int) -> dict[str, list[float]]:
    """The seconds of each training by executor, in the same order."""
    found: dict[str, list[float]] = {spec: [] for spec in specs}
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as place, ExitStack() as stack:
        evaluations = {}
        for number, spec in enumerate(specs):
            folder = Path(place) / str(number)
            folder.mkdir()
            evaluations[spec] = stack.enter_context(opened(spec, folder))
        for number in range(WARM + jobs):
            for spec, evaluation in evaluations.items():
                found[spec].append(seconds_of(evaluation, number))
    return {spec: times[WARM:] for spec, times in found.items()}


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("executors", nargs="*", default=["nodes:127.0.0.1"], metavar="EXECUTOR")
    parser.add_argument("--jobs", type=int, default=50, metavar="N")
    given = parser.parse_args(arguments)
    found = measured(["local", *given.executors], given.jobs)
    print(f"{given.jobs} trainings of one step each; load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    print(f"{'executor':30s} {'median':>9s} {'more than here':>15s}")
    over = 0
    for spec, times in found.items():
        more = statistics.median(one - here for one, here in zip(times, found["local"], strict=True))
        print(f"{spec:30s} {statistics.median(times) * 1000:6.0f} ms {more * 1000:12.1f} ms")
        over += more > MOST.get(spec.partition(":")[0], float("inf"))
    return 1 if over else 0


if __name__ == "__main__":
    sys.exit(main())
