"""Evaluators: what probes and scores genomes, and what they say of them."""

from __future__ import annotations

import shlex
from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from ge_engine.config import RunConfig
from ge_engine.contracts.executor import AgentExecutor, Executor
from ge_engine.contracts.goal import Size
from ge_engine.contracts.objective import Objective
from ge_engine.contracts.task import Task
from ge_engine.errors import ConfigError
from ge_engine.genome import Genome
from ge_engine.outcome import Outcome
from ge_engine.profile import ModuleProfile


@dataclass(frozen=True, slots=True)
class Probe:
    """What the isolated worker saw when it built a genome's model and ran one step.

    `stage` and `error` tell where it stopped ("import", "build", "meta", "forward", "backward",
    "optimizer"), both "" when it went through. `facts` are numbers by name ("parameters",
    "flops", ...). `executed` are the addresses of blocks that were run. `class_parameters` are the
    parameters in all modules of each class that torch does not bring. `fingerprint` is equal for two
    genomes that compute the same function after one training step. `graph` is equal for two whose forward
    passes differ in constants alone: the same operations on the same operands give the same shapes.
    `modules` are those of the model in the order of its tree, the model itself first.
    """

    stage: str = ""
    error: str = ""
    output_shape: tuple[int, ...] = ()
    finite: bool = True
    without_gradient: frozenset[str] = frozenset()
    unregistered: tuple[str, ...] = ()
    executed: frozenset[str] = frozenset()
    facts: Mapping[str, float] = field(default_factory=dict)
    class_parameters: Mapping[str, int] = field(default_factory=dict)
    fingerprint: str = ""
    graph: str = ""
    modules: tuple[ModuleProfile, ...] = ()


@dataclass(frozen=True, slots=True)
class Job:
    """One training. `key` names the individual; `rng_seed` fixes initialisation and order of data.

    `split` "both" asks for validation's figures and, in `Scored.details["test"]`, those of the test split, as
    a `Scored` or a mapping; an evaluator that leaves the latter out is asked for "test" as well. `epochs`
    asks for the figures after that number of epochs (0: all that the training settings say), which only
    evaluators with `takes_epochs` are asked for; a later job may go on from there. `parent` is the digest of
    the genome whose trained weights the training may begin with ("": it begins with its own), which only
    evaluators with `inherits` are given.
    """

    key: str
    genome: Genome
    rng_seed: int
    split: Literal["validation", "test", "both"] = "validation"
    epochs: int = 0
    parent: str = ""

    @property
    def is_rung(self) -> bool:
        """Whether the training pauses at its end, and may go on: constraints on scores do not hold yet."""
        return self.split == "validation" and self.epochs > 0


class Evaluation(ABC):
    """An open evaluator: probes and scores genomes of one seed model, several at once.

    `measures_sizes`: it can build networks without training them, see `sizes`. `runs_programs`: what scores
    is a program of the user's, which may never look at the genome. A run begins by a file that it must not
    score, and asks for the probe of the seed model again when it is scored: then it is known what the program
    runs. `has_test_split`: what it scores as the test split is other data than validation's.
    `description` tells in words what is trained on and how, for prompts: no paths and nothing private. `data`
    tells in a line what is trained on, and `remarks` in a sentence each what is to be heeded about it: for
    the user, at a run's start.
    """

    measures_sizes: bool = False
    runs_programs: bool = False
    has_test_split: bool = True
    description: str = ""
    data: str = ""
    remarks: Sequence[str] = ()

    @abstractmethod
    def probe(self, genome: Genome) -> Future[Probe]:
        """What a worker sees when it builds the model and runs one step. An error is in the probe."""

    @abstractmethod
    def submit(self, job: Job) -> Future[Outcome]:
        """The outcome of a training: `Scored`, `Failed`, or `Rejected` at the stage "constraint" where the
        genome breaks one of the run's constraints, by its size or its score. Returns at once."""

    def at_once(self) -> int:
        """How many trainings run at once, as far as that is known by now; 0 where it is not."""
        return 0

    def discard(self, genome: Genome) -> None:  # noqa: B027
        """Forget what was kept of this genome between jobs of different `epochs`: no more will come."""

    def keep_parents(self, digests: Collection[str]) -> None:  # noqa: B027
        """Of the trained weights that children begin with, forget all but those of these genomes: no further
        job will ask for them as its `parent`."""

    def sizes(self, genomes: Sequence[Genome]) -> Future[tuple[Size | None, ...]]:
        """The size of each network, None for one that does not run. Asked where `measures_sizes`,
        also in a thread beside the one that probes and submits."""
        raise NotImplementedError("an evaluation that measures sizes overrides `sizes`")


class Evaluator(ABC):
    """Opens an evaluation. `--evaluator` and `--command` choose it.

    `takes_epochs`: it honours `Job.epochs`, which `halving` and `budget_rule` need. `inherits`: it honours
    `Job.parent`, which `inherit` needs, and tells in `Scored.details["figures"]` the share that was
    "inherited". `screens`: it tells "synflow" or "jacob_cov" in `Probe.facts` where `screen` is more than 1,
    which that needs. `takes_task`: it loads the run's task.
    `advice` says what to change when the seed model cannot be scored.
    """

    name: str
    takes_epochs: bool = False
    inherits: bool = False
    screens: bool = False
    takes_task: bool = False
    advice: str = (
        "Fix what scores it (--command or --evaluator), or change --timeout, --objectives or --constraints."
    )

    def described(self, argument: str) -> tuple[str, str]:  # noqa: ARG002
        """What scores a run whose evaluator has this `argument`, and what a session gives to ask for it."""
        return f"the evaluator {self.name!r}", f"If you know it: --evaluator {shlex.quote(self.name)}"

    def on(self, executor: Executor) -> Evaluator:
        """This evaluator, whose work is done where `executor` says. Raises ConfigError: it is done here
        alone."""
        if not isinstance(executor, AgentExecutor):
            return self
        raise ConfigError(
            f"The evaluator {self.name!r} works on this machine alone, and {executor.name!r} is for others.",
            "Leave --executor out.",
        )

    @abstractmethod
    def open(
        self,
        seed: Genome,
        config: RunConfig,
        objectives: Sequence[Objective],
        scratch: Path,
        tasks: Mapping[str, Task] | None = None,
    ) -> AbstractContextManager[Evaluation]:
        """An evaluation of genomes of `seed`, closed at the end. `tasks` are those of the run's registry;
        without them, the installed plugins' tasks. Raises SeedError when the seed model does not build, run
        or train, ConfigError on settings that it cannot work with."""
