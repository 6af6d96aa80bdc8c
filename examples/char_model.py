"""A character-level language model: a seed that is no image classifier; `char_job.py` trains it."""

import torch
import torch.nn as nn


class Mixer(nn.Module):
    """Looks at the characters before, never at those after."""

    def __init__(self, width, kernel_size):
        super().__init__()
        self.pad = kernel_size - 1
        self.conv = nn.Conv1d(width, width, kernel_size)
        self.norm = nn.LayerNorm(width)
        self.act = nn.GELU()

    def forward(self, x):
        y = self.conv(nn.functional.pad(x.transpose(1, 2), (self.pad, 0))).transpose(1, 2)
        return self.norm(x + self.act(y))


class CharModel(nn.Module):
    """Token ids (n, length) to logits (n, length, vocabulary)."""

    def __init__(self, vocabulary=64, width=48):
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, width)
        self.mixers = nn.Sequential(Mixer(width, 4), Mixer(width, 4), Mixer(width, 4))
        self.head = nn.Linear(width, vocabulary)

    def forward(self, tokens):
        return self.head(self.mixers(self.embedding(tokens)))


def get_optimizer(model, lr):
    return torch.optim.AdamW(model.parameters(), lr=lr)
