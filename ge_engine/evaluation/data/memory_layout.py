"""How images lie in memory, down to the strides of axes of length 1, by which convolutions choose the layout
of what they return."""

from __future__ import annotations

import torch
from torch import Tensor


def placed(images: Tensor, layout: torch.memory_format) -> Tensor:
    """Images (n, channels, height, width) in `layout`. With one channel, `Tensor.contiguous` takes either
    layout for the other one and leaves the strides."""
    if layout is torch.channels_last:
        rows = images.permute(0, 2, 3, 1)
        return rows.contiguous().view(-1).view(rows.shape).permute(0, 3, 1, 2)
    return images.contiguous().view(-1).view(images.shape)
