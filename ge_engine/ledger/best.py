"""The Pareto front of everything that a run has scored, read without the genomes of the others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Literal

from ge_engine.errors import LedgerError
from ge_engine.ledger.checked import HINT
from ge_engine.ledger.history import History
from ge_engine.noise import front_of
from ge_engine.population import Individual

AT_ONCE = 4096
"""Scores that are compared with the front so far: of all others none is held."""


@dataclass(frozen=True, slots=True)
class _Point:
    """An individual that is scored, as comparisons see it."""

    id: str
    objectives: Mapping[str, float]
    errors: Mapping[str, float]
    scored: Literal[True] = True


def front_ids(history: History) -> list[str]:
    """The ids of the front, in the order of generation and number."""
    directions, ties = history.directions, history.ties
    points = (_Point(identity, one.objectives, one.errors) for identity, _, one in history.scored())
    front = list[_Point]()
    while some := list(islice(points, AT_ONCE)):
        front = front_of([*front, *some], directions, ties)
    return [point.id for point in front]


def front_individuals(history: History) -> list[Individual]:
    """The individuals of the front, in the order of generation and number. Raises LedgerError."""
    return [_individual(history, identity) for identity in front_ids(history)]


def _individual(history: History, identity: str) -> Individual:
    one = history.individual(identity)
    if not isinstance(one, Individual):
        raise LedgerError(f"The run database holds a score of {identity}, which has no code.", HINT)
    return one
