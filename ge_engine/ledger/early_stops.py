"""What halving, or a rule that stops trainings early, has saved."""

from __future__ import annotations

from dataclasses import dataclass

from ge_engine.ledger.history import History
from ge_engine.outcome import Failed, Scored
from ge_engine.population import SEED_ID

_REACHED = """
SELECT i.id, max(s.epochs) FROM individuals i JOIN scores s ON s.digest = i.digest
WHERE i.stage IS NULL AND s.split = 'validation' AND s.seed = 0 GROUP BY i.id
"""


@dataclass(frozen=True, slots=True)
class EarlyStops:
    """Of `trained` children, those that have a score or were stopped, how many were `stopped`, and how many
    epochs that `saved` of the `epochs` that all would have taken."""

    stopped: int = 0
    trained: int = 0
    saved: int = 0
    epochs: int = 0


def early_stops(history: History) -> EarlyStops:
    """Of a run's children until now."""
    whole, reached = history.config.recipe.epochs, dict(history.query(_REACHED))
    stopped = trained = saved = 0
    for identity, _, outcome in history.outcomes():
        if identity == SEED_ID:
            continue
        early = isinstance(outcome, Failed) and outcome.kind == "stopped"
        trained += early or isinstance(outcome, Scored)
        stopped += early
        saved += whole - reached[identity] if early else 0
    return EarlyStops(stopped, trained, saved, whole * trained)
