"""Which of several children is trained: the one whose untrained network promises most.

Children are made in groups of `screen`, of one generation and island. When the checks are through with all of
a group, those that passed are ranked by the figures of their probes, and the others of them are rejected at
"screen". It takes no account of anything that is trained, so that a resumed run chooses alike.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean

from ge_engine.config import RunConfig
from ge_engine.contracts import Probe
from ge_engine.errors import ConfigError, SeedError
from ge_engine.evaluation.constraints import BEFORE_TRAINING, Feasibility, parse_constraints
from ge_engine.outcome import PROXIES, Rejected
from ge_engine.search.slots import Slot

Group = tuple[Slot, ...]


class Screen:
    """The groups of a generation, and how their children are ranked."""

    def __init__(self, config: RunConfig, drawn: Sequence[Slot]) -> None:
        """`drawn` are the slots of a generation but those whose child was made by hand, which is always
        trained."""
        size, number = config.screen, len(drawn) if config.screen > 1 else 0
        self.groups: list[Group] = [tuple(drawn[at : at + size]) for at in range(0, number, size)]
        self._screened = {slot for group in self.groups for slot in group}
        self._feasible = _feasibility(config)

    def chooses(self, slot: Slot) -> bool:
        """Whether it depends on others whether the child of `slot` is trained."""
        return slot in self._screened

    def order(self, probes: Mapping[Slot, Probe]) -> list[Slot]:
        """The children that passed the checks by their rank, the best first. What breaks a constraint that is
        known before training comes last, for it is not trained; equal ranks go by the children's numbers."""
        slots = sorted(probes)
        means = dict(zip(slots, mean_ranks([probes[slot].facts for slot in slots]), strict=True))
        return sorted(slots, key=lambda slot: (bool(self._broken(probes[slot])), means[slot], slot))

    def rejections(self, probes: Mapping[Slot, Probe]) -> tuple[Slot, dict[Slot, Rejected]]:
        """Of a group's children that passed the checks: the one to be trained, and why the others are not."""
        best, *others = self.order(probes)
        return best, {slot: self._rejected(probes[slot], best, probes[best]) for slot in others}

    def _rejected(self, probe: Probe, best: Slot, other: Probe) -> Rejected:
        why = self._broken(probe) or compared(probe.facts, other.facts)
        return Rejected("screen", f"{best.id} is trained in its place ({why})")

    def _broken(self, probe: Probe) -> str:
        """The constraint that the untrained network breaks; "" where it breaks none, or that is not known."""
        known = all(name in probe.facts for name in BEFORE_TRAINING)
        broken = self._feasible.broken_before(probe.facts) if known else None
        return broken.reason if broken else ""


def _feasibility(config: RunConfig) -> Feasibility:
    """The run's constraints, without those on figures that its evaluator alone knows."""
    found = Feasibility()
    for text in config.constraints:
        try:
            one = parse_constraints([text], config.objective_names)
        except ConfigError:  # its evaluator has read it
            continue
        found = Feasibility((*found.before, *one.before), (*found.after, *one.after))
    return found


def mean_ranks(figures: Sequence[Mapping[str, float]]) -> list[float]:
    """The mean of the ranks by each proxy, the best first and counted from 1; equal figures share a rank.
    Those without a figure share the last."""
    ranks = [ranks_of([one.get(name) for one in figures]) for name in PROXIES]
    return [fmean(together) for together in zip(*ranks, strict=True)]


def ranks_of(values: Sequence[float | None]) -> list[int]:
    """1 + how many are larger; all that are there are larger than what is not."""
    known = [one for one in values if one is not None]
    return [1 + (len(known) if one is None else sum(other > one for other in known)) for one in values]


def compared(mine: Mapping[str, float], best: Mapping[str, float]) -> str:
    """The proxies of a child beside those of the one that was chosen: "synflow 3.2 to 4.1, jacob_cov none to
    -40"."""
    return ", ".join(f"{name} {_shown(mine, name)} to {_shown(best, name)}" for name in PROXIES)


def _shown(figures: Mapping[str, float], name: str) -> str:
    return f"{figures[name]:.6g}" if name in figures else "none"


def require_proxies(probe: Probe) -> None:
    """Raises SeedError where the probe of the seed model has no proxy, by which nothing could be chosen."""
    if not probe.facts.keys() & set(PROXIES):
        raise SeedError(
            f"Neither {' nor '.join(PROXIES)} can be computed for the seed model, by which --screen chooses: "
            "its answers have no gradient by its weights or its images.",
            "Leave --screen out.",
        )


def lacking_proxies(probe: Probe) -> str:
    """What a user is told of a seed model that lacks one of the proxies; "" where it has them all."""
    missing = " and ".join(name for name in PROXIES if name not in probe.facts)
    return f"the seed model has no {missing}: children without it rank by the rest" if missing else ""
