"""The trainer: batches, augmentation, schedules, what it refuses to go on with."""

from __future__ import annotations

import math
from types import ModuleType

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from ge_engine.config import Recipe
from ge_engine.evaluation.data.batches import Images, batch_bounds, shuffled
from ge_engine.evaluation.data.draws import Augmentation
from ge_engine.evaluation.measure.inference import logits_of, predict
from ge_engine.evaluation.train.batch_norm import recompute_statistics
from ge_engine.evaluation.train.divergence import NotFinite, require_finite
from ge_engine.evaluation.train.lr_scheduler import LRScheduler
from ge_engine.evaluation.train.optimizers import default_optimizer, optimizer_of
from ge_engine.evaluation.train.rung import TrainingData
from ge_engine.evaluation.train.trainer import train


def images(count: int, size: int = 8, side: int = 0) -> Images:
    pixels = torch.arange(count, dtype=torch.uint8).view(-1, 1, 1, 1).repeat(1, size, size, 3)
    return Images(pixels, torch.zeros(3), torch.ones(3), side or size)


@given(st.integers(1, 500), st.integers(2, 64))
def test_an_image_that_no_batch_holds_or_two_do(count: int, batch_size: int) -> None:
    bounds = batch_bounds(count, batch_size)
    covered = [index for start, stop in bounds for index in range(start, stop)]
    assert covered == list(range(count))
    assert count == 1 or all(stop - start > 1 for start, stop in bounds)


@settings(max_examples=20)
@given(st.integers(2, 90), st.integers(0, 2**31))
def test_an_epoch_that_repeats_or_drops_an_image(count: int, rng_seed: int) -> None:
    data = images(count)
    generator = torch.Generator().manual_seed(rng_seed)
    seen = [
        (int(image[0, 4, 4]), int(label))
        for batch, labels in shuffled(data, torch.arange(count), 16, Augmentation(), generator)
        for image, label in zip(batch, labels, strict=True)
    ]
    assert sorted(seen) == [(index, index) for index in range(count)]


def test_augmentation_that_mixes_images_or_invents_pixels() -> None:
    data = images(64, size=32)
    augmentation = Augmentation(mirror=True, shift=True)
    for batch, labels in shuffled(data, torch.arange(64), 16, augmentation, torch.Generator().manual_seed(0)):
        assert all(bool((image == label).all()) for image, label in zip(batch, labels, strict=True))


def test_a_mirror_or_shift_that_never_happens() -> None:
    pixels = torch.randint(0, 256, (64, 32, 32, 3), dtype=torch.uint8)
    data = Images(pixels, torch.zeros(3), torch.ones(3), 32)
    kinds: dict[str, int] = {"same": 0, "mirrored": 0, "moved": 0}
    for augmentation in (Augmentation(mirror=True), Augmentation(shift=True)):
        for batch, labels in shuffled(
            data, torch.arange(64), 64, augmentation, torch.Generator().manual_seed(1)
        ):
            for image, label in zip(batch, labels, strict=True):
                original = pixels[label].permute(2, 0, 1).float()
                if torch.equal(image, original):
                    kinds["same"] += 1
                elif torch.equal(image, original.flip(2)):
                    kinds["mirrored"] += 1
                else:
                    inner = original[:, 8:24, 8:24]
                    shifts = [(y, x) for y in range(-2, 3) for x in range(-2, 3)]
                    assert any(
                        torch.equal(image[:, 8 - y : 24 - y, 8 - x : 24 - x], inner) for y, x in shifts
                    )
                    kinds["moved"] += 1
    assert 20 < kinds["mirrored"] < 44
    assert 20 < kinds["moved"] < 64


def test_a_jitter_that_changes_no_brightness() -> None:
    """Images of their channels' mean have no contrast: what is seen is brightness alone."""
    data = Images(
        torch.full((200, 4, 4, 3), 100, dtype=torch.uint8), torch.full((3,), 100.0), torch.ones(3), 4
    )
    generator = torch.Generator().manual_seed(0)
    (batch, _), *_ = shuffled(data, torch.arange(200), 200, Augmentation(jitter=0.3), generator)
    shifts = batch[:, 0, 0, 0]
    assert torch.equal(batch, shifts[:, None, None, None].expand_as(batch))
    assert 70 < int((shifts != 0).sum()) < 130
    assert -0.3 <= float(shifts.min()) < -0.2
    assert 0.2 < float(shifts.max()) <= 0.3


def test_pixels_that_are_not_normalised_or_resized() -> None:
    data = Images(
        torch.full((2, 4, 4, 3), 100, dtype=torch.uint8),
        torch.tensor([100.0, 90, 80]),
        torch.full((3,), 10.0),
        8,
    )
    batch = data.normalised(data.pixels)
    assert batch.shape == (2, 3, 8, 8)
    assert torch.allclose(batch[0, :, 3, 3], torch.tensor([0.0, 1.0, 2.0]))


