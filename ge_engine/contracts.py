"""The nouns that plugins exchange with the engine. One page of types, no behaviour.

A plugin author reads this file and `hookspecs.py`, and imports them, `outcome`, `patch` and `testing` alone.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from ge_engine.config import RunConfig
from ge_engine.genome import Genome
from ge_engine.outcome import Outcome, Rejected, Skipped
from ge_engine.patch import Patch
from ge_engine.population import Direction, Individual
from ge_engine.profile import ModuleProfile as ModuleProfile

if TYPE_CHECKING:
    import numpy as np
    import torch

# --- language -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Size:
    """What a network holds and costs: parameters, and FLOPs per sample."""

    parameters: int
    flops: float


@dataclass(frozen=True, slots=True)
class SizedMove:
    """A structural change of a block: the line or lines that name it, its kinds ("width", "drop", ...), and
    the network's parameters and FLOPs after it as shares of those before, NaN where nobody knows."""

    text: str
    kinds: tuple[str, ...]
    parameters: float
    flops: float


@dataclass(frozen=True, slots=True)
class Goal:
    """What a change is asked to do: the kinds of move that are meant (empty: any), bounds of the child's
    parameters and FLOPs as shares of its parent's (0.95: at most 95 %), both ends included, and the share by
    which one of the two differs at least (0.05: 5 % more or less)."""

    kinds: tuple[str, ...] = ()
    parameters: tuple[float, float] = (0.0, math.inf)
    flops: tuple[float, float] = (0.0, math.inf)
    change: float = 0.0

    def broken(self, parameters: float, flops: float) -> str:
        """Which bound these shares break, in words; "" for none. NaN breaks none."""
        for name, value, (low, high) in (
            ("parameters", parameters, self.parameters),
            ("FLOPs", flops, self.flops),
        ):
            if value < low:
                return f"{value:.1%} of the parent's {name}, where at least {low:.0%} are asked for"
            if value > high:
                return f"{value:.1%} of the parent's {name}, where at most {high:.0%} are asked for"
        if max(abs(parameters - 1), abs(flops - 1)) < self.change:
            return f"parameters and FLOPs within {self.change:.0%} of the parent's, where more is asked for"
        return ""


@dataclass(frozen=True, slots=True)
class Prompt:
    """What an operator asks. `address` is the block that the reply rewrites, "" for prose.

    `grammar` names the form of the answer ("block", "edits", ...); None asks for free text. `material` is
    code that the grammar may take statements from: another parent's version of the block. `goal` is what the
    child must do to its parent's figures; the form "moves" offers nothing else.
    """

    system: str
    user: str
    address: str = ""
    grammar: str | None = None
    intent: str = ""
    material: str = ""
    goal: Goal | None = None


@dataclass(frozen=True, slots=True)
class Sampling:
    """`max_tokens` bounds the reply; `seed` makes a local model's draw repeatable."""

    temperature: float
    max_tokens: int
    seed: int


@dataclass(frozen=True, slots=True)
class Request:
    """A prompt made ready for a language model. `key`: individual and number of its call, "g2s5/0".
    `model` is the run's name for the one of its language models that is asked."""

    key: str
    prompt: Prompt
    sampling: Sampling
    constraint: Constraint | None = None
    model: str = ""


@dataclass(frozen=True, slots=True)
class Reply:
    """`finish`: "stop", "length" (cut off at the token limit) or "error" (see `error`)."""

    text: str
    finish: Literal["stop", "length", "error"]
    prompt_tokens: int
    completion_tokens: int
    seconds: float
    model: str
    error: str = ""


@dataclass(frozen=True, slots=True)
class Target:
    """The block that a reply shall rewrite, and what must not come back.

    `tried` holds the answers (as the grammar's `canonical` gives them) already in the ledger for
    this genome and address; `seed` lets a grammar vary what it leaves open; `material` and `goal` are the
    prompt's. `survey()` gives the block's structural moves that build, with what each does to the network.
    """

    genome: Genome
    address: str
    tried: frozenset[str] = frozenset()
    seed: int = 0
    material: str = ""
    goal: Goal | None = None
    survey: Callable[[], Sequence[SizedMove]] = lambda: ()


class Constraint(Protocol):
    """A grammar made concrete for one target, possibly in parts that depend on each other.

    One whose answers are long has `longest`, the characters of the longest: the limit of tokens then leaves
    room for it.
    """

    def part(self, so_far: str) -> str | None:
        """Lark text (llguidance dialect) for what follows `so_far`; None when the answer is whole."""

    def whole(self) -> str:
        """One Lark text for the complete answer, for servers that take a grammar once."""


