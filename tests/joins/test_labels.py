"""README: a child trains "without the labels it is scored on". All that is handed to workers is searched."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from ge_engine.contracts import Dataset, Job
from ge_engine.evaluation.fork_server.client import ForkServerExecutor
from ge_engine.evaluation.protocol.messages import JobSpec
from ge_engine.outcome import Scored
from tests.evaluation import data, genome, shop
from tests.patience import PATIENT

FORMS = ("int64", "int32", "int16", "int8", "float32", "float64", ">i8")


class Handed(ForkServerExecutor):
    """The real executor, which remembers all that goes to the fork server."""

    everything: list[bytes]
    names: list[str]

    def __init__(self, session: Any, arrays: Sequence[memoryview], *rest: Any) -> None:
        Handed.names = list(session.arrays)
        Handed.everything = [bytes(array) for array in arrays]
        Handed.everything.append(json.dumps(asdict(session)).encode())
        super().__init__(session, arrays, *rest)

    def submit(self, spec: JobSpec) -> Any:
        Handed.everything.append(json.dumps(asdict(spec)).encode())
        return super().submit(spec)


def forms(labels: np.ndarray[Any, Any]) -> Iterator[bytes]:
    """The labels as any of the usual numbers, one-hot, and as text."""
    for kind in FORMS:
        yield labels.astype(kind).tobytes()
        yield np.eye(int(labels.max()) + 1)[labels].astype(kind).tobytes()
    yield json.dumps(labels.tolist()).encode()
    yield json.dumps(labels.tolist(), separators=(",", ":")).encode()


def test_labels_that_are_scored_on_among_what_workers_get(tmp_path: Path) -> None:
    dataset: Dataset = data()
    seed = genome()
    with shop(tmp_path, seed, dataset, executor=Handed, workers=1) as evaluation:
        for split in ("validation", "test", "both"):
            outcome = evaluation.submit(Job(split, seed, 0, split)).result(PATIENT)  # type: ignore[arg-type]
            assert isinstance(outcome, Scored), outcome
    assert Handed.names == ["train", "labels", "validation", "test"]
    assert Handed.everything[1] == dataset.train.labels.numpy().tobytes()
    scratch = [file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()]
    for split in (dataset.validation, dataset.test):
        for pattern in forms(split.labels.numpy()[:40]):
            assert not [n for n, held in enumerate([*Handed.everything, *scratch]) if pattern in held]
