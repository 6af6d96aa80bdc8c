"""The individuals that had an outcome when a generation began, with their genomes."""

from __future__ import annotations

from functools import lru_cache

from ge_engine.ledger.history import History
from ge_engine.outcome import SCREEN
from ge_engine.population import Individual

HELD = 2048
"""How many are told of, the latest: of a run that is larger than any optimiser of numbers gains from."""
_LATEST = """
SELECT id FROM (
  SELECT i.id, m.generation AS ended, i.generation, i.slot
  FROM merged m CROSS JOIN individuals i ON i.id = m.id WHERE m.generation < ?1
  UNION ALL
  SELECT i.id, i.generation AS ended, i.generation, i.slot
  FROM individuals i WHERE i.generation < ?1 AND i.stage IS NOT NULL AND i.stage <> ?3
    AND NOT EXISTS (SELECT 1 FROM merged m WHERE m.id = i.id)
) WHERE slot >= 0 ORDER BY ended DESC, generation DESC, slot DESC LIMIT ?2
"""


class Settled:
    """Reads them where an operator asks, once in each generation. What was known then is read off the
    run database, so that a resumed run is told the same."""

    def __init__(self, history: History) -> None:
        self._history = history
        self._individual = lru_cache(HELD)(history.individual)
        self._known: tuple[int, tuple[Individual, ...]] = (0, ())

    def before(self, generation: int) -> tuple[Individual, ...]:
        """Those that were scored, failed or were rejected before `generation` began, in the order in which
        the run learnt of it, the latest `HELD`. The seed model is not among them, nor who was rejected at
        "screen", for that says nothing of the code."""
        if self._known[0] != generation:
            rows = self._history.query(_LATEST, generation, HELD, SCREEN)
            found = [self._individual(identity) for (identity,) in reversed(rows)]
            self._known = generation, tuple(one for one in found if isinstance(one, Individual))
        return self._known[1]