class Grammar(Protocol):
    """The form of an answer: how to ask for it, how to hold a model to it, how to read it."""

    @property
    def name(self) -> str: ...

    def instructions(self, target: Target) -> str:
        """What the prompt says about the form of the answer."""

    def constraint(self, target: Target) -> Constraint | Rejected:
        """The concrete grammar; Rejected when this block offers nothing to rewrite in this form."""

    def decode(self, reply: Reply, target: Target) -> Patch | Rejected:
        """The patch that the reply means. Never raises on a reply, however malformed."""

    def canonical(self, reply: Reply, target: Target) -> str:
        """The answer in the form that `Target.tried` holds."""


class LanguageModel(Protocol):
    """Answers requests. Yields (index, reply) as soon as each is done, in any order.

    One whose tokens are not those of a common tokenizer, or that sends more than the prompt, has a method
    `most_tokens(request)`: how many a request may read and write at most, for budgets.
    """

    @property
    def name(self) -> str: ...

    def generate(self, requests: Sequence[Request]) -> Iterator[tuple[int, Reply]]: ...

    def close(self) -> None: ...


class LanguageModelFactory(Protocol):
    """`--llm NAME` or `--llm NAME:ARGUMENT` opens a model. Raises ModelError with what to do.

    One whose `open` is dear has a method `check(argument, config)`, which raises what `open` would, as far as
    it can be known without loading weights: it is called before a run's folder is made and its seed trained.
    """

    @property
    def name(self) -> str: ...

    def open(self, argument: str, config: RunConfig) -> LanguageModel: ...


# --- variation ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class OperatorStats:
    """How the children did that something had a part in: an operator, an intent, a persona, a block, ...

    Of the `children`, `better` were not dominated by any parent and dominated one; `admitted` passed the
    checks; `scored` were trained to a score. `gain` is the hypervolume that they added when they were born,
    as a share of the box around all that the run has scored (0 where it was not asked for).
    """

    children: int = 0
    better: int = 0
    admitted: int = 0
    scored: int = 0
    gain: float = 0.0

    @property
    def rate(self) -> float:
        """The mean of the success rate under a Beta(1, 1) prior: one half for what was never tried."""
        return (self.better + 1) / (self.children + 2)


Draw = Callable[[random.Random, str, Sequence[str]], str]


def evenly(rng: random.Random, _dimension: str, names: Sequence[str]) -> str:
    """One of `names`, each as likely as the others."""
    return rng.choice(names)


@dataclass(frozen=True, slots=True)
class Context:
    """What an operator may look at. `genome` is what it patches: the first parent's, or the
    result of the step before it. `addresses` are the blocks that this run may rewrite in it.

    `draw(rng, dimension, names)` chooses among the names of a dimension ("intent", "block"), by what did well
    where the run is adaptive. `trials(dimension, name)` is what the run knew when the generation began, and
    `prose(intent)` the replies until then to prompts of this intent that asked for prose, oldest first."""

    generation: int
    rng: random.Random
    genome: Genome
    parents: tuple[Individual, ...]
    seed: Individual
    elites: tuple[Individual, ...]
    directions: Mapping[str, Direction]
    addresses: tuple[str, ...]
    read: Callable[[Prompt, Reply], Patch | Rejected]
    profile: tuple[ModuleProfile, ...] = ()
    draw: Draw = evenly
    trials: Callable[[str, str], OperatorStats] = lambda _dimension, _name: OperatorStats()
    prose: Callable[[str], Sequence[str]] = lambda _intent: ()


Proposal = Generator[Prompt, Reply, Patch | Rejected | Skipped]


class Operator(Protocol):
    """Proposes a patch. Does no I/O: yields prompts, is sent replies, returns a patch.

    `kind` says where the loop draws it: "mutation" (one parent), "mating" (two parents) or
    "eot" (a mutation guided by what helped an elite; from generation 1 on).
    """

    @property
    def name(self) -> str: ...
    @property
    def kind(self) -> Literal["mutation", "mating", "eot"]: ...

    def propose(self, context: Context) -> Proposal: ...


class Persona(Protocol):
    """A character-role-play frame around an operator's prompt."""

    @property
    def name(self) -> str: ...

    def frame(self, prompt: Prompt) -> Prompt: ...


