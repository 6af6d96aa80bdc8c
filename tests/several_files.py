"""A package whose model is made of several files, each with a style and a way to import of its own."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ge_engine.genome import Genome, Seed
from ge_engine.outcome import Rejected
from ge_engine.patch import AnyPatch, apply, parse_patch
from ge_engine.seed_files import load_seed

INIT = """\
from . import blocks
from .net import Net as Network
from .net import get_optimizer
"""
NET = '''\
"""The network."""

import torch
from torch import nn

from . import config as cfg
from .blocks import Conv as Block
from .heads import Head
from .neighbour import normed


class Net(nn.Module):
    def __init__(self, num_classes=4):
        super().__init__()
        self.body = Block(3, cfg.WIDTH)  # two names
        self.norm = normed(cfg.WIDTH)
        self.head = Head(cfg.WIDTH, num_classes)

    def forward(self, x):
        return self.head(self.norm(self.body(x)).mean((2, 3)))


def get_optimizer(model, lr, weight_decay):
    return torch.optim.SGD(model.parameters(), lr=lr)
'''
BLOCKS = '''\
"""Parts of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn

from .config import *

if TYPE_CHECKING:
	from .net import Net


class Conv(nn.Module):
	def __init__(self, inputs, outputs):
		super().__init__()
		self.conv = nn.Conv2d(inputs, outputs, KERNEL, padding="same")

	def forward(self, x):
		return self.conv(x).relu()


# --- what a neighbour builds ---
class Norm(nn.Module):
	def __init__(self, channels):
		super().__init__()
		self.norm = nn.BatchNorm2d(channels, eps=0.001)

	def forward(self, x):
		return self.norm(x)


class Spare(nn.Module):
	def forward(self, net: Net):
		return net
'''
CONFIG = """\
# Figures that other files read.
WIDTH = 8
KERNEL = 3
HIDDEN = 6
NOBODYS = 1
"""
NEIGHBOUR = """\
from pkg import blocks


def normed(channels):
    return blocks.Norm(channels)
"""
HEADS = """\
from .linear import *
"""
LINEAR = """\
# -*- coding: latin-1 -*-
# K\xf6pfe
from torch import nn

from pkg.config import HIDDEN

__all__ = ["Head"]


class Head(nn.Module):
    def __init__(self, channels, classes):
        super().__init__()
        self.depth = 2
        self.hidden = nn.Linear(channels, HIDDEN)  # gr\xfc\xdfe
        self.out = nn.Linear(HIDDEN, classes)

    def forward(self, x):
        return self.out(self.hidden(x).relu())
"""
FILES: Mapping[str, bytes] = {
    "__init__.py": INIT.encode(),
    "net.py": NET.replace("\n", "\r\n").encode(),
    "blocks.py": BLOCKS.encode(),
    "config.py": CONFIG.encode(),
    "neighbour.py": NEIGHBOUR.encode(),
    "heads/__init__.py": HEADS.encode(),
    "heads/linear.py": LINEAR.encode("latin-1"),
}
EVOLVED = ("net.py", "blocks.py", "config.py", "heads/linear.py")
"""The file that builds the model, and those of `--also`: `neighbour.py` stays as it is."""


def parameters(width: int = 8, kernel: int = 3, hidden: int = 6) -> int:
    """What the network holds."""
    return 3 * width * kernel**2 + width + 2 * width + (width + 1) * hidden + (hidden + 1) * 4


def package(folder: Path, name: str = "pkg") -> Path:
    """The package in a folder."""
    for file, content in FILES.items():
        path = folder / name / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder / name


def seed_in(folder: Path) -> Seed:
    """The seed model of the package, which is written into a folder; `neighbour.py` is none of its files."""
    root = package(folder)
    return load_seed(root / EVOLVED[0], also=[str(root / name) for name in EVOLVED[1:]])


def rewritten(genome: Genome, **codes: str) -> Genome:
    """A genome with other code for blocks; addresses are given as `changed` writes them."""
    child: Genome | Rejected = genome
    for address, code in codes.items():
        assert isinstance(child, Genome)
        child = apply(child, patch_of(child, address, code))
    assert isinstance(child, Genome), child
    return child


def patch_of(genome: Genome, address: str, code: str) -> AnyPatch:
    patch = parse_patch(genome, address, code)
    assert not isinstance(patch, Rejected), patch
    return patch
