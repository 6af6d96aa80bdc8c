"""A small seed and shorthands that the tests of the transformation share."""

from __future__ import annotations

from ge_engine.genome import Genome, Seed
from ge_engine.outcome import Rejected
from ge_engine.patch import Patch, apply, parse_patch

TEXT = '''"""A small network."""

import torch
import torch.nn as nn
import torch.nn.functional as F

EPS = 1e-5


def make_norm(channels):
    return nn.BatchNorm2d(channels, eps=EPS)


# --- SE ---
class SE(nn.Module):
    """Gate."""

    def __init__(self, channels, ratio=4):
        super().__init__()
        self.down = nn.Linear(channels, channels // ratio)
        self.up = nn.Linear(channels // ratio, channels)

    def forward(self, x):
        gate = F.relu(self.down(x.mean((2, 3))))
        return x * torch.sigmoid(self.up(gate))[:, :, None, None]


# --- Net ---
@torch.no_grad
class Net(nn.Module):

    expansion = 2

    def __init__(self, num_classes=10):
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3)  # stem
        self.norm = make_norm(8)
        self.gate = SE(8)
        self.head = nn.Linear(8, num_classes)

    # The way through.
    def forward(self, x):
        x = self.gate(self.norm(self.stem(x)))

        return self.head(x.mean((2, 3)))

    @staticmethod
    def twice(x):
        return 2 * x


# the end
def get_optimizer(model, lr=0.1, *, weight_decay=0.0):
    return torch.optim.SGD(model.parameters(), lr=lr, weight_decay=weight_decay)
'''

SE_WIDE = '''class SE(nn.Module):
    """Gate."""

    def __init__(self, channels, ratio=4):
        super().__init__()
        self.down = nn.Linear(channels, channels // 2)
        self.up = nn.Linear(channels // 2, channels)

    def forward(self, x):
        gate = F.silu(self.down(x.mean((2, 3))))
        return x * torch.sigmoid(self.up(gate))[:, :, None, None]
'''
FORWARD = """def forward(self, x):
    x = F.relu(self.norm(self.stem(x)))

    return self.head(self.gate(x).mean((2, 3)))
"""


def genome_of(text: str | bytes = TEXT) -> Genome:
    return Seed.from_bytes(text.encode() if isinstance(text, str) else text).genome


def patch_of(genome: Genome, address: str, code: str) -> Patch:
    patch = parse_patch(genome, address, code)
    assert isinstance(patch, Patch), patch
    return patch


def rewrite(genome: Genome, address: str, code: str) -> Genome:
    child = apply(genome, patch_of(genome, address, code))
    assert isinstance(child, Genome), child
    return child


def refusal(genome: Genome, address: str, code: str) -> Rejected:
    """The rejection of a rewrite, by whichever of the two checks."""
    patch = parse_patch(genome, address, code)
    result = apply(genome, patch) if isinstance(patch, Patch) else patch
    assert isinstance(result, Rejected), result
    return result


def changed_lines(a: Genome, b: Genome) -> list[str]:
    """Lines with a sign that a unified diff without context shows."""
    import difflib

    lines = difflib.unified_diff(a.text.split("\n"), b.text.split("\n"), n=0, lineterm="")
    return [line for line in lines if not line.startswith(("---", "+++", "@@"))]
