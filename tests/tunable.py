"""A seed model whose score follows from its numbers, with a known best setting, and an evaluator of that.

`--plugin tunable`. Nothing is built or trained: a genome's accuracy falls with the distance of its numbers
from `BEST`, its parameters are its widths', and widths that do not fit together fail the check `shape`.
"""

from __future__ import annotations

import ast
import math
from concurrent.futures import Future
from functools import cache
from pathlib import Path

import doubles

from ge_engine.contracts import Evaluator, Job, Probe
from ge_engine.genome import Genome, Seed
from ge_engine.hookspecs import hookimpl
from ge_engine.outcome import Outcome, Scored

SOURCE = b'''"""Five numbers, of which two have to be equal."""

import torch
from torch import nn


class Net(nn.Module):
    def __init__(self, num_classes=10, slope=0.3):
        super().__init__()
        self.first = nn.Linear(64, 48)
        self.act = nn.LeakyReLU(slope)
        self.drop = nn.Dropout(0.7)
        self.last = nn.Linear(48, num_classes)

    def forward(self, x):
        return self.last(self.drop(self.act(self.first(x.flatten(1)))))


def get_optimizer(model, lr=0.5, momentum=0.6):
    return torch.optim.SGD(model.parameters(), lr=lr, momentum=momentum)
'''
BEST = {"slope": 0.05, "width": 80.0, "drop": 0.15, "lr": 0.08, "momentum": 0.93}
WORST = 3.0
"""The distance of a number that is not there any more."""


@cache
def seed() -> Seed:
    return Seed.from_bytes(SOURCE, Path("tunable.py"))


def numbers(text: str) -> dict[str, float]:
    """The numbers that count, as far as they are there; "fits" is 1 where the two widths are one."""
    tree, found, widths = ast.parse(text), dict[str, float](), list[float]()
    for node in ast.walk(tree):
        if isinstance(node, ast.arguments):
            named = zip(node.args[len(node.args) - len(node.defaults) :], node.defaults, strict=True)
            found |= {one.arg: _value(default) for one, default in named}
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args:
            if node.func.attr == "Dropout":
                found["drop"] = _value(node.args[0])
            if node.func.attr == "Linear" and len(node.args) == 2:
                widths += [_value(node.args[0]), _value(node.args[1])]
    fits = len(widths) == 4 and widths[0] == 64 and widths[1] == widths[2]
    return {**found, "width": widths[1] if fits else math.nan, "fits": float(fits)}


def _value(node: ast.expr) -> float:
    return (
        float(node.value) if isinstance(node, ast.Constant) and isinstance(node.value, int | float) else 0.0
    )


def figures(genome: Genome) -> dict[str, float]:
    found = numbers(genome.text)
    apart = [_apart(found.get(name, math.nan), best) for name, best in BEST.items()]
    width = found["width"] if found["fits"] else 1000.0
    return {"accuracy": 1 / (1 + sum(apart)), "parameters": 75 * width}


def _apart(value: float, best: float) -> float:
    if not value > 0:
        return WORST
    return min(WORST, math.log(value / best) ** 2)


class ByNumbers(doubles.Instant):
    def probe(self, genome: Genome) -> Future[Probe]:
        fits = numbers(genome.text)["fits"]
        shape = (2, 10) if fits else (2, 11)
        return doubles._done(Probe(output_shape=shape, facts=figures(genome), fingerprint=genome.digest[:24]))

    def submit(self, job: Job) -> Future[Outcome]:
        return doubles._done(Scored(figures(job.genome)))


class ByNumbersEvaluator(doubles.InstantEvaluator):
    name = "by-numbers"

    def made(self) -> ByNumbers:
        return ByNumbers()


@hookimpl
def ge_evaluators() -> list[Evaluator]:
    return [ByNumbersEvaluator()]
