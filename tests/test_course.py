"""Trainings by rungs, averaged weights, pace and divergence."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from ge_engine.config import Recipe
from ge_engine.evaluation.data.batches import Images
from ge_engine.evaluation.train.divergence import Diverged
from ge_engine.evaluation.train.ema import Ema
from ge_engine.evaluation.train.optimizers import default_optimizer
from ge_engine.evaluation.train.rung import Rung, TrainingData, TrainResult
from ge_engine.evaluation.train.state import tensors_of
from ge_engine.evaluation.train.step_timer import GROUP_STEPS, StepTimer, TooSlow
from ge_engine.evaluation.train.trainer import train


class Dicey(nn.Module):
    """Draws from every random generator there is, and keeps a buffer that no state dict holds."""

    scale: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 6, 3)
        self.norm = nn.BatchNorm2d(6)
        self.drop = nn.Dropout(0.3)
        self.head = nn.Linear(6, 4)
        self.register_buffer("scale", torch.ones(1), persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.training:
            self.scale.mul_(1 + 0.01 * random.random() + 0.01 * float(np.random.rand()))
        return self.head(self.drop(torch.relu(self.norm(self.conv(x))).mean((2, 3)))) * self.scale


def lesson(count: int = 48) -> TrainingData:
    generator = torch.Generator().manual_seed(3)
    pixels = torch.randint(0, 256, (count + 9, 8, 8, 3), dtype=torch.uint8, generator=generator)
    labels = torch.randint(4, (count,), generator=generator)
    mean, std = torch.full((3,), 127.0), torch.full((3,), 70.0)
    return TrainingData(Images(pixels[:count], mean, std, 8), labels, Images(pixels[count:], mean, std, 8), 4)


def recipe(**changes: object) -> Recipe:
    values = {"epochs": 5, "batch_size": 16, "jitter": 0.1, **changes}
    return Recipe(**values)  # type: ignore[arg-type]


def trained(made: Recipe, rung: Rung | None = None) -> TrainResult:
    return train(Dicey, default_optimizer, lesson(), made, 7, rung=rung or Rung())


def assert_equal(one: TrainResult, other: TrainResult) -> None:
    assert one.curve == other.curve
    assert torch.equal(one.logits, other.logits)
    mine, theirs = tensors_of(one.model), tensors_of(other.model)
    assert mine.keys() == theirs.keys()
    assert all(torch.equal(tensor, theirs[name]) for name, tensor in mine.items())


@settings(max_examples=8, deadline=None)
@given(
    st.lists(st.integers(1, 4), max_size=3, unique=True).map(sorted),
    st.sampled_from(["cosine", "plateau", "constant"]),
    st.sampled_from([0.0, 0.9]),
    st.sampled_from([0, 2]),
)
def test_a_stage_that_goes_on_as_if_there_had_been_a_break(
    cuts: list[int], schedule: str, ema: float, norm_batches: int
) -> None:
    made = recipe(lr_schedule=schedule, ema=ema, norm_batches=norm_batches)
    checkpoint = b""
    for epochs in cuts:
        checkpoint = trained(made, Rung(epochs=epochs, checkpoint=checkpoint, keep=True)).checkpoint
        assert checkpoint
    assert_equal(trained(made, Rung(checkpoint=checkpoint)), trained(made))


def test_a_stage_that_begins_again_from_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its result would be the same: only the steps that are done again tell."""
    passes: list[bool] = []
    plain = Dicey.forward

    def forward(self: Dicey, x: torch.Tensor) -> torch.Tensor:
        passes.append(self.training)
        return plain(self, x)

    monkeypatch.setattr(Dicey, "forward", forward)
    made = recipe(epochs=5, norm_batches=0)
    first = trained(made, Rung(epochs=3, keep=True))
    assert sum(passes) == 3 * 3
    passes.clear()
    second = trained(made, Rung(checkpoint=first.checkpoint))
    assert sum(passes) == 2 * 3
    assert (first.steps, second.steps) == (9, 15)


