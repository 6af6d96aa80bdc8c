"""How well the figures of untrained networks ranked those that were trained."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ge_engine.config import RunConfig
from ge_engine.events import Announcer
from ge_engine.ledger.history import History
from ge_engine.ledger.proxies import proxies
from ge_engine.outcome import PROXIES, SCREEN, Scored
from ge_engine.population import SEED_ID
from ge_engine.search.early_stopping import learned
from ge_engine.search.screen import mean_ranks

FEWEST = 10
"""Trained children without whom nothing is said of a ranking while a run goes on."""
CHANCE = 0.05
"""The p-value above which a ranking may be chance."""
EXACT = 8
"""Children up to whose number all orders are counted: the distribution that is taken for more gives three in
perfect order a p-value of 0, where it is one in six."""


@dataclass(frozen=True, slots=True)
class Ranking:
    """Spearman's rank correlation of a figure with what was measured, over `children`, and how often chance
    alone reaches as much (one-sided)."""

    children: int
    correlation: float
    p_value: float


@dataclass(frozen=True, slots=True)
class ScreenQuality:
    """How `screen` ranked the children that were trained, by `objective`: by the mean rank that decides
    ("screen") and by each proxy. There is none of fewer than three children. `rejected` were not trained."""

    objective: str
    rejected: int
    rankings: Mapping[str, Ranking] = field(default_factory=dict)


def screen_quality(history: History) -> ScreenQuality:
    """Of a run's children until now. Measured is the first objective that training moves; a child without a
    proxy is the last by it, as in its group."""
    objective = _learned(history)
    sign = 1.0 if history.directions[objective] == "max" else -1.0
    known = proxies(history)
    measured = {
        identity: sign * score.objectives[objective]
        for identity, _, score in history.scored()
        if identity != SEED_ID
    }
    figures = [known.get(identity, {}) for identity in measured]
    means, found = [-mean for mean in mean_ranks(figures)], list(measured.values())
    rankings = {SCREEN: ranking(means, found)}
    for name in PROXIES:
        pairs = [(one[name], value) for one, value in zip(figures, found, strict=True) if name in one]
        rankings[name] = ranking([one for one, _ in pairs], [value for _, value in pairs])
    rejected = history.rejections().get(SCREEN, 0)
    return ScreenQuality(objective, rejected, {name: one for name, one in rankings.items() if one})


def _learned(history: History) -> str:
    """The first objective that training moves; where none does, the first of all."""
    seed, names = history.score(history.seed.genome.digest), history.config.objective_names
    moved = learned(seed) if isinstance(seed, Scored) else []
    return next((name for name in names if name in moved), names[0])


def ranking(figures: Sequence[float], measured: Sequence[float]) -> Ranking | None:
    """How well `figures` rank what was `measured`; a ranking in which all are equal is none. None for fewer
    than three."""
    from scipy import stats  # imported late: it takes a second

    count = len(figures)
    if count < 3:
        return None
    if len(set(figures)) == 1 or len(set(measured)) == 1:
        return Ranking(count, 0.0, 1.0)
    found = stats.spearmanr(figures, measured, alternative="greater")
    chance = float(found.pvalue) if count > EXACT else _exact(figures, measured)
    return Ranking(count, float(found.statistic), chance)


def _exact(figures: Sequence[float], measured: Sequence[float]) -> float:
    """In what share of all orders of `figures` their rank correlation is at least as large."""
    from scipy import stats

    ranks = stats.rankdata(measured)
    found = stats.permutation_test(
        (stats.rankdata(figures),),
        lambda orders, axis: (orders * ranks).sum(axis=axis),
        permutation_type="pairings",
        alternative="greater",
        n_resamples=math.inf,
        vectorized=True,
    )
    return float(found.pvalue)


class ScreenWatch:
    """Warns once that `screen` may choose by chance. It looks when `FEWEST` children are trained, and each
    time that they are twice as many."""

    def __init__(self, config: RunConfig, history: History, announce: Announcer) -> None:
        self._next = FEWEST if config.screen > 1 else 0
        self._history = history
        self._announce = announce

    def look(self) -> None:
        """Asked at the end of each generation."""
        if not self._next or self._history.evaluations() <= self._next:
            return
        quality = screen_quality(self._history)
        found = quality.rankings.get(SCREEN)
        if found is None or found.children < self._next:
            return
        self._next = 2 * found.children
        if found.p_value > CHANCE:
            self._next = 0
            message = (
                f"how it ranked {found.children} trained children cannot be told from chance so far: rank "
                f"correlation {found.correlation:.2f} with {quality.objective} (p {found.p_value:.2g}). "
                "`ge log --stats` says how that goes on; a run without --screen asks for fewer children"
            )
            self._announce("remark", model=SCREEN, message=message)
