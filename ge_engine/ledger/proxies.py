"""The figures of untrained networks, by which `screen` chose among children."""

from __future__ import annotations

from ge_engine.ledger.history import History
from ge_engine.outcome import PROXIES

_FIGURES = f"""
SELECT i.id, {", ".join(f"json_extract(p.probe, '$.facts.{name}')" for name in PROXIES)}
FROM individuals i JOIN probes p ON p.digest = i.digest WHERE ?1 IS NULL OR i.id = ?1
"""


def proxies(history: History, identity: str | None = None) -> dict[str, dict[str, float]]:
    """By individual, or of one: its proxies by name, as far as it has them. Who has none is left out."""
    rows = history.query(_FIGURES, identity)
    found = {
        one: {
            name: float(figure) for name, figure in zip(PROXIES, figures, strict=True) if figure is not None
        }
        for one, *figures in rows
    }
    return {one: figures for one, figures in found.items() if figures}
