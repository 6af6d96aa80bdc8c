"""A score that was begun for a child and then belongs to nobody leaves the run database."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import doubles
import pytest

from ge_engine import loop
from ge_engine.contracts import Probe
from ge_engine.genome import Genome
from ge_engine.ledger.history import History
from ge_engine.outcome import Rejected
from ge_engine.runs.audit import check

REGISTRY = doubles.registry()
KINDS = 6


def alike(genome: Genome) -> Probe:
    """A probe by which a run has only a few functions: other code, the same function."""
    return doubles.Probe(
        output_shape=(2, 10),
        facts={"parameters": doubles.figures(genome)["parameters"]},
        fingerprint=f"function {int(genome.digest[:8], 16) % KINDS}",
    )


def backwards(model: doubles.Scripted, requests: Any) -> Any:
    for index in reversed(range(len(requests))):
        yield index, model._reply(requests[index])


@pytest.mark.parametrize("schedule", ["generational", "steady"])
def test_a_score_of_nobody_that_stays_in_the_ledger(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, schedule: str
) -> None:
    """Replies come last slot first, so that a later twin is trained before the slot that stands for it."""
    monkeypatch.setattr(doubles, "_probe", alike)
    monkeypatch.setattr(doubles.Scripted, "generate", backwards)
    trained: list[str] = []
    digests: dict[str, str] = {}

    def submit(evaluation: Any, job: Any) -> Future[Any]:
        digests[job.key] = job.genome.digest
        return doubles._done(doubles._score(job))

    monkeypatch.setattr(doubles.Instant, "submit", submit)

    def watch(name: str, data: Mapping[str, Any]) -> None:
        if name == "submitted":
            trained.append(data["individual"])

    config = doubles.config(llm="scripted:good", schedule=schedule, workers=1, generations=3, population=8)
    loop.run(doubles.seed(), config, REGISTRY, tmp_path / "run", watch)
    assert check(tmp_path / "run") == []
    with History(tmp_path / "run") as history:
        everybody = [one for one in history.individuals() if not isinstance(one.outcome, Rejected)]
        admitted = {one.genome.digest for one in everybody if one.genome}
        void = {digests[name] for name in trained} - admitted
        assert void, "no twin was trained before it was found out: the test shows nothing"
        assert not void & set(history.scores())
        assert set(history.scores()) == admitted
        assert history.evaluations() == len(admitted)
