"""The form of an answer: how to ask for it, how to constrain decoding, how to read it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ge_engine.contracts.goal import Goal, SizedMove
from ge_engine.contracts.prompt import Reply
from ge_engine.genome import Genome
from ge_engine.outcome import Rejected
from ge_engine.patch import AnyPatch
from ge_engine.structure.change import MoveSource


@dataclass(frozen=True, slots=True)
class Target:
    """The block that a reply is to rewrite, or those that it may (`addresses`, and "" as the address), and
    what must not come back.

    `tried` holds the answers (as the grammar's `canonical` gives them) already in the run database for
    this genome and address; `seed` lets a grammar vary what it leaves open; `material` and `goal` are the
    prompt's. `survey()` gives the block's structural moves that build, with what each does to the network;
    `sources` are those that the run adds to the built-in ones.
    """

    genome: Genome
    address: str
    tried: frozenset[str] = frozenset()
    seed: int = 0
    material: str = ""
    goal: Goal | None = None
    survey: Callable[[], Sequence[SizedMove]] = lambda: ()
    sources: tuple[MoveSource, ...] = ()
    addresses: tuple[str, ...] = ()


class Constraint(ABC):
    """A grammar made concrete for one target, possibly in parts that depend on each other."""

    @property
    def longest(self) -> int:
        """Characters of the longest answer, for which the limit of tokens leaves room; 0: not known."""
        return 0

    @abstractmethod
    def part(self, so_far: str) -> str | None:
        """Lark text (llguidance dialect) for what follows `so_far`; None when the answer is whole."""

    @abstractmethod
    def whole(self) -> str:
        """One Lark text for the complete answer, for servers that take a grammar once."""


class Grammar(ABC):
    """The form of an answer. `name` is what a prompt's `grammar` and `--grammar` choose it by."""

    name: str

    def instructions(self, target: Target) -> str:  # noqa: ARG002
        """What the prompt says about the form of the answer; "" for nothing."""
        return ""

    @abstractmethod
    def constraint(self, target: Target) -> Constraint | Rejected:
        """The concrete grammar; Rejected when this block offers nothing to rewrite in this form."""

    @abstractmethod
    def decode(self, reply: Reply, target: Target) -> AnyPatch | Rejected:
        """The patch that the reply means. Never raises on a reply, however malformed."""

    def canonical(self, reply: Reply, target: Target) -> str:  # noqa: ARG002
        """The answer in the form that `Target.tried` holds: equal for answers that mean the same."""
        return reply.text.strip()
