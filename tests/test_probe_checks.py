"""Rungs that need the model: each rejects its own fault, and nothing of the seed's."""

from __future__ import annotations

from typing import Any, cast

import pytest

from ge_engine.contracts import Candidate, Check, Probe
from ge_engine.outcome import Rejected
from ge_plugins.probe_checks import ge_checks

RUNGS: dict[str, Check] = {rung.name: rung for rung in ge_checks()}
GOOD: dict[str, Any] = {"output_shape": (8, 4), "fingerprint": "f0"}
SEED = Probe(**{**GOOD, "without_gradient": frozenset({"a", "b", "c"}), "unregistered": ("old (Linear)",)})


def candidate(seen: str | None = None, **probe: Any) -> Candidate:
    nothing = cast("Any", None)
    return Candidate(
        nothing, nothing, nothing, SEED, Probe(**{**GOOD, **probe}), lambda _: None, lambda _: seen
    )


BAD: dict[str, tuple[Candidate, str]] = {
    "build": (
        candidate(stage="forward", error="ValueError: no (line 3, in Net.forward)"),
        "line 3, in Net.forward",
    ),
    "shape": (candidate(output_shape=(8, 5)), r"\(8, 5\) where \(8, 4\)"),
    "finite": (candidate(finite=False), "NaN"),
    "gradient": (candidate(without_gradient=frozenset({"a", "head.weight"})), r"reaches head\.weight$"),
    "registered": (candidate(unregistered=("layers (Linear)",)), "layers"),
    "same function": (candidate(seen="g1s3"), "g1s3"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_fault_that_its_rung_lets_through(name: str) -> None:
    bad, reason = BAD[name]
    rejected = RUNGS[name].check(bad)
    assert isinstance(rejected, Rejected)
    assert rejected.stage == name
    import re

    assert re.search(reason, rejected.reason), rejected.reason


@pytest.mark.parametrize("name", BAD)
def test_a_good_candidate_that_a_rung_rejects(name: str) -> None:
    good = candidate(without_gradient=frozenset({"a", "c"}), unregistered=("old (Linear)",))
    assert RUNGS[name].check(good) is None


def test_rungs_in_an_order_that_hides_the_cause() -> None:
    assert sorted(RUNGS, key=lambda name: RUNGS[name].order) == list(BAD)
    assert {rung.kind for rung in RUNGS.values()} == {"probe"}


def test_a_reason_as_long_as_the_model() -> None:
    many = candidate(without_gradient=frozenset(f"layer{n}" for n in range(500)))
    rejected = RUNGS["gradient"].check(many)
    assert rejected is not None
    assert len(rejected.reason) < 120
    assert "495 more" in rejected.reason
