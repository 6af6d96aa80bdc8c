"""A report is what generated code may have written: each field is judged, the candidate is to blame."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ge_engine.evaluation.checkpoints import Checkpoints, room_for
from ge_engine.evaluation.costs import figures, within
from ge_engine.evaluation.data.shared_arrays import arrays_for
from ge_engine.evaluation.executor import WorkerExit
from ge_engine.evaluation.exit_status import Kills, probe_of, report_of
from ge_engine.evaluation.protocol import claims
from ge_engine.evaluation.protocol.messages import (
    _HEAD,
    BEGUN,
    CHECKPOINT_LIMIT,
    REPORT_LIMIT,
    BadReport,
    JobSpec,
    WorkerReport,
    own_fault,
    pack_report,
    unpack_report,
)
from ge_engine.outcome import Failed

TOKEN = bytes(range(16))
PROBED = dict.fromkeys(claims.PROBED, 7.0)
TRAINED = dict.fromkeys(claims.TRAINED, 7.0)
SEEN = {
    "output_shape": [8, 4],
    "finite": True,
    "without_gradient": ["a"],
    "unregistered": [],
    "executed": ["Net"],
    "class_parameters": {"Net": 7},
    "fingerprint": "0" * 64,
    "graph": "",
    "modules": [],
}


def order(kind: str = "train", **fields: Any) -> JobSpec:
    return JobSpec("x", kind, {"": ""}, "d", 0, "validation", 9.0, TOKEN.hex(), **fields)


def packed(text: bytes, logits: bytes = b"", checkpoint: bytes = b"") -> bytes:
    return TOKEN + _HEAD.pack(len(text), len(logits), len(checkpoint), 0) + text + logits + checkpoint


def said(**fields: Any) -> bytes:
    whole = {"stage": "", "kind": "", "error": "", "facts": TRAINED, "curve": [], "probe": {}} | fields
    return json.dumps(whole).encode()


def judged(data: bytes, asked: JobSpec | None = None) -> WorkerReport | Failed:
    return report_of(WorkerExit(0, "", data, ""), asked or order(), Kills(lambda: 0))


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text() | st.just(10**400),
    lambda one: st.lists(one, max_size=3) | st.dictionaries(st.text(), one, max_size=3),
    max_leaves=8,
)
NAMES = st.sampled_from(["stage", "kind", "error", "facts", "curve", "probe"])


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(NAMES, JSON), st.sampled_from(["probe", "again", "train"]))
def test_a_report_that_raises_where_it_is_read(fields: dict[str, Any], kind: str) -> None:
    report = judged(BEGUN + packed(said(**fields)), order(kind))
    probe = probe_of(report)
    json.dumps(dataclasses.asdict(probe), default=sorted, allow_nan=False).encode()
    if isinstance(report, Failed):
        assert report.fault == "candidate"


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(st.sampled_from(sorted(SEEN)), JSON))
def test_a_probe_that_raises_where_it_is_read(fields: dict[str, Any]) -> None:
    report = judged(packed(said(facts=PROBED, probe=SEEN | fields)), order("probe"))
    probe = within(probe_of(report), 2**30)
    assert all(0 <= side <= 2**40 for side in probe.output_shape)
    json.dumps(dataclasses.asdict(probe), default=sorted, allow_nan=False).encode()


def test_an_honest_report_that_is_refused() -> None:
    report = WorkerReport(
        facts=TRAINED,
        curve=({"epoch": 1, "loss": 0.5, "accuracy": 0.1, "lr": 1e-3},),
        logits=b"1234",
        checkpoint=b"c",
    )
    data = pack_report(report, TOKEN)
    assert unpack_report(data, TOKEN) == report
    assert judged(BEGUN + data, order(room=1)) == report
    probe = probe_of(judged(packed(said(facts=PROBED, probe=SEEN)), order("probe")))
    assert (probe.stage, probe.output_shape, probe.facts) == ("", (8, 4), PROBED)


MALFORMED = {
    "missing facts": said(facts={}),
    "a figure below nothing": said(facts=TRAINED | {"registered": -1e6}),
    "half a parameter": said(facts=TRAINED | {"registered": 0.5}),
    "a count that is true": said(facts=TRAINED | {"steps": True}),
    "a number beyond all floats": said(facts=TRAINED | {"registered": 10**400}),
    "NaN": said(facts=TRAINED | {"latency": float("nan")}),
    "a latency of no time": said(facts=TRAINED | {"latency": 0.0}),
    "a figure of another name": said(facts=TRAINED | {"\ud800": 1.0}),
    "epochs in disorder": said(curve=[{"epoch": 2, "loss": 1, "accuracy": 1, "lr": 1}]),
    "another curve": said(curve=[{"epoch": 1, "x" * 1000: 1}]),
    "a stage of another name": said(stage="heaven", kind="error"),
    "a kind of another name": said(stage="train", kind="victory"),
    "a failure without a stage": said(kind="error"),
    "a failure without a kind": said(stage="train"),
    "a list": b"[1, 2]",
    "depth": b'{"stage": ' + b"[" * 200_000,
    "5,000 digits": b'{"stage": 1' + b"0" * 5000 + b"}",
    "no UTF-8": b'{"stage": "\xff"}',
    "text without end": b" " * (REPORT_LIMIT + 1),
}


@pytest.mark.parametrize("text", MALFORMED.values(), ids=MALFORMED)
def test_a_malformed_report_that_is_believed(text: bytes) -> None:
    failed = judged(BEGUN + packed(text))
    assert isinstance(failed, Failed)
    assert (failed.stage, failed.kind, failed.fault) == ("train", "crash", "candidate")
    assert len(failed.reason) < 500
    failed.reason.encode()


def test_a_checkpoint_that_nobody_asked_for() -> None:
    data = BEGUN + packed(said(), checkpoint=bytes(11))
    assert isinstance(judged(data), Failed)
    assert isinstance(judged(data, order(room=10)), Failed)
    assert isinstance(judged(data, order(room=11)), WorkerReport)


def test_a_fault_of_the_engine_that_a_candidate_claims() -> None:
    for error, fault in ((ValueError("x"), "engine"), (OSError("x"), "infrastructure")):
        data = pack_report(own_fault(error), TOKEN)
        before, after = judged(data), judged(BEGUN + data)
        assert isinstance(before, Failed)
        assert isinstance(after, Failed)
        assert (before.fault, after.fault) == (fault, "candidate")


def test_words_that_utf_8_cannot_hold() -> None:
    report = judged(packed(said(stage="train", kind="error", error="a \ud800 b")))
    assert isinstance(report, WorkerReport)
    assert report.error == "a ? b"


def test_a_cost_that_the_later_of_two_processes_lowers() -> None:
    probed = {"parameters": 50.0, "hidden_weights": 3.0, "flops": 20.0, "size_on_disk": 8.0}
    trained = {"registered": 40.0, "flops": 30.0, "size_on_disk": 4.0, "latency": 0.5}
    found = figures(probed, trained)
    assert [found[name] for name in ("parameters", "flops", "size_on_disk", "latency")] == [50, 30, 8, 0.5]
    assert figures(probed, trained | {"registered": 60.0})["parameters"] == 60


def test_more_weights_than_memory() -> None:
    probe = probe_of(judged(packed(said(facts=PROBED | {"parameters": 2.0**40}, probe=SEEN)), order("probe")))
    assert within(probe, 2**41).stage == ""
    assert within(probe, 2**30).stage == "run"


def test_weights_that_take_more_bytes_than_there_is_memory() -> None:
    """A checkpoint may be several times as large, and is kept."""
    report = said(facts=PROBED | {"size_on_disk": 2.0**40}, probe=SEEN)
    probe = probe_of(judged(packed(report), order("probe")))
    assert within(probe, 2**41).stage == ""
    assert within(probe, 2**30).stage == "run"


def test_checkpoints_that_fill_the_disk(tmp_path: Path) -> None:
    kept = Checkpoints(tmp_path, limit=250)
    for number in range(4):
        kept.put(f"d{number}", 0, bytes(100))
    assert [kept.latest(f"d{number}", 0) is not None for number in range(4)] == [False, False, True, True]
    kept.put("large", 0, bytes(1000))
    assert kept.latest("large", 0) is not None
    assert len(list(tmp_path.iterdir())) == 1


def test_a_checkpoint_of_a_small_network_with_room_for_a_large_one() -> None:
    assert room_for(2_090_608) < 2**25
    assert room_for(1e18) == CHECKPOINT_LIMIT


def test_images_of_another_split_in_a_worker() -> None:
    jobs = {"probe": (), "train": ("train", "labels", "validation"), "again": ("validation",)}
    for kind, parts in jobs.items():
        assert arrays_for(order(kind)) == parts
    split = dataclasses.replace(order("train"), split="test")
    assert arrays_for(split) == ("train", "labels", "test")
    assert arrays_for(dataclasses.replace(split, split="both"))[2:] == ("validation", "test")


def test_a_token_that_does_not_fit() -> None:
    with pytest.raises(BadReport):
        unpack_report(packed(said()), bytes(16))
