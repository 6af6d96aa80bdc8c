"""Credit assignment: what a run knew when a generation began, and the draw by it."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

from ge_engine.config import RunConfig
from ge_engine.contracts import Attempt, OperatorStats, evenly
from ge_engine.ledger.history import History
from ge_engine.ledger.statistics import Factor, operator_stats
from ge_engine.population import Individual
from ge_engine.search.attempts import Attempts
from ge_engine.search.settled import Settled


class Credit:
    """Draws evenly. What is known is read when it is asked for; without a run database, nothing is."""

    def __init__(
        self,
        history: History | None = None,
        generation: int = 0,
        attempts: Attempts | None = None,
        settled: Settled | None = None,
    ) -> None:
        self._history = history
        self._generation = generation
        self._known: Mapping[Factor, OperatorStats] | None = None
        self._attempts = attempts
        self._settled = settled

    def trials(self, dimension: str, name: str) -> OperatorStats:
        """Results of the children that `name` helped to make, of those with a verdict by then."""
        if self._known is None:
            self._known = operator_stats(self._history, self._generation) if self._history else {}
        return self._known.get((dimension, name), OperatorStats())

    def prose(self, intent: str) -> Sequence[str]:
        """The replies of earlier generations to prompts of `intent` that asked for prose, oldest first."""
        if self._history is None:
            return ()
        sql = (
            "SELECT text FROM calls WHERE intent = ? AND generation < ? AND grammar_asked IS NULL"
            " AND finish <> 'error' ORDER BY generation, individual, key"
        )
        return tuple(row[0] for row in self._history.query(sql, intent, self._generation))

    def attempts(self, address: str) -> Sequence[Attempt]:
        """What earlier generations tried on a block, its class and that class's methods."""
        return self._attempts.on(address) if self._attempts else ()

    def settled(self) -> Sequence[Individual]:
        """The latest individuals that had an outcome by then, in the order in which they came."""
        return self._settled.before(self._generation) if self._settled else ()

    def draw(self, rng: random.Random, dimension: str, names: Sequence[str]) -> str:
        return evenly(rng, dimension, names)

    def odds(self, _dimension: str, _name: str) -> float:
        """By how much a rate that the settings give is scaled for this name."""
        return 1.0


class ThompsonSampling(Credit):
    """Draws what did well more often: Thompson sampling (Thompson, Biometrika 25, 1933; Chapelle and Li,
    NeurIPS 2011) with a Beta(1, 1) prior on the share of children that are better than their parents."""

    def draw(self, rng: random.Random, dimension: str, names: Sequence[str]) -> str:
        """The name whose success rate, drawn from its posterior, is largest."""

        def drawn(name: str) -> float:
            stats = self.trials(dimension, name)
            return rng.betavariate(stats.better + 1, stats.children - stats.better + 1)

        return max(names, key=drawn)

    def odds(self, dimension: str, name: str) -> float:
        return self.trials(dimension, name).rate


def credit_of(
    history: History, generation: int, config: RunConfig, attempts: Attempts, settled: Settled
) -> Credit:
    """What is known when `generation` begins: the same in a resumed or replayed run."""
    if not generation:
        return Credit()
    attempts.begin(generation)
    return (ThompsonSampling if config.adaptive else Credit)(history, generation, attempts, settled)
