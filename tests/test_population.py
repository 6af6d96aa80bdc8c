"""The set of all that a run has bred."""

from __future__ import annotations

from ge_engine.outcome import Outcome, Scored
from ge_engine.population import Individual, Population


def individual(number: int, outcome: Outcome | None) -> Individual:
    return Individual(f"g0s{number}", 0, number, (), (), None, outcome)


def scored(number: int, accuracy: float, parameters: float) -> Individual:
    return individual(number, Scored({"accuracy": accuracy, "parameters": parameters}))


def test_a_population_that_loses_somebody() -> None:
    population = Population([scored(0, 0.5, 1), individual(1, None)])
    assert [one.id for one in population] == ["g0s0", "g0s1"]
    assert population.get("g0s1") is population[1]
    assert population.get("g9s9") is None
    assert [one.id for one in population.scored()] == ["g0s0"]
