"""What the children of a run reached: their figures with the bounds that `bench_reach` holds, and wishes."""

from __future__ import annotations

import math
import re
import statistics
import tomllib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ge_engine.contracts import Probe
from ge_engine.ledger import History
from ge_engine.outcome import Rejected
from ge_engine.population import SEED_ID, Individual

WISHES = Path(__file__).resolve().parent / "reach_wishes.toml"
SMALLER = ("reduce", "simplify")
"""Intents that ask for a smaller network."""


@dataclass(frozen=True, slots=True)
class Reach:
    """The children of one run that passed all checks, `texts` their files. `sizes` are parameters as a share
    of the seed model's, `smaller` of their parents' where that was asked for; `structure` counts those that
    have other modules than their parent."""

    slots: int
    texts: tuple[str, ...]
    sizes: tuple[float, ...]
    structure: int
    smaller: tuple[float, ...]
    distinct: int
    rejected: tuple[tuple[str, int], ...]

    @property
    def changed(self) -> int:
        """Children with 5 % more or fewer parameters than the seed model."""
        return sum(abs(size - 1) >= 0.05 for size in self.sizes)

    @property
    def spread(self) -> float:
        """The standard deviation of log2(parameters)."""
        return statistics.pstdev(math.log2(size) for size in self.sizes) if self.sizes else 0.0

    def cut(self, bound: float) -> int:
        """Of those asked to be smaller, how many are at most `bound` of their parent."""
        return sum(size <= bound for size in self.smaller)

    def missed(self) -> list[str]:
        """Which bounds the run does not keep, in words."""
        share, asked = self.slots / 100, len(self.smaller)
        held = {
            f"{len(self.sizes)} passed checks": len(self.sizes) >= 90 * share,
            f"{self.changed} of another size": self.changed >= 50 * share,
            f"{self.structure} of another structure": self.structure >= 25 * share,
            f"spread {self.spread:.2f}": self.spread >= 0.5,
            f"{self.distinct} distinct": self.distinct >= 90 * share,
            f"{self.cut(0.95)} of {asked} smaller by 5 %": self.cut(0.95) >= 0.95 * asked,
            f"{self.cut(0.8)} of {asked} smaller by 20 %": self.cut(0.8) >= 0.5 * asked,
        }
        return [words for words, kept in held.items() if not kept]

    def row(self) -> str:
        asked = len(self.smaller)
        return (
            f"{len(self.sizes):4d}/{self.slots:<4d} {self.changed:6d} {self.structure:9d} {self.spread:7.2f}"
            f" {self.cut(0.95):5d}/{asked:<3d} {self.cut(0.8):5d}/{asked:<3d} {self.distinct:8d}"
            f"  {', '.join(f'{stage} {count}' for stage, count in self.rejected)}"
        )


HEAD = "passed     >=5 %  structure  spread  cut 5 %   cut 20 %   distinct  rejected"


def measured(history: History, slots: int) -> Reach:
    """The figures of a finished run."""
    everybody = {one.id: one for one in history.individuals()}
    seed = _probe(history, everybody[SEED_ID])
    children = [one for one in everybody.values() if one.scored and one.id != SEED_ID]
    probes = {one.id: _probe(history, one) for one in children}
    parents = {one.id: _probe(history, everybody[one.parents[0]]) for one in children}
    asked = [one for one in children if len(one.steps) == 1 and one.steps[0].intent in SMALLER]
    rejected = Counter(one.outcome.stage for one in everybody.values() if isinstance(one.outcome, Rejected))
    return Reach(
        slots,
        tuple(one.genome.text for one in children if one.genome),
        tuple(_parameters(probes[one.id]) / _parameters(seed) for one in children),
        sum(_structure(probes[one.id]) != _structure(parents[one.id]) for one in children),
        tuple(_parameters(probes[one.id]) / _parameters(parents[one.id]) for one in asked),
        len({probe.fingerprint for probe in probes.values()}),
        tuple(rejected.most_common()),
    )


@dataclass(frozen=True, slots=True)
class Wish:
    """Something of a seed model that a person would want to change: a number, the first group of `number`; or
    code that matches a pattern, of which there are `fewer` or `more` than in the seed model."""

    seed: str
    what: str
    number: str = ""
    fewer: str = ""
    more: str = ""

    def granted(self, before: str, after: str) -> bool:
        """Whether the file `after` has it, which was `before`."""
        if self.number:
            old, new = (re.findall(self.number, text) for text in (before, after))
            return bool(new) and new != old
        count_old, count_new = (len(re.findall(self.fewer or self.more, text)) for text in (before, after))
        return count_new < count_old if self.fewer else count_new > count_old


def wishes(kind: str) -> list[Wish]:
    """The list of `kind`, "size" or "kind"."""
    return [Wish(**row) for row in tomllib.loads(WISHES.read_text("utf-8"))[kind]]


def unfulfilled(listed: Iterable[Wish], before: str, after: Sequence[str]) -> list[Wish]:
    """Those that none of the files `after` grants."""
    return [wish for wish in listed if not any(wish.granted(before, text) for text in after)]


def _probe(history: History, one: Individual) -> Probe:
    assert one.genome is not None
    probe = history.probe(one.genome.digest)
    assert probe is not None
    return probe


def _parameters(probe: Probe) -> float:
    return max(1.0, probe.facts["parameters"])


def _structure(probe: Probe) -> tuple[tuple[str, str], ...]:
    return tuple((module.path, module.kind) for module in probe.modules)
