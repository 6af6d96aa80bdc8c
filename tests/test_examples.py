"""The seeds that we ship are what their descriptions say."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest
import torch
from torch import nn

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"example_{name}", EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def count(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def test_exquisitenet_with_a_wrong_number_of_parameters() -> None:
    assert count(load("exquisitenet_v2").ExquisiteNetV2(num_classes=10, in_channels=3)) == 518_230


@pytest.mark.parametrize("channels", [12, 48, 96, 192, 384])
def test_dfseb_that_departs_from_its_formula(channels: int) -> None:
    assert count(load("exquisitenet_v2").DFSEB(channels)) == 2 * channels**2 + 26 * channels


def test_min_pool_that_returns_a_maximum() -> None:
    window = torch.tensor([[[[3.0, -2.0], [7.0, 5.0]]]])
    assert load("exquisitenet_v2").min_pool(window).item() == -2.0


@pytest.mark.parametrize(("name", "cls"), [("exquisitenet_v2", "ExquisiteNetV2"), ("plain_cnn", "PlainCNN")])
@pytest.mark.parametrize("size", [32, 64])
def test_a_seed_that_gives_no_logit_for_each_class(name: str, cls: str, size: int) -> None:
    model = getattr(load(name), cls)(num_classes=7)
    assert model(torch.zeros(2, 3, size, size)).shape == (2, 7)


def test_weight_decay_on_norms_and_biases() -> None:
    module = load("exquisitenet_v2")
    model = module.ExquisiteNetV2()
    optimizer = module.get_optimizer(model, lr=0.1, weight_decay=1e-4)
    by_decay = {group["weight_decay"]: group["params"] for group in optimizer.param_groups}
    assert all(p.ndim > 1 for p in by_decay[1e-4])
    assert all(p.ndim <= 1 for p in by_decay[0.0])
    assert sum(p.numel() for group in by_decay.values() for p in group) == count(model)
