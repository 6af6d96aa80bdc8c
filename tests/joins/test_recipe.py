"""Each field of the recipe reaches the training: switched, it changes there what it is said to change."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, log_softmax

from ge_engine.config import Recipe, config_from_dict
from ge_engine.contracts import Dataset, Split
from ge_plugins.tasks import Digits
from tests.joins.watched import CLASSES, SIZE, Seen, trained


def even(count: int, rng_seed: int = 0) -> Split:
    """Images of one grey each, so that neither a shift nor a mirror shows; all of class 1."""
    generator = torch.Generator().manual_seed(rng_seed)
    greys = torch.randint(20, 235, (count, 1, 1, 1), generator=generator)
    return Split(
        greys.expand(count, 3, SIZE, SIZE).to(torch.uint8).contiguous(), torch.ones(count, dtype=torch.long)
    )


def noise(count: int, rng_seed: int = 0) -> Split:
    generator = torch.Generator().manual_seed(rng_seed)
    images = torch.randint(0, 256, (count, 3, SIZE, SIZE), generator=generator).to(torch.uint8)
    return Split(images, torch.randint(CLASSES, (count,), generator=generator))


def task(make: Callable[[int, int], Split], count: int = 32) -> Dataset:
    return Dataset(make(count, 1), make(12, 2), make(9, 3), tuple("abcd"))


def equal(count: int, rng_seed: int = 0) -> Split:
    """One image again and again: an epoch is like the one before where nothing is learnt."""
    return Split(torch.full((count, 3, SIZE, SIZE), 99, dtype=torch.uint8), torch.ones(count).long())


def half_lit(count: int, rng_seed: int = 0) -> Split:
    """Images whose right half is lit."""
    images = torch.zeros(count, 3, SIZE, SIZE, dtype=torch.uint8)
    images[..., SIZE // 2 :] = 200 + rng_seed
    return Split(images, torch.ones(count).long())


def lit_left(seen: Seen) -> bool:
    return any(bool(image[:, :, 0].mean() > image[:, :, -1].mean()) for image in seen.images[0])


def rows(batches: list[Tensor]) -> set[bytes]:
    return {image.contiguous().numpy().tobytes() for batch in batches for image in batch}


def smoothing(seen: Seen) -> float:
    """The label smoothing that makes the first loss what it is, all targets being class 1."""
    (logits,) = seen.logits
    targets = torch.ones(len(logits)).long()
    hard = float(cross_entropy(logits, targets))
    even_loss = float(-log_softmax(logits, 1).mean())
    return round((float(seen.report.curve[0]["loss"]) - hard) / (even_loss - hard), 3)


def kept(seen: Seen) -> bool:
    """Whether every image that was trained on was one of the first epoch's of an untouched training."""
    return rows(seen.images) <= rows(trained(task(noise)).images)


def greys_kept(seen: Seen) -> bool:
    return rows(seen.images) <= rows(trained(task(even)).images)


def cosine(steps: int, lr: float) -> list[float]:
    """A tenth of the steps rising, then half a cosine."""
    warm = round(steps / 10)
    rising = [lr * (n + 1) / (warm + 1) for n in range(warm)]
    return rising + [lr * (1 + math.cos(math.pi * n / (steps - warm))) / 2 for n in range(steps - warm)]


@dataclass(frozen=True)
class Case:
    """What `fact` finds of a training for each value of one setting, all else alike."""

    fact: Callable[[Seen], Any]
    wanted: list[tuple[Any, Any]]
    others: dict[str, Any] = field(default_factory=dict)
    data: Callable[[], Dataset] = lambda: task(noise)
    frozen: bool = False


def digits(**recipe: Any) -> Dataset:
    return Digits().load("", config_from_dict({"recipe": recipe}))


CASES: dict[str, Case] = {
    "epochs": Case(lambda seen: len(seen.report.curve), [(1, 1), (3, 3)]),
    "batch_size": Case(lambda seen: [len(batch) for batch in seen.images], [(8, [8] * 4), (16, [16] * 2)]),
    "optimizer": Case(
        lambda seen: set(seen.optimizers), [("seed", {"Adagrad"}), ("sgd", {"SGD"}), ("adamw", {"AdamW"})]
    ),
    "lr": Case(lambda seen: seen.rates, [(0.05, [0.05] * 4), (0.2, [0.2] * 4)], {"lr_schedule": "constant"}),
    "weight_decay": Case(lambda seen: seen.decays, [(0.0, [0.0] * 4), (0.01, [0.01] * 4)]),
    "lr_schedule": Case(
        lambda seen: seen.rates,
        [
            ("constant", pytest.approx([0.05] * 20)),
            ("cosine", pytest.approx(cosine(20, 0.05))),
            ("plateau", pytest.approx([0.05] * 8 + [0.035] * 4 + [0.0245] * 4 + [0.01715] * 4)),
        ],
        {"epochs": 5},
        lambda: task(equal),
        frozen=True,
    ),
    "augment": Case(kept, [(False, True), (True, False)]),
    "mirror": Case(lit_left, [(True, True), (False, False)], {"augment": True}, lambda: task(half_lit)),
    "jitter": Case(greys_kept, [(0.0, True), (0.3, False)], {"augment": True}, lambda: task(even)),
    "label_smoothing": Case(smoothing, [(0.0, 0.0), (0.2, 0.2)], {"batch_size": 32}, lambda: task(even)),
    "image_size": Case(lambda seen: seen.images[0].shape[-2:], [(0, (16, 16)), (24, (24, 24))]),
    "precision": Case(lambda seen: set(seen.dtypes), [("no", {torch.float32}), ("bf16", {torch.bfloat16})]),
    "train_limit": Case(lambda seen: sum(map(len, seen.images)), [(0, 32), (20, 20)]),
    "channels": Case(lambda seen: seen.images[0].shape[1], [(0, 3), (1, 1), (3, 3)]),
    "norm_batches": Case(lambda seen: seen.refreshed, [(0, 0), (3, 3)]),
    "ema": Case(lambda seen: torch.equal(seen.answering, seen.trained[-1]), [(0.0, True), (0.9, False)]),
    "validation_share": Case(
        lambda seen: len(seen.report.logits) // (4 * 10),
        [(0.2, 288), (0.5, 719)],
        {"train_limit": 8},
        digits,  # type: ignore[arg-type]
    ),
}


def test_a_setting_of_the_recipe_that_no_case_switches() -> None:
    assert set(CASES) == {one.name for one in fields(Recipe)}
    for name, case in CASES.items():
        assert len(case.wanted) > 1, name


@pytest.mark.parametrize(
    ("name", "value", "wanted"),
    [
        pytest.param(name, value, wanted, marks=[pytest.mark.long] if number else [])
        for name, case in CASES.items()
        for number, (value, wanted) in enumerate(case.wanted)
    ],
)
def test_a_setting_of_the_recipe_that_changes_nothing(name: str, value: Any, wanted: Any) -> None:
    case = CASES[name]
    recipe = {**case.others, name: value}
    data = digits(**{name: value}) if case.data is digits else case.data()
    assert case.fact(trained(data, frozen=case.frozen, **recipe)) == wanted
