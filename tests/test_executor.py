"""Faults of the seam for other executors: an executor of one's own, that gets sessions and jobs as bytes."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from ge_engine.config import config_from_dict
from ge_engine.contracts import Job
from ge_engine.evaluation.data.shared_arrays import arrays_for
from ge_engine.evaluation.executor import WorkerExit
from ge_engine.evaluation.protocol.messages import (
    BEGUN,
    JobSpec,
    SessionSpec,
    job_from_json,
    pack_report,
    session_from_json,
    to_json,
)
from ge_engine.evaluation.worker import jobs
from ge_engine.genome import Seed
from ge_engine.outcome import Failed, Scored
from ge_engine.registry import load_registry
from tests.evaluation import shop
from tests.patience import PATIENT

SEED = Path(__file__).parent.parent / "examples" / "plain_cnn.py"


class Elsewhere:
    """Runs one job at a time in a thread, with nothing of this machine but the bytes that were sent."""

    def __init__(
        self,
        folder: Path,
        session: SessionSpec,
        arrays: Sequence[memoryview],
        slots: int,
        devices: Sequence[str],
        result_limit: int,
    ) -> None:
        sent = to_json(replace(session, seed_path="", scratch="", readable=(), places=(), modules={}))
        self._session = replace(session_from_json(sent), seed_path=str(folder / SEED.name))
        parts = zip(self._session.arrays.items(), arrays, strict=True)
        self._data: dict[str, Tensor] = {}
        for (name, array), content in parts:
            kind = torch.int64 if array.dtype == "int64" else torch.uint8
            self._data[name] = torch.frombuffer(bytearray(content), dtype=kind).view(array.shape)
        self._limit = result_limit
        self._pool = ThreadPoolExecutor(1)

    def submit(self, spec: JobSpec) -> Future[WorkerExit]:
        """A pool marks the future as running when the job starts, and ends it in its thread."""
        sent = to_json(replace(spec, token="", sent=0.0, checkpoint="", devices=""))
        return self._pool.submit(self._run, sent, bytes.fromhex(spec.token))

    def _run(self, sent: bytes, token: bytes) -> WorkerExit:
        spec = replace(job_from_json(sent), sent=time.monotonic())
        data = {name: self._data[name] for name in arrays_for(spec)}
        result = pack_report(jobs.run(spec, self._session, data), token)
        assert len(result) <= self._limit
        return WorkerExit(0, "", BEGUN + result, "")

    def close(self) -> None:
        self._pool.shutdown(cancel_futures=True)


class Wordless(Elsewhere):
    """Its workers are gone before the candidate begins."""

    def _run(self, sent: bytes, token: bytes) -> WorkerExit:
        if job_from_json(sent).kind != "train":
            return super()._run(sent, token)
        return WorkerExit(0, "the other machine is switched off", b"", "")


def digits(tmp_path: Path, kind: Callable[..., Elsewhere]) -> Scored | Failed:
    """What becomes of a small network on digits whose jobs run in an executor of `kind`."""
    recipe = {"epochs": 1, "batch_size": 64, "train_limit": 128}
    config = config_from_dict({"recipe": recipe})
    task = load_registry().tasks["digits"].load("", config)
    seed = Seed.load(SEED).genome
    executor = partial(kind, tmp_path / "elsewhere")
    with shop(tmp_path, seed, task, executor, recipe=recipe, timeout=60.0) as evaluation:
        outcome = evaluation.submit(Job("seed", seed, 0)).result(PATIENT)
    assert isinstance(outcome, Scored | Failed)
    return outcome


def test_a_candidate_that_is_trained_through_an_executor_of_ones_own(tmp_path: Path) -> None:
    outcome = digits(tmp_path, Elsewhere)
    assert isinstance(outcome, Scored), outcome
    assert 0.0 < outcome.objectives["accuracy"] <= 1.0
    assert outcome.objectives["parameters"] > 1000


def test_a_machine_that_is_lost_and_blamed_on_the_candidate(tmp_path: Path) -> None:
    outcome = digits(tmp_path, Wordless)
    assert isinstance(outcome, Failed)
    assert (outcome.fault, outcome.reason) == ("infrastructure", "the other machine is switched off")
