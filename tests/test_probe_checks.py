"""Checks that need the model: each rejects its own fault, and nothing of the seed's."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any, cast

import pytest

from ge_engine.contracts import Candidate, Check, Goal, ModuleProfile, Probe
from ge_engine.outcome import Rejected
from ge_plugins.probe_checks import ge_checks

CHECKS: dict[str, Check] = {check.name: check for check in ge_checks()}
GOOD: dict[str, Any] = {"output_shape": (8, 4), "fingerprint": "f0"}
SEED = Probe(**{**GOOD, "without_gradient": frozenset({"a", "b", "c"}), "unregistered": ("old (Linear)",)})


def candidate(seen: str | None = None, **probe: Any) -> Candidate:
    nothing = cast("Any", None)
    return Candidate(
        nothing, nothing, nothing, SEED, Probe(**{**GOOD, **probe}), lambda _: None, lambda _: seen
    )


def asked(parent: dict[str, float] | None, child: dict[str, float], **goal: Any) -> Candidate:
    """A candidate with these facts of a parent with those, of which a goal was asked."""
    known = Probe(facts=parent) if parent is not None else None
    return replace(candidate(facts=child), goal=Goal(**goal), parent_probe=known)


SMALLER = {"parameters": (0.0, 0.95)}
BAD: dict[str, tuple[Candidate, str]] = {
    "build": (
        candidate(stage="forward", error="ValueError: no (line 3, in Net.forward)"),
        "line 3, in Net.forward",
    ),
    "shape": (candidate(output_shape=(8, 5)), r"\(8, 5\) where \(8, 4\)"),
    "finite": (candidate(finite=False), "NaN"),
    "gradient": (candidate(without_gradient=frozenset({"a", "head.weight"})), r"reaches head\.weight$"),
    "registered": (candidate(unregistered=("layers (Linear)",)), "layers"),
    "intent": (
        asked({"parameters": 100, "flops": 9}, {"parameters": 98, "flops": 9}, **SMALLER),
        r"^98\.0% of the parent's parameters, where at most 95%",
    ),
    "same function": (candidate(seen="g1s3"), "g1s3"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_fault_that_its_check_lets_through(name: str) -> None:
    bad, reason = BAD[name]
    rejected = CHECKS[name].check(bad)
    assert isinstance(rejected, Rejected)
    assert rejected.stage == name
    import re

    assert re.search(reason, rejected.reason), rejected.reason


@pytest.mark.parametrize("name", BAD)
def test_a_good_candidate_that_a_check_rejects(name: str) -> None:
    good = candidate(without_gradient=frozenset({"a", "c"}), unregistered=("old (Linear)",))
    assert CHECKS[name].check(good) is None


IDLE = replace(
    SEED,
    without_gradient=frozenset({"features.3.fc.weight", "encoder.token"}),
    modules=(
        ModuleProfile("", "Net", own=0, parameters=90),
        ModuleProfile("features.3.fc", "Linear", own=20, parameters=20),
        ModuleProfile("encoder", "Encoder", own=10, parameters=70),
    ),
)


@pytest.mark.parametrize(
    ("idle", "lost"),
    [
        ({"features.3.fc.0.weight", "features.3.fc.1.bias"}, ""),  # the layer was wrapped
        ({"features.2.fc.weight"}, ""),  # a stage before it was dropped
        ({"features.3.fc.inner.weight"}, ""),
        ({"features.2.fc.weight", "features.4.fc.weight"}, "features.2.fc.weight, features.4.fc.weight"),
        ({"features.3.fc2.weight"}, "features.3.fc2.weight"),
        ({"encoder.layer.weight"}, "encoder.layer.weight"),  # another module than what idles beside it
    ],
)
def test_a_layer_that_idles_in_the_seed_and_is_refused_under_another_name(idle: set[str], lost: str) -> None:
    child = replace(candidate(without_gradient=frozenset(idle)), seed_probe=IDLE)
    rejected = CHECKS["gradient"].check(child)
    assert (rejected.reason if rejected else "") == (f"no gradient reaches {lost}" if lost else "")


def test_rungs_in_an_order_that_hides_the_cause() -> None:
    assert sorted(CHECKS, key=lambda name: CHECKS[name].order) == list(BAD)
    assert {check.kind for check in CHECKS.values()} == {"probe"}


def test_a_reason_as_long_as_the_model() -> None:
    many = candidate(without_gradient=frozenset(f"layer{n}" for n in range(500)))
    rejected = CHECKS["gradient"].check(many)
    assert rejected is not None
    assert len(rejected.reason) < 120
    assert "495 more" in rejected.reason


@pytest.mark.parametrize(
    ("parent", "child"),
    [
        ({"parameters": 100, "flops": 9}, {"parameters": 95, "flops": 90}),
        (None, {"parameters": 200, "flops": 9}),
        ({}, {"parameters": 200, "flops": 9}),
        ({"parameters": 100}, {}),
        ({"parameters": 0.0}, {"parameters": 7.0}),
        ({"parameters": math.nan}, {"parameters": 7.0}),
        ({"parameters": 100}, {"parameters": math.nan}),
    ],
    ids=["as asked", "parent never probed", "parent unknown", "child unknown", "of none", "nan", "child nan"],
)
def test_a_figure_that_nobody_knows_held_against_a_child(
    parent: dict[str, float] | None, child: dict[str, float]
) -> None:
    assert CHECKS["intent"].check(asked(parent, child, **SMALLER)) is None


def test_a_bound_of_flops_that_only_parameters_are_held_to() -> None:
    facts = {"parameters": 100.0, "flops": 10.0}
    rejected = CHECKS["intent"].check(asked(facts, {**facts, "flops": 31.0}, flops=(0.0, 3.0)))
    assert isinstance(rejected, Rejected)
    assert "FLOPs" in rejected.reason
    assert CHECKS["intent"].check(asked(facts, {**facts, "flops": 30.0}, flops=(0.0, 3.0))) is None