@pytest.mark.parametrize("spoilt", [b"no checkpoint", b"short"])
def test_a_lost_checkpoint_that_changes_the_result(spoilt: bytes) -> None:
    made = recipe(epochs=2)
    whole = trained(made, Rung(epochs=1, keep=True)).checkpoint
    bytes_ = whole[: len(whole) // 2] if spoilt == b"short" else spoilt
    assert_equal(trained(made, Rung(checkpoint=bytes_)), trained(made))


def test_a_checkpoint_that_runs_code() -> None:
    import io
    import pickle

    class Evil:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return (eval, ("1/0",))

    file = io.BytesIO()
    torch.save({"tensors": Evil()}, file, pickle_module=pickle)
    made = recipe(epochs=1)
    assert_equal(trained(made, Rung(checkpoint=file.getvalue())), trained(made))


def test_a_plateau_that_has_ended_and_goes_on() -> None:
    made = recipe(lr_schedule="plateau", lr=0.00101, epochs=9)
    whole = trained(made)
    assert len(whole.curve) < 9
    first = trained(made, Rung(epochs=8, keep=True))
    assert_equal(trained(made, Rung(checkpoint=first.checkpoint)), whole)


def test_averages_that_are_not_those_by_hand() -> None:
    network = nn.Sequential(nn.Linear(1, 1, bias=False), nn.BatchNorm1d(1))
    average = Ema(network, 0.5)
    weight = network[0].weight
    by_hand = 0.0
    for step, value in enumerate([1.0, 3.0, -2.0, 8.0, 5.0, 5.5, 7.0, -1.0, 2.0, 0.5, 4.0, 6.0], 1):
        with torch.no_grad():
            weight.fill_(value)
        average.update()
        decay = min(0.5, (1 + step) / (10 + step))
        by_hand = value if step == 1 else decay * by_hand + (1 - decay) * value
    with torch.no_grad():
        network[1].running_mean.fill_(9.0)
    average.apply()
    assert weight.item() == pytest.approx(by_hand, rel=1e-6)
    assert network[1].running_mean.item() == 9.0


def test_a_score_of_the_last_weights_where_averages_are_wanted() -> None:
    plain, averaged = trained(recipe()), trained(recipe(ema=0.95))
    assert plain.curve == averaged.curve
    assert not torch.equal(plain.logits, averaged.logits)
    weights, averages = tensors_of(plain.model), tensors_of(averaged.model)
    assert not torch.equal(weights["head.weight"], averages["head.weight"])
    assert torch.allclose(weights["head.weight"], averages["head.weight"], atol=0.3)


class Runaway(nn.Module):
    """Loses more with every step, from the first on, without a NaN."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(3, 4)
        self.steps = 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.steps += self.training
        return self.head(x.mean((2, 3))) * 1.5**self.steps


def test_a_diverging_training_that_uses_up_its_epochs() -> None:
    with pytest.raises(Diverged, match=r"epoch [2-9]: it diverged"):
        train(Runaway, default_optimizer, lesson(), recipe(epochs=20, lr=0.001), 0)


def test_a_healthy_training_that_counts_as_diverged() -> None:
    assert len(trained(recipe(epochs=6, lr=0.5)).curve) == 6


class Timed(Dicey):
    """Its work takes as long as it says, on a clock of its own: the machine may be busy."""

    clock = 0.0
    seconds = 0.01

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        Timed.clock += self.seconds
        return super().forward(x)


class Slow(Timed):
    seconds = 5 * Timed.seconds


def test_a_slow_network_that_trains_to_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    for clock in ("_wall", "_cpu"):
        monkeypatch.setattr(f"ge_engine.evaluation.train.step_timer.{clock}", lambda: Timed.clock)
    made = recipe(epochs=4)
    quick = train(Timed, default_optimizer, lesson(), made, 7).step_seconds
    assert quick == pytest.approx(Timed.seconds)
    rung = Rung(step_seconds=4 * quick)
    assert len(train(Timed, default_optimizer, lesson(), made, 7, rung=rung).curve) == 4
    with pytest.raises(TooSlow):
        train(Slow, default_optimizer, lesson(), made, 7, rung=rung)


def test_a_pace_that_one_slow_step_spoils(monkeypatch: pytest.MonkeyPatch) -> None:
    """By wall time every other step is slow: another program had the core."""
    clocks = {"_wall": 0.0, "_cpu": 0.0}
    for name in clocks:
        monkeypatch.setattr(f"ge_engine.evaluation.train.step_timer.{name}", lambda name=name: clocks[name])
    pace = StepTimer(torch.device("cpu"), 0.005)
    for number in range(GROUP_STEPS):
        pace.begin()
        clocks["_wall"] += 0.9 if number % 2 else 0.001
        clocks["_cpu"] += 0.002
        pace.end()
    assert pace.best == pytest.approx(0.001)


def test_a_rehearsal_of_so_many_steps_that_goes_on() -> None:
    assert trained(recipe(), Rung(steps=4)).steps == 4


def paced(seconds: list[float], limit: float, monkeypatch: pytest.MonkeyPatch) -> StepTimer:
    """The pace of steps that take so many seconds, on a clock of their own."""
    now = [0.0]
    for clock in ("_wall", "_cpu"):
        monkeypatch.setattr(f"ge_engine.evaluation.train.step_timer.{clock}", lambda: now[0])
    pace = StepTimer(torch.device("cpu"), limit)
    for step in seconds:
        pace.begin()
        now[0] += step
        pace.end()
    return pace


def test_a_network_that_slows_down_once_its_pace_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    quick, slow = [0.01] * GROUP_STEPS, [0.1] * GROUP_STEPS
    assert paced(quick * 3, 0.04, monkeypatch).best == pytest.approx(0.01)
    assert paced(quick + slow, 0.0, monkeypatch).best == pytest.approx(0.01)
    with pytest.raises(TooSlow, match="from step 41 on"):
        paced(quick * 2 + slow, 0.04, monkeypatch)
    mostly = [0.01] + [1.0] * (GROUP_STEPS - 1)
    with pytest.raises(TooSlow):
        paced(quick + mostly, 0.04, monkeypatch)
