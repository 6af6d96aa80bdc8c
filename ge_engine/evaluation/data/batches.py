"""Training data in memory: uint8 images, whole batches picked, shifted and mirrored in one gather."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from ge_engine.evaluation.data.draws import Augmentation, Draws, draw_epoch
from ge_engine.evaluation.data.memory_layout import placed

PREDICT_BATCH = 256


@dataclass(frozen=True, slots=True)
class Images:
    """uint8 (n, height, width, channels) in memory, with what turns them into network input.

    `mean` and `std` are (channels,) float32 on the scale 0..255; `size` is the side in pixels that the
    network gets, by bilinear resizing where it differs, and `layout` how its input lies in memory.
    """

    pixels: Tensor
    mean: Tensor
    std: Tensor
    size: int
    layout: torch.memory_format = torch.contiguous_format

    def __len__(self) -> int:
        return int(self.pixels.shape[0])

    def to(self, device: torch.device) -> Images:
        moved = self.pixels.to(device), self.mean.to(device), self.std.to(device)
        return Images(*moved, self.size, self.layout)

    def normalised(self, picked: Tensor) -> Tensor:
        """uint8 (b, h, w, c) to float32 (b, c, size, size)."""
        count, height, width, channels = picked.shape
        rows = picked.reshape(count, height, width * channels).float()
        rows.sub_(self.mean.repeat(width)).mul_(self.std.reciprocal().repeat(width))
        batch = rows.view(picked.shape).permute(0, 3, 1, 2)
        if batch.shape[-2:] != (self.size, self.size):
            batch = interpolate(batch, (self.size, self.size), mode="bilinear", align_corners=False)
        return placed(batch, self.layout)

    def in_order(self, batch_size: int) -> Iterator[Tensor]:
        """All images in order, without augmentation."""
        for start in range(0, len(self), batch_size):
            yield self.normalised(self.pixels[start : start + batch_size])

    def shard(self, shard: Shard) -> Images:
        """The images of one process. All get the same number: the first images come again at the end."""
        count = shard.world_size
        rows = torch.arange(shard.rank, -(-len(self) // count) * count, count) % len(self)
        return replace(self, pixels=self.pixels[rows.to(self.pixels.device)])


def batch_bounds(count: int, batch_size: int, least: int = 2) -> list[tuple[int, int]]:
    """Cut 0..count into batches; a last batch of fewer than `least` joins the one before it, because
    batch normalisation of a 1x1 map needs two values."""
    bounds = [(start, min(start + batch_size, count)) for start in range(0, count, batch_size)]
    if len(bounds) > 1 and bounds[-1][1] - bounds[-1][0] < least:
        last = bounds.pop()
        bounds[-1] = (bounds[-1][0], last[1])
    return bounds


@dataclass(frozen=True, slots=True)
class Shard:
    """This process's part of every batch: each `world_size`-th image, from the `rank`-th on."""

    rank: int = 0
    world_size: int = 1


def shuffled(
    images: Images,
    labels: Tensor,
    batch_size: int,
    augmentation: Augmentation,
    generator: torch.Generator,
    shard: Shard = Shard(),
) -> Iterator[tuple[Tensor, Tensor]]:
    """One epoch of (images (b, c, size, size) float32, labels (b,)). All randomness is drawn from
    `generator` (on the CPU) for whole batches, so neither the network nor `shard` changes it; an epoch's is
    drawn before its first batch."""
    mine = slice(shard.rank, None, shard.world_size)
    bounds = batch_bounds(len(images), batch_size, 2 * shard.world_size)
    pixels = images.pixels
    draws = draw_epoch(len(images), pixels.shape[1:3], bounds, augmentation, generator).to(pixels.device)
    for start, stop in bounds:
        drawn = draws.part(start, stop)
        batch = images.normalised(_gather(pixels, drawn))
        if len(drawn.contrast):
            shape = (stop - start, 1, 1, 1)
            batch = batch.mul_(drawn.contrast.view(shape)).add_(drawn.brightness.view(shape))
        yield batch[mine], labels[drawn.order][mine]


def _gather(pixels: Tensor, drawn: Draws) -> Tensor:
    if not (len(drawn.mirrored) or len(drawn.rows)):
        return pixels[drawn.order]
    count, (height, width), device = len(drawn.order), pixels.shape[1:3], pixels.device
    rows = torch.arange(height, device=device).expand(count, height)
    columns = torch.arange(width, device=device).expand(count, width)
    if len(drawn.mirrored):
        columns = torch.where(drawn.mirrored[:, None], width - 1 - columns, columns)
    if len(drawn.rows):
        rows = (rows + drawn.rows[:, None]).clamp(0, height - 1)
        columns = (columns + drawn.columns[:, None]).clamp(0, width - 1)
    places = ((drawn.order[:, None] * height + rows) * width)[:, :, None] + columns[:, None, :]
    gathered = pixels.view(-1, pixels.shape[3]).index_select(0, places.view(-1))
    return gathered.view(count, height, width, -1)
