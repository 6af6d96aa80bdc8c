"""A network whose sizes stand in a YAML file: `ge evolve net.py --also conf.yaml` in this folder."""

from pathlib import Path

import torch
import yaml
from torch import nn

CONF = yaml.safe_load((Path(__file__).parent / "conf.yaml").read_text())


class ValueNet(nn.Module):
    """Convolutions of the widths in conf.yaml, each but the first with half the resolution, and a head."""

    def __init__(self, num_classes: int = 10, in_channels: int = 3) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        inputs = in_channels
        for place, width in enumerate(CONF["body"]["widths"]):
            layers.append(
                nn.Conv2d(inputs, width, CONF["body"]["kernel"], stride=1 + bool(place), padding="valid")
            )
            layers += [nn.BatchNorm2d(width), nn.ReLU()] if CONF["norm"] else [nn.ReLU()]
            inputs = width
        self.body = nn.Sequential(*layers)
        self.head = nn.Sequential(nn.Dropout(CONF["dropout"]), nn.Linear(inputs, num_classes))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.body(x).mean((2, 3)))
