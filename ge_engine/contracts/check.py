"""Checks: what may be looked at before a training, and what turns a child down."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from ge_engine.contracts.evaluation import Probe
from ge_engine.contracts.goal import Goal
from ge_engine.genome import Genome
from ge_engine.outcome import Rejected
from ge_engine.patch import AnyPatch

LAST = 500


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
    patch: AnyPatch
    seed_probe: Probe
    probe: Probe | None
    seen: Callable[[str], str | None]
    seen_function: Callable[[str], str | None]
    goal: Goal | None = None
    parent_probe: Probe | None = None


class Check(ABC):
    """A check before training. Those of kind "static" look at code alone and run first; "probe" needs what
    the worker saw.

    `order` places it within its kind; the built-in checks use 10, 20, 30, ...
    """

    name: str
    kind: Literal["static", "probe"] = "static"
    order: int = LAST

    @abstractmethod
    def check(self, candidate: Candidate) -> Rejected | None:
        """Rejected with a reason that a model can act on, or None."""
