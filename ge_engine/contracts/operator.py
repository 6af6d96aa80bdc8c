"""Operators: what may be looked at when a patch is proposed, and what a proposal is."""

from __future__ import annotations

import random
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from ge_engine.contracts.deprecation import DeprecatedHook
from ge_engine.contracts.prompt import Prompt, Reply
from ge_engine.genome import Genome
from ge_engine.noise import NO_TIES, Ties
from ge_engine.notation import PLAIN, Notations
from ge_engine.outcome import Rejected, Skipped
from ge_engine.patch import AnyPatch
from ge_engine.population import Direction, Individual
from ge_engine.profile import ModuleProfile


@dataclass(frozen=True, slots=True)
class OperatorStats:
    """Results of the children that a name helped to make: an operator, a mutation type, a persona, a block,
    ...

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
class RunFacts:
    """Where the run stands: the generation in the making, the scored seed model, the elites whose change
    improved on it somewhere, the direction of each objective, and what ties in selection.

    `front` is the Pareto front of all that was scored when the generation began, `notations` say how the
    objectives' figures are written, `constraints` are the run's, and `task` tells in words what is trained on
    and how ("" where nobody knows). `instructions` are the user's words on the problem.
    """

    generation: int
    seed: Individual
    elites: tuple[Individual, ...]
    directions: Mapping[str, Direction]
    ties: Ties = NO_TIES
    front: tuple[Individual, ...] = ()
    notations: Notations = field(default_factory=dict)
    constraints: tuple[str, ...] = ()
    task: str = ""
    instructions: str = ""

    def figure(self, name: str, value: float) -> str:
        """A figure of an objective as the run writes it, with its unit."""
        return self.notations.get(name, PLAIN).measured(value)


@dataclass(frozen=True, slots=True)
class Attempt:
    """What an earlier generation tried: the child `id`, its mutation type and block, and what came of it.

    `change` are the changed lines of the child against its first parent, as of a diff without context.
    `before` and `after` are the scores of the two, empty for one without, and `within` the objectives whose
    difference chance explains; `failure` says why it was rejected or failed, without a candidate's own words
    unless the run sends them. `steps` tell what was done, one after the other ("combine of Head"), where that
    was more than the mutation type on the block: the change and the figures are of all of them together.
    """

    id: str
    intent: str
    address: str
    change: str
    before: Mapping[str, float]
    after: Mapping[str, float]
    failure: str = ""
    within: frozenset[str] = frozenset()
    steps: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Memory:
    """What the run knew when the generation began.

    `draw(rng, dimension, names)` chooses a name by what did well where the run is adaptive, else evenly.
    `trials(dimension, name)` counts the children of a name; `prose(intent)` are the replies to prompts of
    this mutation type that asked for prose, oldest first; `attempts(address)` is what was tried on a block,
    on its class and on that class's methods, the most telling first. `settled()` are the individuals that had
    an outcome by then, in the order in which they came, of a large run the latest; the seed model, which
    `RunFacts` has, is not among them.
    """

    draw: Draw = evenly
    trials: Callable[[str, str], OperatorStats] = lambda _dimension, _name: OperatorStats()
    prose: Callable[[str], Sequence[str]] = lambda _intent: ()
    attempts: Callable[[str], Sequence[Attempt]] = lambda _address: ()
    settled: Callable[[], Sequence[Individual]] = lambda: ()


@dataclass(frozen=True, slots=True)
class Context:
    """What an operator may look at.

    `genome` is what it patches: the first parent's, or the result of the step before it. `addresses` are the
    blocks that this run may rewrite in it, `mate_addresses` those of the second parent where the first is to
    be mated: what its network does not run has no part in its figures. `rng` is the only source of random
    numbers, `read` turns a reply into a patch. `profile` lists the modules of the first parent's network, the
    network itself first; empty where it was not profiled. `prompt_tokens` is the room of a prompt: the
    smallest among the language models that may be asked.
    """

    genome: Genome
    addresses: tuple[str, ...]
    rng: random.Random
    read: Callable[[Prompt, Reply], AnyPatch | Rejected]
    parents: tuple[Individual, ...]
    run: RunFacts
    memory: Memory = field(default_factory=Memory)
    profile: tuple[ModuleProfile, ...] = ()
    prompt_tokens: int = 0
    mate_addresses: tuple[str, ...] | None = None

    def choose(self, dimension: str, names: Sequence[str]) -> str:
        """One of the names of a dimension ("intent", "block"), as `memory.draw` chooses: of blocks, a method
        only where its class is not there or is long."""
        return self.memory.draw(self.rng, dimension, names)

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            """A field that version 0.1.0 had here, with a warning that says where it stands now."""
            if name not in _MOVED:
                raise AttributeError(f"a context has no {name!r}")
            warnings.warn(f"context.{name} is context.{_MOVED[name]}.{name}.", DeprecatedHook, stacklevel=2)
            return getattr(getattr(self, _MOVED[name]), name)


_MOVED = {
    **dict.fromkeys(("generation", "seed", "elites", "directions"), "run"),
    **dict.fromkeys(Memory.__dataclass_fields__, "memory"),
}

Proposal = Generator[Prompt, Reply, AnyPatch | Rejected | Skipped]


class Operator(ABC):
    """Proposes a patch, of one block or of several. Does no I/O: yields prompts, is sent replies, returns it.
    One that yields none asks no language model.

    `kind` says where the loop draws it: "mutation" (one parent), "mating" (two parents) or
    "eot" (a mutation guided by what helped an elite; from generation 1 on).

    `offers_moves`: its prompts offer the structural moves of a block, as the form "moves" does. What those of
    the seed model do is found out while it trains.
    """

    name: str
    offers_moves: bool = False
    kind: Literal["mutation", "mating", "eot"] = "mutation"

    def check(self) -> None:  # noqa: B027
        """Called before a run begins. Raises ConfigError where what the operator needs is not installed."""

    @abstractmethod
    def propose(self, context: Context) -> Proposal:
        """A generator of prompts that returns the patch, a rejection that it was given, or `Skipped`."""
