"""Figures of individuals beside the baseline's, as the commands print them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ge_engine.noise import beyond_noise
from ge_engine.notation import Notation, Notations
from ge_engine.outcome import Scored
from ge_engine.pareto import Direction
from ge_engine.population import Individual
from ge_engine.tolerances import Tolerances

WITHIN = "≈"
"""Stands beside a difference to the baseline that chance explains."""
LEGEND = f"± standard error; {WITHIN} within noise of the baseline"


def row(
    one: Individual,
    seed: Individual,
    notations: Notations,
    directions: Mapping[str, Direction],
    tolerances: Tolerances,
) -> Iterator[str]:
    """For each objective the figure with its error, and how it compares with the baseline's."""
    for name, how in notations.items():
        yield figure(name, how, one)
        if one.id == seed.id:
            yield ""
            continue
        within = beyond_noise(one, seed, {name: directions[name]}, tolerances=tolerances)[name] == 0
        change = how.change(seed.objectives[name], one.objectives[name])
        yield f"{change} {WITHIN}" if within else change


def figure(name: str, how: Notation, scored: Individual | Scored) -> str:
    """A figure with its error."""
    return how.spread(scored.objectives[name], scored.errors.get(name))
