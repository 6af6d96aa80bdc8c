"""Preset `paper`: each part of the paper's recipe, on the parts that it is made of."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.functional import interpolate

from ge_engine.config import Recipe, load_config
from ge_engine.evaluation.data.batches import Images, shuffled
from ge_engine.evaluation.data.draws import Augmentation
from ge_engine.evaluation.train import trainer
from ge_engine.evaluation.train.lr_scheduler import LRScheduler
from ge_engine.evaluation.train.optimizers import default_optimizer
from ge_engine.evaluation.train.rung import TrainingData
from ge_engine.evaluation.train.trainer import choose_precision, train

PAPER = load_config("paper", None, {}).recipe
COUNT = 400


def images(pixels: torch.Tensor, side: int) -> Images:
    channels = pixels.shape[3]
    return Images(pixels, torch.zeros(channels), torch.ones(channels), side)


def altered(augmentation: Augmentation, pixels: torch.Tensor) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """(image as trained on, image as it was), both float (c, h, w)."""
    plain = pixels.permute(0, 3, 1, 2).float()
    generator = torch.Generator().manual_seed(5)
    batches = shuffled(
        images(pixels, pixels.shape[1]), torch.arange(len(pixels)), 100, augmentation, generator
    )
    return [
        (image, plain[label]) for batch, labels in batches for image, label in zip(batch, labels, strict=True)
    ]


def noise(count: int = COUNT, side: int = 20) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randint(0, 256, (count, side, side, 3), dtype=torch.uint8, generator=generator)


def test_other_numbers() -> None:
    assert (PAPER.image_size, PAPER.batch_size, PAPER.epochs) == (224, 216, 500)
    assert (PAPER.lr, PAPER.weight_decay, PAPER.lr_schedule) == (0.1, 1e-4, "plateau")
    assert PAPER.augment
    assert PAPER.jitter > 0
    assert PAPER.label_smoothing == PAPER.ema == PAPER.norm_batches == PAPER.train_limit == 0


def test_a_size_or_a_resizing_that_is_another() -> None:
    pixels = noise(2, 32)
    batch = images(pixels, PAPER.image_size).normalised(pixels)
    wanted = interpolate(pixels.permute(0, 3, 1, 2).float(), (224, 224), mode="bilinear", align_corners=False)
    assert torch.equal(batch, wanted)


def test_a_flip_that_is_not_half_the_time() -> None:
    pairs = altered(Augmentation(mirror=True), noise())
    flipped = sum(torch.equal(image, was.flip(2)) for image, was in pairs)
    kept = sum(torch.equal(image, was) for image, was in pairs)
    assert flipped + kept == COUNT
    assert abs(flipped - COUNT / 2) < 3 * (COUNT / 4) ** 0.5


def test_a_shift_that_is_too_far_or_not_half_the_time() -> None:
    side = 40
    pairs = altered(Augmentation(shift=True), noise(COUNT, side))
    reach = round(0.05 * side)
    offsets = []
    for image, was in pairs:
        found = [
            (y, x)
            for y in range(-reach - 1, reach + 2)
            for x in range(-reach - 1, reach + 2)
            if torch.equal(image[:, 10:30, 10:30], was[:, 10 + y : 30 + y, 10 + x : 30 + x])
        ]
        assert len(found) == 1
        offsets += found
    assert max(abs(step) for offset in offsets for step in offset) == reach
    share_moved = 0.5 * (1 - 1 / (2 * reach + 1))
    for axis in (0, 1):
        moved = sum(offset[axis] != 0 for offset in offsets)
        assert abs(moved - COUNT * share_moved) < 3 * (COUNT * share_moved * (1 - share_moved)) ** 0.5


def test_a_jitter_that_is_not_half_the_time_or_too_strong() -> None:
    pairs = altered(Augmentation(jitter=PAPER.jitter), noise())
    changed = 0
    for image, was in pairs:
        if torch.equal(image, was):
            continue
        changed += 1
        contrast = float((image - image.mean()).norm() / (was - was.mean()).norm())
        assert 1 - PAPER.jitter - 1e-3 <= contrast <= 1 + PAPER.jitter + 1e-3
        assert torch.allclose(image, was * contrast + (image - was * contrast).mean(), atol=0.1)
    assert abs(changed - COUNT / 2) < 3 * (COUNT / 4) ** 0.5


def test_an_optimizer_that_is_not_sgd_with_nesterov_or_decays_norms_and_biases() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4, 2))
    optimizer = default_optimizer(model, PAPER.lr, PAPER.weight_decay)
    assert isinstance(optimizer, torch.optim.SGD)
    assert all(group["nesterov"] and group["momentum"] == 0.9 for group in optimizer.param_groups)
    assert {group["lr"] for group in optimizer.param_groups} == {0.1}
    decayed = {id(p) for g in optimizer.param_groups if g["weight_decay"] == 1e-4 for p in g["params"]}
    assert decayed == {id(model[0].weight), id(model[3].weight)}
    assert sum(len(group["params"]) for group in optimizer.param_groups) == 6


def test_a_rate_that_falls_otherwise_or_a_training_that_does_not_end() -> None:
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=PAPER.lr)
    schedule = LRScheduler(optimizer, PAPER.lr_schedule, 1000)
    losses, rates, ended = [2.0, 1.0, 1.0, 0.5, *([9.0] * 40)], [], False
    for loss in losses:
        schedule.before_step(0)
        rates.append(optimizer.param_groups[0]["lr"])
        ended = schedule.after_epoch(loss)
        if ended:
            break
    assert rates[:5] == pytest.approx([0.1, 0.1, 0.1, 0.07, 0.07])
    assert rates[5:] == pytest.approx([0.07 * 0.7 ** (n + 1) for n in range(len(rates) - 5)])
    assert ended
    assert rates[-1] >= 0.001 > rates[-1] * 0.7


def test_mixed_precision_that_a_gpu_does_without(monkeypatch: pytest.MonkeyPatch) -> None:
    assert PAPER.precision == "auto"
    for available, bfloat16, wanted in ((False, False, "no"), (True, True, "bf16"), (True, False, "fp16")):
        monkeypatch.setattr(torch.cuda, "is_available", lambda has=available: has)
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda has=bfloat16: has)
        assert choose_precision(PAPER.precision) == wanted


def test_a_batch_of_another_size(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    plain = trainer.shuffled

    def watched(*arguments: Any) -> Any:
        for batch, labels in plain(*arguments):
            sizes.append(len(batch))
            yield batch, labels

    monkeypatch.setattr(trainer, "shuffled", watched)
    data = TrainingData(
        images(noise(500, 8), 8), torch.zeros(500, dtype=torch.long), images(noise(4, 8), 8), 3
    )
    recipe = Recipe(epochs=1, batch_size=PAPER.batch_size, norm_batches=0)
    train(lambda: nn.Sequential(nn.Flatten(), nn.Linear(192, 3)), default_optimizer, data, recipe, 0)
    assert sizes == [216, 216, 68]
