"""What chance decides in an epoch: the order of the images and how each is changed. Drawn on the CPU, and
sent to where the images are at once: a copy for each batch would have the CPU wait for a GPU each time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import torch
from torch import Tensor

SHIFT = 0.05


@dataclass(frozen=True, slots=True)
class Augmentation:
    """What happens to a training image, each with probability one half: a mirror image, a shift of up
    to 5 % of the height and width, and a change of brightness and contrast by up to `jitter`."""

    mirror: bool = False
    shift: bool = False
    jitter: float = 0.0


@dataclass(frozen=True, slots=True)
class Draws:
    """Of each image of an epoch, in the order in which they come: its number, whether it is `mirrored`, by
    how many `rows` and `columns` it is shifted (int64), all (n,), and what its `contrast` is multiplied by
    and its `brightness` raised by, (n,) float32. What is not drawn is empty."""

    order: Tensor
    mirrored: Tensor
    rows: Tensor
    columns: Tensor
    contrast: Tensor
    brightness: Tensor

    def to(self, device: torch.device) -> Draws:
        """The same on `device`."""
        return Draws(*(getattr(self, one.name).to(device) for one in fields(self)))

    def part(self, start: int, stop: int) -> Draws:
        """Those of the images from `start` to `stop`."""
        return Draws(*(getattr(self, one.name)[start:stop] for one in fields(self)))


def draw_epoch(
    count: int,
    sides: Sequence[int],
    bounds: Sequence[tuple[int, int]],
    augmentation: Augmentation,
    generator: torch.Generator,
) -> Draws:
    """The draws for `count` images of `sides` (height, width), from `generator` in the order of the batches
    that `bounds` cut them into: the figures of a training depend on that order."""
    order = torch.randperm(count, generator=generator)
    mirrored, rows, columns, jitter = [], [], [], []
    for start, stop in bounds:
        size = stop - start
        if augmentation.mirror:
            mirrored.append(torch.rand(size, generator=generator) < 0.5)
        if augmentation.shift:
            rows.append(_offsets(size, sides[0], generator))
            columns.append(_offsets(size, sides[1], generator))
        if augmentation.jitter:
            jitter.append(torch.rand(size, 3, generator=generator))
    contrast, brightness = _factors(torch.cat(jitter), augmentation.jitter) if jitter else (_NONE, _NONE)
    return Draws(order, _joined(mirrored), _joined(rows), _joined(columns), contrast, brightness)


_NONE = torch.empty(0)


def _joined(parts: Sequence[Tensor]) -> Tensor:
    return torch.cat(list(parts)) if parts else _NONE


def _offsets(count: int, side: int, generator: torch.Generator) -> Tensor:
    reach = max(1, round(side * SHIFT))
    moved = torch.rand(count, generator=generator) < 0.5
    return torch.randint(-reach, reach + 1, (count,), generator=generator) * moved


def _factors(draws: Tensor, strength: float) -> tuple[Tensor, Tensor]:
    on = (draws[:, 0] < 0.5).float()
    contrast = 1 + on * strength * (2 * draws[:, 1] - 1)
    return contrast, on * strength * (2 * draws[:, 2] - 1)
