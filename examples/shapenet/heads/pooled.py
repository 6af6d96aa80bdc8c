"""A head on what is pooled over all positions."""

import torch
from torch import nn

from .. import config


class PooledHead(nn.Module):
    """Logits of (n, channels, height, width)."""

    def __init__(self, channels: int, num_classes: int) -> None:
        super().__init__()
        self.hidden = nn.Linear(channels, config.HIDDEN)
        self.last = nn.Linear(config.HIDDEN, num_classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x.mean(dim=(2, 3))
        return self.last(torch.relu(self.hidden(x)))
