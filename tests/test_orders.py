"""Reports of a worker are the candidate's word: whatever they hold is a value or one malformed report."""

from __future__ import annotations

import json
import struct
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ge_engine.contracts import Probe
from ge_engine.evaluation.executor import WorkerExit
from ge_engine.evaluation.exit_status import Kills, probe_of, report_of
from ge_engine.evaluation.protocol.messages import (
    BadReport,
    JobSpec,
    WorkerReport,
    pack_report,
    unpack_report,
)
from ge_engine.outcome import Failed

TOKEN = bytes(range(16))
ORDER = JobSpec("a", "train", {"": ""}, "d", 0, "validation", 5.0, TOKEN.hex())
SEEN: dict[str, Any] = {
    "output_shape": [2, 10],
    "finite": True,
    "without_gradient": [],
    "unregistered": [],
    "executed": ["Net"],
    "class_parameters": {"Net": 7},
    "fingerprint": "f",
    "graph": "g",
}
CURVE = ({"epoch": 1.0, "loss": 1.0},)
GOOD = WorkerReport(
    facts={"steps": 3.0}, curve=CURVE, probe=SEEN, logits=b"1234", checkpoint=b"56", weights=b"789"
)
HUGE = int("7" * 400)


def message(
    head: dict[str, Any], logits: bytes = b"", checkpoint: bytes = b"", token: bytes = TOKEN
) -> bytes:
    text = json.dumps(head).encode()
    lengths = struct.pack(">QQQQ", len(text), len(logits), len(checkpoint), 0)
    return token + lengths + text + logits + checkpoint


def head(**changed: Any) -> dict[str, Any]:
    plain = {"stage": "", "kind": "", "error": "", "facts": {}, "curve": [], "probe": {}}
    return {**plain, **changed}


def test_a_report_that_comes_back_changed() -> None:
    assert unpack_report(pack_report(GOOD, TOKEN), TOKEN) == GOOD
    assert unpack_report(message(head()), TOKEN) == WorkerReport()


def test_an_error_that_utf8_cannot_hold() -> None:
    report = unpack_report(message(head(stage="train", error="a \ud800 b")), TOKEN)
    assert report.error.encode("utf-8") == b"a ? b"


MALFORMED: dict[str, bytes] = {
    "nothing": b"",
    "another token": pack_report(GOOD, bytes(16)),
    "a byte more": pack_report(GOOD, TOKEN) + b"x",
    "a byte less": pack_report(GOOD, TOKEN)[:-1],
    "two reports": pack_report(GOOD, TOKEN) * 2,
    "a huge length": TOKEN + struct.pack(">QQQQ", 2**63, 2**63, 2, 0) + b"{}",
    "no JSON": TOKEN + struct.pack(">QQQQ", 1, 0, 0, 0) + b"{",
    "deep JSON": TOKEN + struct.pack(">QQQQ", 200_000, 0, 0, 0) + b"[" * 200_000,
    "a list": message([1]),  # type: ignore[arg-type]
    "a field less": message({"stage": ""}),
    "a stage that is a number": message(head(stage=1)),
    "facts that are a list": message(head(facts=[1])),
    "a fact that is text": message(head(facts={"a": "x"})),
    "a fact that is nothing": message(head(facts={"a": None})),
    "a fact of 400 digits": message(head(facts={"parameters": HUGE})),
    "a curve of 400 digits": message(head(curve=[{"loss": HUGE}])),
    "a curve that is a number": message(head(curve=3)),
    "a probe that is text": message(head(probe="x")),
}


@pytest.mark.parametrize("data", MALFORMED.values(), ids=MALFORMED)
def test_a_report_that_is_taken_though_malformed(data: bytes) -> None:
    with pytest.raises(BadReport):
        unpack_report(data, TOKEN)
    ended = report_of(WorkerExit(0, "", data, ""), ORDER, Kills())
    assert isinstance(ended, Failed)
    assert (ended.kind, ended.fault) == ("crash", "candidate")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("output_shape", [float("inf"), 10]),
        ("output_shape", ["x"]),
        ("output_shape", 7),
        ("class_parameters", {"Net": float("inf")}),
        ("class_parameters", {"Net": float("nan")}),
        ("class_parameters", [1]),
        ("executed", 5),
        ("executed", None),
        ("unregistered", {"a": 1}),
    ],
)
def test_a_probe_that_ends_the_run_though_malformed(name: str, value: Any) -> None:
    probe = probe_of(replace(GOOD, probe={**SEEN, name: value}))
    assert probe.stage == "run"
    assert "malformed" in probe.error


NAMES = st.sampled_from([*SEEN, "a"])
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=8,
)


@given(ANYTHING, st.sampled_from(["facts", "curve", "probe", "stage", "error"]), st.sampled_from([*SEEN]))
def test_a_report_that_raises_something_else(value: Any, name: str, inner: str) -> None:
    try:
        report = unpack_report(message(head(**{name: value})), TOKEN)
    except BadReport:
        return
    assert isinstance(probe_of(report), Probe)
    assert isinstance(probe_of(replace(GOOD, probe={**SEEN, inner: value})), Probe)
