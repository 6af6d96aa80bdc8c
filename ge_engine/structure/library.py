"""Well-known blocks that a file may lack: in place of a part, behind it or around it, and brought along."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from ge_engine.source.source_text import Edit, Source
from ge_engine.structure.change import Change, on_one_line
from ge_engine.structure.sequences import CONTAINERS, called_name, element_lists, layers_of

INVERTED = """\
import torch.nn as nn


class InvertedResidual(nn.Module):
    def __init__(self, in_channels, out_channels, expansion=2):
        super().__init__()
        hidden = expansion * in_channels
        self.body = nn.Sequential(
            nn.Conv2d(in_channels, hidden, kernel_size=1, bias=False),
            nn.BatchNorm2d(hidden),
            nn.SiLU(),
            nn.Conv2d(hidden, hidden, kernel_size=3, padding=1, groups=hidden, bias=False),
            nn.BatchNorm2d(hidden),
            nn.SiLU(),
            nn.Conv2d(hidden, out_channels, kernel_size=1, bias=False),
            nn.BatchNorm2d(out_channels),
        )
        self.keeps = in_channels == out_channels

    def forward(self, x):
        return x + self.body(x) if self.keeps else self.body(x)


"""
"""MobileNetV2's block (Sandler et al. 2018): expand, filter each channel, project; a shortcut if it fits."""

SEPARABLE = """\
import torch.nn as nn


class SeparablePair(nn.Module):
    def __init__(self, in_channels, out_channels):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(in_channels, in_channels, kernel_size=3, padding=1, groups=in_channels, bias=False),
            nn.Conv2d(in_channels, out_channels, kernel_size=1, bias=False),
            nn.BatchNorm2d(out_channels),
            nn.ReLU(),
            nn.Conv2d(out_channels, out_channels, kernel_size=3, padding=1, groups=out_channels, bias=False),
            nn.Conv2d(out_channels, out_channels, kernel_size=1, bias=False),
            nn.BatchNorm2d(out_channels),
            nn.ReLU(),
        )

    def forward(self, x):
        return self.body(x)


"""
"""Two depthwise separable convolutions, as in Xception (Chollet 2017)."""

GATE = """\
import torch.nn as nn


class SqueezeExcite(nn.Module):
    def __init__(self, channels, reduction=4):
        super().__init__()
        hidden = max(4, channels // reduction)
        self.squeeze = nn.Conv2d(channels, hidden, kernel_size=1)
        self.excite = nn.Conv2d(hidden, channels, kernel_size=1)

    def forward(self, x):
        gate = self.squeeze(x.mean(dim=(2, 3), keepdim=True)).relu()
        return x * self.excite(gate).sigmoid()


"""
"""The gate over channels of squeeze-and-excitation networks (Hu et al. 2018)."""

SKIP = """\
import torch
import torch.nn as nn


class ScaledSkip(nn.Module):
    def __init__(self, inner):
        super().__init__()
        self.inner = inner
        self.scale = nn.Parameter(torch.ones(1))

    def forward(self, x):
        return x + self.scale * self.inner(x)


"""
"""A shortcut around what keeps its shape, with a learned scale (He et al. 2016; De and Smith 2020)."""

IN_PLACE: Mapping[str, str] = {"InvertedResidual": INVERTED, "SeparablePair": SEPARABLE}
REPLACEABLE = frozenset(("Conv2d", "ConvBNReLU"))
"""Layers that torch brings, or that many files do, in whose place a block of convolutions may stand."""
GATED = REPLACEABLE | {"BatchNorm2d", "GroupNorm"}


@dataclass(frozen=True, slots=True)
class SizedPart:
    """A part of a network whose first arguments are sizes, as texts: what it takes and what it gives."""

    call: ast.Call
    takes: str
    gives: str
    own: bool

    @property
    def name(self) -> str:
        """What is called, without its module."""
        return called_name(self.call)


def library_changes(code: Source, classes: Sequence[str]) -> Iterator[Change]:
    """Changes that bring one of the library's blocks. `classes` are those of the file: a name of theirs, or
    one that the block reads, is not brought."""
    read = {node.id for node in ast.walk(code.tree) if isinstance(node, ast.Name)}
    taken = {*classes, *read}
    behind = {id(element) for elements in element_lists(code) for element in elements}
    for part in parts_of(code):
        words, span = on_one_line(code.of(part.call)), code.span(part.call)
        for name, source in IN_PLACE.items():
            if name not in taken and (part.own or part.name in REPLACEABLE):
                text = f"{name}({part.takes}, {part.gives})"
                yield Change("replace", f"replace {words} by {text}", (_brought(source), Edit(*span, text)))
        if "SqueezeExcite" not in taken and (part.own or part.name in GATED):
            text = f"SqueezeExcite({part.gives})"
            if id(part.call) in behind:
                added = [Edit(span[1], span[1], f", {text}")]
            else:
                added = [Edit(span[0], span[0], "nn.Sequential("), Edit(span[1], span[1], f", {text})")]
            if id(part.call) in behind or "nn" in read:
                yield Change("insert", f"insert {text} behind {words}", (_brought(GATE), *added))
        if "ScaledSkip" not in taken and part.own:
            around = (Edit(span[0], span[0], "ScaledSkip("), Edit(span[1], span[1], ")"))
            yield Change("insert", f"insert a shortcut around {words}", (_brought(SKIP), *around))


def parts_of(code: Source) -> list[SizedPart]:
    """The parts of lists and containers, and the layers of a class, whose first argument is a size."""
    listed = [element for elements in element_lists(code) for element in elements]
    made = [layer.made.value for layer in layers_of(code)]
    found = (_part(code, one) for one in {id(one): one for one in (*listed, *made)}.values())
    return [part for part in found if part is not None]


def _part(code: Source, one: ast.expr) -> SizedPart | None:
    if not isinstance(one, ast.Call) or not one.args or not _is_size(one.args[0]):
        return None
    if isinstance(one.func, ast.Name) and one.func.id in CONTAINERS:
        return None
    second = one.args[1] if len(one.args) > 1 and _is_size(one.args[1]) else one.args[0]
    return SizedPart(one, code.of(one.args[0]), code.of(second), isinstance(one.func, ast.Name))


def _is_size(argument: ast.expr) -> bool:
    return isinstance(argument, ast.Name) or (
        isinstance(argument, ast.Constant) and type(argument.value) is int
    )


def _brought(source: str) -> Edit:
    return Edit(0, 0, source)
