"""The number of channels of a task's images: grey images as three equal channels or one, colours as grey."""

from __future__ import annotations

from dataclasses import replace

from ge_engine.contracts import Dataset, Split
from ge_engine.errors import ConfigError

LUMA = (19595, 38470, 7471)
"""Weights of red, green and blue in 65536ths (ITU-R BT.601), as Pillow rounds them."""
ROWS = 4096


def in_channels(data: Dataset, channels: int) -> Dataset:
    """`data` with `channels` channels; 0 leaves it as it is.

    Raises:
        ConfigError: the images have another number, and neither is 1 with the other 3.
    """
    own = int(data.train.images.shape[1])
    if channels in (0, own):
        return data
    if {own, channels} != {1, 3}:
        raise ConfigError(
            f"The images have {own} channels and cannot be given with {channels}.",
            "Leave --channels out, or take 1 or 3 for images that are grey or have colours.",
        )
    return replace(
        data,
        train=_converted(data.train, channels),
        validation=_converted(data.validation, channels),
        test=_converted(data.test, channels),
    )


def is_grey(data: Dataset) -> bool:
    """Whether no image has colours: one channel, or three that are equal."""
    return int(data.train.images.shape[1]) == 1 or all(
        bool((split.images == split.images[:, :1]).all())
        for split in (data.train, data.validation, data.test)
        if split.images.shape[1] == 3
    )


def _converted(split: Split, channels: int) -> Split:
    import torch

    if channels == 3:
        return Split(split.images.expand(-1, 3, -1, -1).contiguous(), split.labels)
    weights = torch.tensor(LUMA, dtype=torch.int32).view(1, 3, 1, 1)
    grey = [
        ((rows.int() * weights).sum(1, keepdim=True) + 0x8000 >> 16).to(torch.uint8)
        for rows in torch.split(split.images, ROWS)
    ]
    return Split(torch.cat(grey), split.labels)
