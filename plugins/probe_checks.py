"""Checks that need the model: it builds, keeps its shape, learns, does what was asked."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

from ge_engine.contracts import Candidate, Check, Probe
from ge_engine.hookspecs import hookimpl
from ge_engine.outcome import Rejected

NAMES_SHOWN = 5


@dataclass(frozen=True, slots=True)
class ProbeCheck(Check):
    """A check that judges what the worker saw; `judge` gives a reason to reject, or ""."""

    name: str
    judge: Callable[[Candidate, Probe], str]
    order: int
    kind: Literal["probe"] = "probe"

    def check(self, candidate: Candidate) -> Rejected | None:
        """Rejected with a reason that a model can act on, or None."""
        if candidate.probe is None:
            return None
        reason = self.judge(candidate, candidate.probe)
        return Rejected(self.name, reason) if reason else None


def builds(_: Candidate, probe: Probe) -> str:
    """The model is imported, built, run and stepped without an error."""
    return f"it stops at {probe.stage}: {probe.error}" if probe.stage else ""


def keeps_shape(candidate: Candidate, probe: Probe) -> str:
    """The output has the shape of the seed model's."""
    wanted = candidate.seed_probe.output_shape
    if probe.output_shape == wanted:
        return ""
    return f"the model returns a tensor of shape {probe.output_shape} where {wanted} is wanted"


def is_finite(_: Candidate, probe: Probe) -> str:
    """The first forward pass gives numbers."""
    return "" if probe.finite else "the model returns NaN or infinity before any training"


def passes_gradient(candidate: Candidate, probe: Probe) -> str:
    """Every parameter learns, except those that do not learn in the seed model either. Their names differ
    where a layer was wrapped, which puts them within it, or a stage before it dropped, which changes
    numbers."""
    seed = candidate.seed_probe
    idle = seed.without_gradient
    layers = {module.path for module in seed.modules if module.path and module.own == module.parameters}
    wrapped = tuple(f"{path}." for path in layers & {name.rpartition(".")[0] for name in idle})
    fresh = sorted(name for name in probe.without_gradient - idle if not name.startswith(wrapped))
    known = Counter(map(_numberless, idle - probe.without_gradient))
    kinds = Counter(map(_numberless, fresh))
    lost = [name for name in fresh if kinds[_numberless(name)] > known[_numberless(name)]]
    return f"no gradient reaches {_listed(lost)}" if lost else ""


def _numberless(name: str) -> str:
    """The name of a parameter without the places of modules in lists: "features.conv.weight"."""
    return ".".join(part for part in name.split(".") if not part.isdecimal())


def registers(candidate: Candidate, probe: Probe) -> str:
    """All modules and weights are attributes that torch registers, as far as the seed model's are."""
    lost = sorted(set(probe.unregistered) - set(candidate.seed_probe.unregistered))
    return f"not registered as a submodule or parameter: {_listed(lost)}; use nn.ModuleList" if lost else ""


def does_as_asked(candidate: Candidate, probe: Probe) -> str:
    """Its parameters and FLOPs are to its parent's as the prompt's goal wants them. What nobody knows is not
    held against it."""
    goal, parent = candidate.goal, candidate.parent_probe
    if goal is None or parent is None:
        return ""
    return goal.broken(*(_share(probe, parent, fact) for fact in ("parameters", "flops")))


def is_new_function(candidate: Candidate, probe: Probe) -> str:
    """It computes something that no individual of this run computes."""
    twin = candidate.seen_function(probe.fingerprint) if probe.fingerprint else None
    return f"it computes the same function as {twin}, before and after a training step" if twin else ""


def _share(probe: Probe, parent: Probe, fact: str) -> float:
    """A figure as a share of the parent's; NaN where one of the two is unknown, or the parent's is 0."""
    figure, whole = (one.facts.get(fact, math.nan) for one in (probe, parent))
    return figure / whole if whole > 0 else math.nan


def _listed(names: list[str]) -> str:
    more = len(names) - NAMES_SHOWN
    return ", ".join(names[:NAMES_SHOWN]) + (f" and {more} more" if more > 0 else "")


@hookimpl
def ge_checks() -> Iterable[Check]:
    """The checks that need a worker, in the order in which a fault shows."""
    yield ProbeCheck("build", builds, 10)
    yield ProbeCheck("shape", keeps_shape, 20)
    yield ProbeCheck("finite", is_finite, 30)
    yield ProbeCheck("gradient", passes_gradient, 40)
    yield ProbeCheck("registered", registers, 50)
    yield ProbeCheck("intent", does_as_asked, 55)
    yield ProbeCheck("same function", is_new_function, 60)
