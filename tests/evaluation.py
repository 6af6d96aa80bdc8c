"""A small task, a small network and an open evaluation, for the tests of isolation and scoring."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from ge_engine.config import config_from_dict
from ge_engine.contracts import Dataset, Job, Split
from ge_engine.evaluation.data.module_loader import import_source, module_address
from ge_engine.evaluation.executor import ExecutorFactory
from ge_engine.evaluation.fork_server.client import ForkServerExecutor
from ge_engine.evaluation.probe.coverage import covered_functions
from ge_engine.evaluation.probe.findings import ProbeFindings, TaskShape
from ge_engine.evaluation.probe.probe import probe
from ge_engine.evaluation.train.optimizers import default_optimizer
from ge_engine.evaluation.train_evaluation import TrainEvaluation, open_training
from ge_engine.genome import Genome, Seed
from ge_engine.outcome import Outcome
from ge_plugins.objectives import ge_objectives
from tests.patience import PATIENT

CLASSES = 4
SIZE = 16

NET = """\
import torch
from torch import nn
import torch.nn.functional as F
TOP


class Body(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.conv = nn.Conv2d(3, channels, 3, padding=1)
        self.norm = nn.BatchNorm2d(channels)

    def forward(self, x):
        return F.relu(self.norm(self.conv(x))).mean((2, 3))


class Net(nn.Module):
    def __init__(self, num_classes=4):
        super().__init__()
        self.body = Body(8)
        self.head = nn.Linear(8, num_classes)
        INIT

    def forward(self, x):
        training = self.training and len(x) > 8
        FORWARD
        return self.head(self.body(x))


def get_optimizer(model, lr, weight_decay):
    return torch.optim.SGD(model.parameters(), lr=lr, momentum=0.9, weight_decay=weight_decay)
"""
NET_PARAMETERS = 3 * 8 * 9 + 8 + 16 + 8 * 4 + 4


def source(*, top: str = "", init: str = "pass", forward: str = "pass") -> str:
    """The small network with code put in at the top, in `__init__` or in `forward` (where `training` is
    true in a step of the trainer, and false in the probe and when it answers)."""

    def indented(code: str) -> str:
        return code.strip("\n").replace("\n", "\n        ")

    return (
        NET.replace("TOP", top.strip("\n"))
        .replace("INIT", indented(init))
        .replace("FORWARD", indented(forward))
    )


def genome(text: str | None = None, **places: str) -> Genome:
    """A genome of `text`, or of the small network with code put in."""
    return Seed.from_bytes((text if text is not None else source(**places)).encode()).genome


START_METHOD = os.environ.get("GE_TEST_START_METHOD", "auto")
"""Of the evaluations that `shop` opens; `make spawn` sets it."""


def blobs(count: int, rng_seed: int) -> Split:
    """Noise in which the class's colour is a little brighter: easy, but not without training."""
    generator = torch.Generator().manual_seed(rng_seed)
    labels = torch.randint(CLASSES, (count,), generator=generator)
    images = torch.randint(0, 160, (count, 3, SIZE, SIZE), generator=generator)
    tints = torch.tensor([[60, 0, 0], [0, 60, 0], [0, 0, 60], [40, 40, 0]])
    return Split((images + tints[labels][:, :, None, None]).to(torch.uint8), labels)


def data(train: int = 160, validation: int = 97, test: int = 50) -> Dataset:
    names = tuple(f"class {number}" for number in range(CLASSES))
    return Dataset(blobs(train, 1), blobs(validation, 2), blobs(test, 3), names)


@contextmanager
def shop(
    scratch: Path,
    seed: Genome | None = None,
    dataset: Dataset | None = None,
    executor: ExecutorFactory = ForkServerExecutor,
    **settings: Any,
) -> Iterator[TrainEvaluation]:
    """An open evaluation; `settings` are RunConfig's, with `epochs` and the like under "recipe"."""
    recipe: Mapping[str, Any] = {"epochs": 2, "batch_size": 32, "lr": 0.1, **settings.pop("recipe", {})}
    names = settings.pop("objectives", ("accuracy", "parameters"))
    config = config_from_dict(
        {
            "workers": 4,
            "timeout": 20.0,
            "memory_gib": 2.0,
            "start_method": START_METHOD,
            **settings,
            "recipe": recipe,
        }
    )
    objectives = [objective for objective in ge_objectives() if objective.name in names]
    with open_training(
        seed or genome(), config, objectives, scratch, dataset or data(), executor
    ) as evaluation:
        yield evaluation


def outcome_of(evaluation: TrainEvaluation, candidate: Genome, key: str = "x", rng_seed: int = 0) -> Outcome:
    return evaluation.submit(Job(key, candidate, rng_seed)).result(PATIENT)


def probe_here(text: str, entry: str = "Net()", findings: ProbeFindings | None = None) -> ProbeFindings:
    """Probe `text` in this process: for networks that are odd, not hostile."""
    address = module_address(Path("net.py"), hashlib.sha256(text.encode()).hexdigest())
    findings = findings or ProbeFindings()
    with covered_functions({address.file: ""}, findings.executed):
        probe(
            lambda: import_source(text.encode(), address),
            lambda module: eval(entry, vars(module)),
            lambda module: vars(module).get("get_optimizer", default_optimizer),
            TaskShape(3, SIZE, CLASSES),
            {"lr": 0.1, "weight_decay": 1e-4},
            2 * 2**30,
            findings,
            {address.name: ""},
        )
    return findings
