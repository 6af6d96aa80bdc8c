"""An MLP-Mixer: patches are mixed among each other, then their channels, both by small MLPs."""

import torch
import torch.nn as nn


class MLP(nn.Module):
    def __init__(self, size, hidden):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(size, hidden), nn.GELU(), nn.Linear(hidden, size))

    def forward(self, x):
        return self.layers(x)


class Mixer(nn.Module):
    def __init__(self, tokens, width, token_hidden, channel_hidden):
        super().__init__()
        self.norm1 = nn.LayerNorm(width)
        self.between_tokens = MLP(tokens, token_hidden)
        self.norm2 = nn.LayerNorm(width)
        self.between_channels = MLP(width, channel_hidden)

    def forward(self, x):
        x = x + self.between_tokens(self.norm1(x).transpose(1, 2)).transpose(1, 2)
        return x + self.between_channels(self.norm2(x))


class MLPMixer(nn.Module):
    def __init__(
        self,
        num_classes=10,
        in_channels=3,
        image_size=32,
        patch=4,
        width=64,
        depth=4,
        token_hidden=32,
        channel_hidden=128,
    ):
        super().__init__()
        tokens = (image_size // patch) ** 2
        self.patches = nn.Conv2d(in_channels, width, kernel_size=patch, stride=patch)
        self.mixers = nn.Sequential(
            *[Mixer(tokens, width, token_hidden, channel_hidden) for _ in range(depth)]
        )
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, num_classes)

    def forward(self, x):
        tokens = self.patches(x).flatten(2).transpose(1, 2)
        return self.head(self.norm(self.mixers(tokens)).mean(dim=1))


def get_optimizer(model, lr, weight_decay):
    """AdamW, at a hundredth of the rate that suits SGD."""
    return torch.optim.AdamW(model.parameters(), lr=0.01 * lr, weight_decay=weight_decay)
