"""The check pipeline: the checks in order, cheap ones first; the first rejection stops.

Static checks look at code alone. Probe checks look at what the isolated worker saw.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

from ge_engine.contracts import Candidate, Check, Goal, Probe
from ge_engine.errors import with_place
from ge_engine.genome import Genome
from ge_engine.outcome import Rejected, storable
from ge_engine.patch import AnyPatch
from ge_engine.search.calling import checked
from ge_engine.search.repair_feedback import UNTOLD, tellable, words_of

LookUp = Callable[[str], str | None]
ProbeLookUp = Callable[[str], Probe | None]


@dataclass(frozen=True, slots=True)
class Rewrite:
    """A genome, before the checks: with what was patched and how. `goal` is what the last prompt asked of its
    figures. The checks see it as a `Candidate`, with the run around it."""

    genome: Genome
    parent: Genome
    patch: AnyPatch
    goal: Goal | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """A rejection, and what a language model is told of it: `told` never holds a candidate's own words. None
    stands for a child that passed. `twin` is the parent that computes the same, "" where none does."""

    rejected: Rejected
    told: Callable[[], str]
    twin: str = ""

    @classmethod
    def plain(cls, rejected: Rejected) -> Verdict:
        """Of a reason that was found without running anything."""
        return cls(rejected, lambda: rejected.reason)


class CheckPipeline:
    """Runs `checks` by kind and order. A check that raises costs its candidate, and names itself."""

    def __init__(
        self,
        checks: Iterable[Check],
        seed_probe: Probe,
        blame: Callable[[str], str],
        probe_of: ProbeLookUp = lambda _: None,
    ) -> None:
        """`blame(name)` says which plugin brought the check of that name, `probe_of(digest)` what the worker
        saw of a genome of this run."""
        self._checks = sorted(checks, key=lambda check: (check.order, check.name))
        self._seed_probe = seed_probe
        self._blame = blame
        self._probe_of = probe_of

    def static(self, rewrite: Rewrite, seen: LookUp) -> Rejected | None:
        """What can be said from the code alone. `seen` maps a digest to the individual that had it."""
        return self._run("static", self._candidate(rewrite, None, seen, nobody))

    def probed(self, rewrite: Rewrite, probe: Probe, seen: LookUp, seen_function: LookUp) -> Rejected | None:
        """What a build, a forward, a backward and an optimizer step in the worker say."""
        return self._run("probe", self._candidate(rewrite, probe, seen, seen_function))

    def with_feedback(
        self, rewrite: Rewrite, probe: Probe | None, rejected: Rejected, seen: LookUp, seen_function: LookUp
    ) -> Verdict:
        """`rejected`, with what a language model may know of it: what the checks say of a probe without the
        candidate's words; without a probe, that something failed."""

        def told() -> str:
            if self.static(rewrite, seen) == rejected:
                return rejected.reason
            if probe is not None:
                clean = tellable(probe, words_of(rewrite.genome.text))
                again = self.probed(rewrite, clean, seen, seen_function)
                if again is not None and again.stage == rejected.stage:
                    return again.reason
            return f"it failed, and {UNTOLD}"

        return Verdict(rejected, told)

    def _candidate(
        self, rewrite: Rewrite, probe: Probe | None, seen: LookUp, seen_function: LookUp
    ) -> Candidate:
        compared = rewrite.goal is not None and probe is not None
        return Candidate(
            rewrite.genome,
            rewrite.parent,
            rewrite.patch,
            self._seed_probe,
            probe,
            seen,
            seen_function,
            rewrite.goal,
            self._probe_of(rewrite.parent.digest) if compared else None,
        )

    def _run(self, kind: Literal["static", "probe"], candidate: Candidate) -> Rejected | None:
        for check in self._checks:
            if check.kind != kind:
                continue
            try:
                rejected = checked(check, candidate)
            except Exception as error:
                reason = f"the check {check.name!r} of {self._blame(check.name)} failed: {with_place(error)}"
                return Rejected("plugin", reason)
            if rejected is not None:
                return Rejected(storable(rejected.stage), storable(rejected.reason))
        return None


def nobody(_: str) -> str | None:
    """A look-up that has seen nothing."""
    return None
