"""The network."""

import torch
from torch import nn

from .blocks import ConvBlock
from .config import STAGES, STEM
from .heads import PooledHead


class ShapeNet(nn.Module):
    """A stem, stages of ConvBlocks as config.py lists them (width, stride), and a pooled head."""

    def __init__(self, num_classes: int = 10, in_channels: int = 3) -> None:
        super().__init__()
        stages = []
        width = STEM
        for out, stride in STAGES:
            stages.append(ConvBlock(width, out, stride))
            width = out
        self.stem = ConvBlock(in_channels, STEM)
        self.stages = nn.Sequential(*stages)
        self.head = PooledHead(width, num_classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.stages(self.stem(x)))
