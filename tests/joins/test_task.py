"""Each fact of a task reaches the training, and the ones that are kept from it do not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

import pytest
import torch
from torch.nn.functional import cross_entropy

from ge_engine.contracts import Dataset, Split
from ge_plugins.tasks import Digits, Downloaded, Folder, ge_tasks
from tests.joins.watched import SIZE, Seen, trained


def half_lit(count: int, dark: int, lit: int) -> Split:
    """Images whose right half is lit, of one of two greys that tells the class."""
    labels = torch.arange(count) % 2
    images = torch.zeros(count, 3, SIZE, SIZE, dtype=torch.uint8)
    images[..., SIZE // 2 :] = torch.where(labels == 1, lit, dark)[:, None, None, None].to(torch.uint8)
    return Split(images, labels)


PLAIN = Dataset(half_lit(16, 100, 200), half_lit(6, 90, 190), half_lit(4, 80, 180), tuple("abcd"))


def turned(split: Split) -> Split:
    return Split(split.images, 1 - split.labels)


def first_loss_fits(seen: Seen) -> str:
    """Which labels the only step was made with: those that the greys tell, or the other way about."""
    (images,), (logits,) = seen.images, seen.logits
    told = (images.amax((1, 2, 3)) == images.max()).long()
    loss = float(seen.report.curve[0]["loss"])
    fits = {"told": told, "turned": 1 - told}
    return next(
        name for name, targets in fits.items() if loss == pytest.approx(float(cross_entropy(logits, targets)))
    )


def greys(images: torch.Tensor) -> int:
    return len(images.unique())


def mirrored(seen: Seen) -> bool:
    """Whether an image was lit on its left."""
    return any(bool(image[:, :, 0].mean() > image[:, :, -1].mean()) for image in seen.images[0])


WHOLE: dict[str, Any] = {"batch_size": 16}
CASES: dict[str, tuple[Callable[[Seen], Any], dict[str, Any], list[tuple[Dataset, Any]]]] = {
    "train": (
        lambda seen: (len(seen.images[0]), first_loss_fits(seen)),
        WHOLE,
        [
            (PLAIN, (16, "told")),
            (replace(PLAIN, train=turned(PLAIN.train)), (16, "turned")),
            (replace(PLAIN, train=half_lit(10, 100, 200)), (10, "told")),
        ],
    ),
    "validation": (
        lambda seen: (len(seen.answered), greys(seen.answered)),
        WHOLE,
        [(PLAIN, (6, 3)), (replace(PLAIN, validation=half_lit(8, 70, 70)), (8, 2))],
    ),
    "test": (
        lambda seen: (len(seen.answered), greys(seen.answered)),
        WHOLE,
        [(PLAIN, (4, 3)), (replace(PLAIN, test=half_lit(5, 60, 60)), (5, 2))],
    ),
    "names": (
        lambda seen: seen.logits[0].shape[1],
        WHOLE,
        [(PLAIN, 4), (replace(PLAIN, names=tuple("abcdefg")), 7)],
    ),
    "mirror": (
        mirrored,
        {**WHOLE, "augment": True},
        [(PLAIN, True), (replace(PLAIN, mirror=False), False)],
    ),
}


def test_a_fact_of_a_task_that_no_case_switches() -> None:
    assert set(CASES) == {one.name for one in fields(Dataset)}


@pytest.mark.parametrize(
    ("name", "number"), [(name, number) for name, case in CASES.items() for number in range(len(case[2]))]
)
def test_a_fact_of_a_task_that_changes_nothing(name: str, number: int) -> None:
    fact, recipe, switched = CASES[name]
    dataset, wanted = switched[number]
    assert fact(trained(dataset, split="test" if name == "test" else "validation", **recipe)) == wanted


def test_digits_that_are_mirrored() -> None:
    """A mirrored 2 is no 2. Every task says for itself whether its classes bear a mirror."""
    from ge_engine.config import RunConfig

    digits = Digits().load("", RunConfig())
    seen = trained(digits, train_limit=64, batch_size=64, augment=True)
    plain = trained(digits, train_limit=64, batch_size=64)
    originals = [image for batch in plain.images for image in batch]
    inner = slice(4, -4)  # what no shift reaches

    def near(image: torch.Tensor) -> bool:
        shifts = [(y, x) for y in range(-2, 3) for x in range(-2, 3)]
        return any(
            torch.equal(torch.roll(image, shift, (1, 2))[:, inner, inner], one[:, inner, inner])
            for one in originals
            for shift in shifts
        )

    assert all(near(image) for image in seen.images[0])
    moved = [image for image in seen.images[0] if not any(torch.equal(image, one) for one in originals)]
    assert len(moved) > 16, "digits bear a shift"
    bears = {task.name: task.mirror for task in ge_tasks() if isinstance(task, Downloaded)}
    assert bears == {"cifar10": True, "cifar100": True, "mnist": False, "fashion-mnist": True}
    assert Folder.name == "folder"
