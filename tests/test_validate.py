"""The check pipeline: order, first rejection, and checks that fail themselves."""

from __future__ import annotations

from typing import Literal

import doubles

from ge_engine.contracts import Candidate, Probe
from ge_engine.outcome import Rejected
from ge_engine.patch import Patch
from ge_engine.search.check_pipeline import CheckPipeline, Rewrite, nobody


class Named:
    def __init__(
        self, name: str, order: int, kind: Literal["static", "probe"] = "static", says: str = ""
    ) -> None:
        self.name = name
        self.order = order
        self.kind = kind
        self.says = says
        self.calls: list[Candidate] = []

    def check(self, candidate: Candidate) -> Rejected | None:
        self.calls.append(candidate)
        if self.says == "raise":
            raise KeyError("lost")
        return Rejected(self.name, self.says) if self.says else None


def rewrite() -> Rewrite:
    genome = doubles.seed().genome
    return Rewrite(genome, genome, Patch("Net", genome.blocks["Net"].code))


def pipeline(*checks: Named) -> CheckPipeline:
    return CheckPipeline(checks, Probe(output_shape=(2, 10)), lambda name: f"plugin '{name}-plugin'")


def test_rungs_that_run_in_the_order_of_registration() -> None:
    late, early = Named("late", 20, says="too late"), Named("early", 10, says="too early")
    assert pipeline(late, early).static(rewrite(), nobody) == Rejected("early", "too early")
    assert not late.calls


def test_rungs_that_run_in_the_order_of_their_names() -> None:
    """Cheap ones first; the name decides only between equals."""
    cheap, dear = Named("z", 10, says="cheap"), Named("a", 20, says="dear")
    assert pipeline(dear, cheap).static(rewrite(), nobody) == Rejected("z", "cheap")
    assert pipeline(Named("z", 20, says="cheap"), dear).static(rewrite(), nobody) == Rejected("a", "dear")


def test_a_pipeline_that_goes_on_after_a_rejection() -> None:
    first, second = Named("first", 1), Named("second", 2, says="no")
    third = Named("third", 3)
    assert pipeline(first, second, third).static(rewrite(), nobody) == Rejected("second", "no")
    assert (len(first.calls), len(third.calls)) == (1, 0)


def test_a_probe_check_that_runs_without_a_probe() -> None:
    static, probed = Named("static", 1), Named("probed", 1, "probe")
    checks = pipeline(static, probed)
    assert checks.static(rewrite(), nobody) is None
    assert not probed.calls
    seen = Probe(fingerprint="f")
    assert checks.probed(rewrite(), seen, nobody, lambda _: "g0s1") is None
    (candidate,) = probed.calls
    assert candidate.probe is seen
    assert candidate.seed_probe.output_shape == (2, 10)
    assert candidate.seen_function("f") == "g0s1"
    assert len(static.calls) == 1


def test_a_failing_check_that_ends_the_run_or_admits() -> None:
    rejected = pipeline(Named("bad", 1, says="raise"), Named("after", 2)).static(rewrite(), nobody)
    assert rejected is not None
    assert rejected.stage == "plugin"
    assert "'bad'" in rejected.reason
    assert "'bad-plugin'" in rejected.reason
    assert "KeyError" in rejected.reason


def test_a_reason_that_no_ledger_can_hold() -> None:
    assert pipeline(Named("odd", 1, says="cut \ud83d off")).static(rewrite(), nobody) == Rejected(
        "odd", "cut ? off"
    )
