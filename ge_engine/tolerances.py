"""Differences that are too small to matter to a user, whatever chance says: "parameters=1%"."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from ge_engine.errors import ConfigError

ENTRY = re.compile(r"\s*(?P<name>[^=\s]+)\s*=\s*(?P<amount>[0-9.]+(?:[eE][-+]?[0-9]+)?)\s*(?P<percent>%?)\s*")


@dataclass(frozen=True, slots=True)
class Tolerance:
    """The largest difference in an objective that does not count: a share of the figure that is compared
    with, or an amount in the objective's unit."""

    amount: float
    is_share: bool = False

    def around(self, figure: float) -> float:
        """The difference from `figure` that does not count yet, in its unit."""
        return self.amount * abs(figure) if self.is_share else self.amount


Tolerances = Mapping[str, Tolerance]
"""By objective; of one that is not named, what `ge_engine.noise` says by itself."""


def parse_tolerances(entries: Iterable[str], objectives: Collection[str]) -> Tolerances:
    """Read entries such as "parameters=1%" (of the figure) and "accuracy=0.005" (in its unit).

    Raises:
        ConfigError: an entry cannot be read or names no objective.
    """
    return dict(_parsed(entry, objectives) for entry in entries)


def _parsed(entry: str, objectives: Collection[str]) -> tuple[str, Tolerance]:
    found = ENTRY.fullmatch(entry)
    try:
        amount = float(found["amount"]) if found else math.nan
    except ValueError:
        amount = math.nan
    names = ", ".join(objectives)
    if found is None or not math.isfinite(amount):
        raise ConfigError(
            f"The tolerance {entry!r} cannot be read.",
            f'Write for example "{next(iter(objectives), "parameters")}=1%", or =NUMBER in its unit; '
            f"objectives are: {names}.",
        )
    if found["name"] not in objectives:
        raise ConfigError(
            f"The tolerance {entry!r} names no objective of this run.", f"Objectives are: {names}."
        )
    share = bool(found["percent"])
    return found["name"], Tolerance(amount / 100 if share else amount, share)
