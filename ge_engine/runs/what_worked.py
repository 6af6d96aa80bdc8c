"""What worked in a run: how its children did, by what made them and by what was saved on them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ge_engine.contracts import OperatorStats
from ge_engine.ledger.early_stops import EarlyStops, early_stops
from ge_engine.ledger.history import History
from ge_engine.ledger.proxies import proxies
from ge_engine.ledger.readditions import Readditions, readditions
from ge_engine.ledger.statistics import Factor, repairs, statistics
from ge_engine.search.screen_quality import ScreenQuality, screen_quality


@dataclass(frozen=True, slots=True, repr=False)
class WhatWorked:
    """Counts and shares, read from a run's folder. Raises LedgerError where there is none."""

    folder: Path

    @property
    def statistics(self) -> dict[Factor, OperatorStats]:
        """How children did by operator, mutation type, persona, ..., the largest improvement first in
        each."""
        with History(self.folder) as history:
            return statistics(history)

    @property
    def repairs(self) -> dict[str, tuple[int, int]]:
        """By check: of the replies that it rejected, how many were sent back, and how many of these saved."""
        with History(self.folder) as history:
            return dict(repairs(history))

    @property
    def early_stops(self) -> EarlyStops:
        """How many trainings were stopped early, and how many epochs that saved."""
        with History(self.folder) as history:
            return early_stops(history)

    @property
    def screen_quality(self) -> ScreenQuality:
        """How many children `screen` left untrained, and how well it ranked those that were trained."""
        with History(self.folder) as history:
            return screen_quality(history)

    def proxies(self, identity: str) -> dict[str, float]:
        """The figures of an individual's untrained network by which `screen` chooses: synflow, jacob_cov."""
        with History(self.folder) as history:
            return proxies(history, identity).get(identity, {})

    @property
    def readditions(self) -> dict[str, Readditions]:
        """By operator, "" all of them: of the lines that children added, how many an ancestor had had and
        another had deleted."""
        with History(self.folder) as history:
            return readditions(history)
