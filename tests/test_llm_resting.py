"""A language model beside trainings on one GPU: memory that it would keep from them."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from ge_engine.contracts import Prompt, Request, Sampling
from ge_engine.llm.local import LocalModel
from ge_engine.llm.resting import Residence, residence_of

GPU = torch.device("cuda", 0)
WEIGHTS = 4 * (10 * 10 + 10)


class Moved(nn.Linear):
    """Remembers where it was sent, and stays."""

    def __init__(self) -> None:
        super().__init__(10, 10)
        self.sent: list[str] = []

    def to(self, where: object) -> Moved:  # type: ignore[override]
        self.sent.append(str(where))
        return self


@pytest.fixture(autouse=True)
def given_back(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    calls: list[str] = []
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: calls.append("empty"))
    return calls


def test_a_large_model_keeps_the_gpu_while_candidates_train(given_back: list[str]) -> None:
    model = Moved()
    residence = Residence(model, GPU, WEIGHTS * 4 - 1)
    residence.wake()
    residence.rest()
    assert model.sent == ["cuda:0", "cpu"]
    assert given_back == ["empty"]


def test_a_small_model_is_moved_for_nothing(given_back: list[str]) -> None:
    model = Moved()
    residence = Residence(model, GPU, WEIGHTS * 4)
    residence.wake()
    residence.rest()
    assert model.sent == []
    assert given_back == ["empty"]


def test_a_model_on_the_cpu_touches_a_gpu(given_back: list[str]) -> None:
    residence = residence_of(nn.Linear(3, 3))
    residence.wake()
    residence.rest()
    assert residence.stays
    assert given_back == []


def test_a_model_sleeps_while_it_answers_or_stays_awake_after(
    smollm2: LocalModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    monkeypatch.setattr(smollm2._residence, "wake", lambda: told.append("wake"))
    monkeypatch.setattr(smollm2._residence, "rest", lambda: told.append("rest"))
    for index, _ in smollm2.generate([Request("g0s0/0", Prompt("", "Say hello."), Sampling(0.5, 4, 0))]):
        told.append(f"answer {index}")
    assert told == ["wake", "answer 0", "rest"]
