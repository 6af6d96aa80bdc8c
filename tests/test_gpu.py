"""On a machine with a CUDA device: `pytest -m gpu`. Training, bfloat16, memory, the language model."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from ge_engine.contracts import Job, Prompt, Request, Sampling
from ge_engine.evaluation import gpu_check
from ge_engine.evaluation.devices import visible_gpus
from ge_engine.evaluation.sandbox import bubblewrap
from ge_engine.evaluation.sandbox.landlock import landlock_version
from ge_engine.evaluation.train_evaluation import TrainEvaluation
from ge_engine.llm.embedded import embedded_model
from ge_engine.llm.local import LocalModel, load_local
from ge_engine.outcome import Failed, Scored
from tests.evaluation import data, genome, outcome_of, shop
from tests.patience import PATIENT

pytestmark = pytest.mark.gpu

SANDBOXES = (*["bwrap"] * (not bubblewrap.why_not()), *["landlock"] * bool(landlock_version()))
TRAINED = 1200
GREEDY = Sampling(temperature=0.0, max_tokens=24, seed=0)
# 3.2 TB in one tensor: more than any device holds.
HUGE = "if training:\n    x = x + torch.zeros(200_000, 4_000_000, device=x.device).sum()"


@pytest.fixture(scope="module")
def evaluation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TrainEvaluation]:
    scratch = tmp_path_factory.mktemp("scratch")
    with shop(scratch, dataset=data(train=TRAINED), workers=1, timeout=120.0, memory_gib=16.0) as opened:
        yield opened


def test_a_training_that_stays_on_the_processor(evaluation: TrainEvaluation) -> None:
    seen = genome(forward="if training:\n    assert x.is_cuda and self.head.weight.is_cuda")
    outcome = outcome_of(evaluation, seen, "placed")
    assert isinstance(outcome, Scored), outcome
    assert outcome.objectives["accuracy"] > 0.5


@pytest.mark.parametrize("sandbox", SANDBOXES)
def test_cuda_that_does_not_start_in_the_sandbox(sandbox: str) -> None:
    assert gpu_check.why_not(sandbox) == ""


def test_candidates_that_share_a_gpu_and_do_not_all_train(tmp_path: Path) -> None:
    with shop(tmp_path, dataset=data(train=TRAINED), workers=4, timeout=120.0, memory_gib=16.0) as opened:
        jobs = [Job(f"c{n}", genome(init=f"self.spare = {n}"), n) for n in range(4)]
        outcomes = [one.result(PATIENT) for one in [opened.submit(job) for job in jobs]]
    assert all(isinstance(one, Scored) for one in outcomes), outcomes


def test_a_probe_that_finds_a_gpu(evaluation: TrainEvaluation) -> None:
    seen = genome(top="if torch.cuda.is_available():\n    raise ValueError('a GPU')")
    assert not evaluation.probe(seen).result(PATIENT).error


def test_an_index_out_of_range_that_is_blamed_on_the_machine(evaluation: TrainEvaluation) -> None:
    outside = (
        "if training:\n    torch.zeros(2, device=x.device)[torch.tensor([5], device=x.device)].sum().item()"
    )
    outcome = outcome_of(evaluation, genome(forward=outside), "outside")
    assert isinstance(outcome, Failed), outcome
    assert (outcome.kind, outcome.fault) == ("error", "candidate")


def test_a_worker_on_another_gpu_than_its_own(evaluation: TrainEvaluation) -> None:
    tell = "if training:\n    raise ValueError(os.environ['CUDA_VISIBLE_DEVICES'])"
    outcome = outcome_of(evaluation, genome(top="import os", forward=tell), "told")
    assert isinstance(outcome, Failed), outcome
    assert f"ValueError: {visible_gpus()[0]}" in outcome.reason


def test_a_gpu_that_trains_in_full_precision_where_bfloat16_pays(evaluation: TrainEvaluation) -> None:
    wanted = "torch.bfloat16" if torch.cuda.is_bf16_supported() else "torch.float16"
    seen = genome(forward=f"if training:\n    assert self.body.conv(x).dtype is {wanted}")
    assert isinstance(outcome_of(evaluation, seen, "precision"), Scored)


def test_full_precision_when_it_is_asked_for(tmp_path: Path) -> None:
    seen = genome(forward="if training:\n    assert self.body.conv(x).dtype is torch.float32")
    with shop(tmp_path, workers=1, timeout=120.0, recipe={"precision": "no"}) as opened:
        assert isinstance(outcome_of(opened, seen), Scored)


def test_a_candidate_without_memory_that_takes_the_next_one_along(evaluation: TrainEvaluation) -> None:
    greedy = outcome_of(evaluation, genome(forward=HUGE), "greedy")
    assert isinstance(greedy, Failed), greedy
    assert (greedy.kind, greedy.fault) == ("out of memory", "candidate")
    following = outcome_of(evaluation, genome(init="self.spare = 1"), "following")
    assert isinstance(following, Scored), following


def test_memory_that_a_dead_candidate_keeps(evaluation: TrainEvaluation) -> None:
    torch.cuda.empty_cache()
    before, _ = torch.cuda.mem_get_info()
    hoard = "self.hoard = torch.ones(256, 1024, 1024, device='cuda' if torch.cuda.is_available() else 'cpu')"
    outcome_of(evaluation, genome(init=hoard), "hoarder")
    after, _ = torch.cuda.mem_get_info()
    assert after > before - 2**28


def test_latency_and_peak_memory_are_those_of_the_device(tmp_path: Path) -> None:
    names = ("accuracy", "latency", "peak_memory")
    with shop(tmp_path, workers=1, timeout=120.0, objectives=names) as opened:
        outcome = outcome_of(opened, genome())
    assert isinstance(outcome, Scored), outcome
    assert all(math.isfinite(value) and value > 0 for value in outcome.objectives.values())


def test_a_language_model_that_stays_on_the_processor_or_answers_otherwise_in_a_batch() -> None:
    model: LocalModel = load_local(str(embedded_model()), "smollm2")
    try:
        assert next(model.model.parameters()).is_cuda
        words = ("Say hello.", "What is a Pareto front?", "Name three optimizers.")
        requests = [Request(f"g0s{n}/0", Prompt("Be terse.", text), GREEDY) for n, text in enumerate(words)]
        replies = dict(model.generate(requests))
        assert sorted(replies) == [0, 1, 2]
        assert all(reply.completion_tokens > 0 and reply.finish != "error" for reply in replies.values())
    finally:
        model.close()


def test_a_closed_language_model_that_keeps_the_gpu() -> None:
    torch.cuda.empty_cache()
    before = torch.cuda.memory_allocated()
    load_local(str(embedded_model()), "smollm2").close()
    assert torch.cuda.memory_allocated() <= before + 2**20