class Selector(Protocol):
    """Chooses `k` of `individuals` (all scored), by multi-objective rank. Pure."""

    @property
    def name(self) -> str: ...

    def select(
        self,
        individuals: Sequence[Individual],
        k: int,
        directions: Mapping[str, Direction],
        rng: random.Random,
    ) -> list[Individual]: ...


# --- validation and evaluation -----------------------------------------------------------------


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
class Candidate:
    """What a check may look at. `probe` is None for checks of kind "static".

    `seen(digest)` gives the id of the individual of this run that has this digest, else None;
    `seen_function(fingerprint)` that of one that computes this function and has not failed in training.
    `goal` is what the prompt asked of the child's figures, and `parent_probe` holds those of the parent; None
    where nothing was asked, or where the parent was never probed: a step between two operators.
    """

    genome: Genome
    parent: Genome
    patch: Patch
    seed_probe: Probe
    probe: Probe | None
    seen: Callable[[str], str | None]
    seen_function: Callable[[str], str | None]
    goal: Goal | None = None
    parent_probe: Probe | None = None


class Check(Protocol):
    """A rung of the ladder. Static rungs run first and cost nothing; probe rungs need a worker.

    `order` places the rung within its kind; the built-ins use 10, 20, 30, ...
    """

    @property
    def name(self) -> str: ...
    @property
    def kind(self) -> Literal["static", "probe"]: ...
    @property
    def order(self) -> int: ...

    def check(self, candidate: Candidate) -> Rejected | None: ...


@dataclass(frozen=True, slots=True)
class Measurement:
    """What objectives are computed from, in the engine, out of the candidate's reach.

    `logits` (n, classes) float32 are the candidate's answers; `labels` (n,) int64 never left the
    engine. `facts` are the worker's figures by name: "parameters", "flops", "train_seconds", ...
    """

    logits: np.ndarray[Any, Any]
    labels: np.ndarray[Any, Any]
    facts: Mapping[str, float]


class Objective(Protocol):
    """A named figure with a direction. NaN or infinity makes the individual `Failed`."""

    @property
    def name(self) -> str: ...
    @property
    def direction(self) -> Direction: ...

    def measure(self, measurement: Measurement) -> float: ...


@dataclass(frozen=True, slots=True)
class Split:
    """Images as uint8 (n, channels, height, width) and labels as int64 (n,)."""

    images: torch.Tensor
    labels: torch.Tensor


@dataclass(frozen=True, slots=True)
class Dataset:
    """A task's data. `names` are the classes; train and validation are cut from the training part.
    `mirror`: a mirrored image keeps its class (not so for digits)."""

    train: Split
    validation: Split
    test: Split
    names: tuple[str, ...]
    mirror: bool = True


class Task(Protocol):
    """`--task NAME` or `--task NAME:ARGUMENT`. Raises ConfigError with what to do when offline."""

    @property
    def name(self) -> str: ...

    def load(self, argument: str, config: RunConfig) -> Dataset: ...


@dataclass(frozen=True, slots=True)
class Job:
    """One training. `key` names the individual; `rng_seed` fixes initialisation and order of data.

    `split` "both" asks for validation's figures and, in `Scored.details["test"]`, those of the test split;
    an evaluator that leaves the latter out is asked for "test" as well. `epochs` asks for the figures after
    so many epochs (0: all of the recipe's), which only evaluators with `takes_epochs` are asked for; a
    later job may go on from there.
    """

    key: str
    genome: Genome
    rng_seed: int
    split: Literal["validation", "test", "both"] = "validation"
    epochs: int = 0


class Evaluation(Protocol):
    """An open evaluator: probes and scores genomes of one seed, several at once.

    One that keeps something between jobs of different `epochs` has a method `discard(genome)`, which is
    called when no more will come. One that can build networks without training them has a method
    `sizes(genomes)`: a future of a `Size` for each, None for one that does not run.
    """

    def probe(self, genome: Genome) -> Future[Probe]: ...

    def submit(self, job: Job) -> Future[Outcome]: ...


class Evaluator(Protocol):
    """Opens an evaluation. Raises SeedError when the seed does not build, run or train.

    `tasks` are those of the run's registry; without them, the installed plugins' tasks. An evaluator with
    an attribute `takes_epochs` that is true honours `Job.epochs`; `halving` needs it.
    """

    @property
    def name(self) -> str: ...

    def open(
        self,
        seed: Genome,
        config: RunConfig,
        objectives: Sequence[Objective],
        scratch: Path,
        tasks: Mapping[str, Task] | None = None,
    ) -> AbstractContextManager[Evaluation]: ...