def rates(kind: str, steps: int = 100) -> list[float]:
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.1)
    schedule = LRScheduler(optimizer, kind, steps)
    seen = []
    for step in range(steps):
        schedule.before_step(step)
        seen.append(optimizer.param_groups[0]["lr"])
    return seen


def test_a_cosine_that_does_not_warm_up_or_come_down() -> None:
    curve = rates("cosine")
    assert max(curve) == pytest.approx(0.1, rel=0.01)
    assert curve[0] < 0.02
    assert curve[:10] == sorted(curve[:10])
    assert curve[10:] == sorted(curve[10:], reverse=True)
    assert curve[-1] < 0.0001
    assert curve[55] == pytest.approx(0.1 * 0.5 * (1 + math.cos(math.pi * 0.5)))


def test_a_constant_rate_that_changes() -> None:
    assert set(rates("constant")) == {0.1}


def test_a_plateau_that_falls_while_the_loss_does_or_never_ends() -> None:
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.1)
    schedule = LRScheduler(optimizer, "plateau", 100)
    assert not any(schedule.after_epoch(1.0 / epoch) for epoch in range(1, 20))
    schedule.before_step(0)
    assert optimizer.param_groups[0]["lr"] == 0.1
    epochs = next(epoch for epoch in range(1, 50) if schedule.after_epoch(9.0))
    assert epochs == math.ceil(math.log(0.01) / math.log(0.7))
    schedule.before_step(0)
    assert optimizer.param_groups[0]["lr"] < 0.001


class Blow(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(3, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(x.mean((2, 3))) * (float("inf") if self.training else 1.0)


def test_a_training_that_goes_on_after_the_loss_is_lost() -> None:
    lesson = TrainingData(images(32), torch.zeros(32, dtype=torch.long), images(8), 4)
    with pytest.raises(NotFinite, match="epoch 1"):
        train(Blow, default_optimizer, lesson, Recipe(epochs=3), 0)


@pytest.mark.parametrize("loss", [1e20, float("inf"), float("nan")])
def test_a_loss_that_no_report_has_room_for(loss: float) -> None:
    with pytest.raises(NotFinite, match="in epoch 1"):
        require_finite(torch.tensor(loss), 0)
    require_finite(torch.tensor(1e17), 0)


def test_answers_that_depend_on_the_batch_or_its_order() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4 * 36, 5))
    data = Images(
        torch.randint(0, 256, (300, 8, 8, 3), dtype=torch.uint8), torch.zeros(3), torch.full((3,), 99.0), 8
    )
    together = predict(model, data, 5)
    single = torch.cat(
        [predict(model, Images(data.pixels[n : n + 1], data.mean, data.std, 8), 5) for n in range(9)]
    )
    assert together.shape == (300, 5)
    assert torch.allclose(together[:9], single, atol=1e-5)


def test_logits_that_are_not_found() -> None:
    wanted = torch.zeros(2, 4)
    assert logits_of((torch.zeros(2, 9), wanted), 4) is wanted
    assert logits_of({"features": torch.zeros(2, 4, 4), "out": wanted}, 4) is wanted
    with pytest.raises(ValueError, match="without a tensor"):
        logits_of([torch.zeros(2, 9)], 4)


def test_a_decay_on_norms_and_biases() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    groups = default_optimizer(model, 0.1, 0.01).param_groups
    assert [(len(group["params"]), group["weight_decay"]) for group in groups] == [(1, 0.01), (3, 0.0)]


def test_an_optimizer_that_is_not_the_one_asked_for() -> None:
    def own(model: nn.Module, lr: float, weight_decay: float) -> torch.optim.Optimizer:
        return torch.optim.Adagrad(model.parameters(), lr=lr, weight_decay=weight_decay)

    seed, bare = ModuleType("seed"), ModuleType("bare")
    vars(seed)["get_optimizer"] = own
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    for module, name, wanted in (
        (seed, "seed", torch.optim.Adagrad),
        (bare, "seed", torch.optim.SGD),
        (seed, "sgd", torch.optim.SGD),
        (seed, "adamw", torch.optim.AdamW),
    ):
        optimizer = optimizer_of(module, name)(model, 0.1, 0.01)
        assert type(optimizer) is wanted
        decays = [group["weight_decay"] for group in optimizer.param_groups for _ in group["params"]]
        assert decays == ([0.01] * 4 if module is seed and name == "seed" else [0.01, 0.0, 0.0, 0.0])


def test_statistics_that_lag_behind_the_weights() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(3, 4, 1), nn.Dropout(0.5), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(256, 2)
    )
    batches = [(torch.randn(32, 3, 8, 8) + 5, torch.zeros(32)) for _ in range(3)]
    recompute_statistics(model, batches)
    norm = model[2]
    assert isinstance(norm, nn.BatchNorm2d)
    with torch.no_grad():
        wanted = torch.stack([model[0](images).mean((0, 2, 3)) for images, _ in batches]).mean(0)
    assert norm.running_mean is not None
    assert torch.allclose(norm.running_mean, wanted, atol=1e-4)
    assert norm.momentum == 0.1
