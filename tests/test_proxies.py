"""Figures of untrained networks: what is broken has none, or lesser ones, and none costs a probe."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from ge_engine.evaluation.data.batches import Images
from ge_engine.evaluation.data.shared_arrays import arrays_for
from ge_engine.evaluation.probe.proxies import batch_of, jacob_cov, proxies, synflow
from ge_engine.evaluation.protocol.messages import JobSpec
from ge_engine.evaluation.setup import channel_statistics, rows_last_channels
from ge_engine.outcome import PROXIES
from tests.evaluation import CLASSES, SIZE, data, genome, shop, source
from tests.patience import PATIENT

PIXELS = torch.randint(0, 256, (64, SIZE, SIZE, 3), generator=torch.Generator().manual_seed(1))
IMAGES = Images(PIXELS.to(torch.uint8), torch.full((3,), 127.0), torch.full((3,), 74.0), SIZE)


class Net(nn.Module):
    """Two layers, with `between` them."""

    def __init__(self, between: Callable[[Tensor], Tensor] = torch.relu, width: int = 12) -> None:
        super().__init__()
        self.conv, self.head = nn.Conv2d(3, width, 3, stride=2), nn.Linear(width, CLASSES)
        self.between = between

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.between(self.conv(x)).mean((2, 3)))


def figures(build: Callable[[], nn.Module]) -> dict[str, float]:
    return proxies(build, IMAGES, CLASSES)


def test_a_sound_network_without_figures_or_with_others_the_second_time() -> None:
    once = figures(Net)
    torch.rand(7)
    assert set(once) == set(PROXIES)
    assert figures(Net) == once


def test_weights_drawn_with_numpy_that_have_other_figures_the_second_time() -> None:
    def drawn() -> nn.Module:
        net = Net()
        values = np.random.standard_normal(tuple(net.head.weight.shape))
        net.head.weight.data = torch.as_tensor(values, dtype=torch.float32)
        return net

    assert figures(drawn) == figures(drawn)


def test_synflow_that_is_not_the_product_of_magnitudes_along_all_paths() -> None:
    """Of a linear chain it is, for each layer, the answer to ones by the magnitudes of its weights."""
    chain = nn.Sequential(nn.Flatten(), nn.Linear(12, 5, bias=False), nn.Linear(5, 3, bias=False))
    first, second = (layer.weight.detach().double().abs() for layer in chain if isinstance(layer, nn.Linear))
    answer = float((second @ first @ torch.ones(12, dtype=torch.float64)).sum())
    wanted = math.log(2 * answer / math.log1p(12 * 5 + 5 * 3))
    assert synflow(chain, torch.randn(2, 3, 2, 2), 3) == pytest.approx(wanted)


def test_jacob_cov_that_is_not_that_of_the_source() -> None:
    """Beside numpy's correlations and eigenvalues, as its published code has them."""
    net, batch = Net(lambda x: x.square()), batch_of(IMAGES)
    shown = batch.clone().requires_grad_()
    net(shown).sum().backward()
    assert shown.grad is not None
    values = np.linalg.eigvalsh(np.corrcoef(shown.grad.flatten(1).double().numpy()))
    wanted = -np.sum(np.log(values + 1e-5) + 1 / (values + 1e-5))
    assert jacob_cov(net, batch, CLASSES) == pytest.approx(wanted, rel=1e-3)


@pytest.mark.parametrize("between", [lambda x: x * 0, lambda x: x.detach() * 0, lambda x: (-x.abs()).relu()])
def test_a_network_whose_path_is_cut_that_has_a_flow(between: Callable[[Tensor], Tensor]) -> None:
    assert "synflow" not in figures(lambda: Net(between))


@pytest.mark.parametrize("between", [torch.zeros_like, lambda x: x.detach()])
def test_a_network_that_ignores_its_images_and_has_a_jacobian(between: Callable[[Tensor], Tensor]) -> None:
    assert "jacob_cov" not in figures(lambda: Net(between))


def test_a_linear_network_that_responds_as_differently_as_one_with_a_nonlinearity() -> None:
    assert figures(lambda: Net(lambda x: x))["jacob_cov"] < figures(Net)["jacob_cov"]


def test_a_flow_that_is_too_large_for_single_precision() -> None:
    def deep() -> nn.Module:
        layers = [nn.Linear(64, 64, bias=False) for _ in range(40)]
        for layer in layers:
            nn.init.constant_(layer.weight, 10.0)
        return nn.Sequential(nn.Flatten(), nn.Linear(3 * SIZE * SIZE, 64), *layers, nn.Linear(64, CLASSES))

    assert figures(deep)["synflow"] > math.log(torch.finfo(torch.float32).max)


class Breaks(nn.Module):
    def __init__(self, error: type[BaseException]) -> None:
        super().__init__()
        self.head, self.error = nn.Linear(3, CLASSES), error

    def forward(self, x: Tensor) -> Tensor:
        if bool((x == 1).all()):
            raise self.error("an image of ones")
        return self.head(x.square().mean((2, 3)))


@pytest.mark.parametrize("error", [RuntimeError, SystemExit, MemoryError, KeyboardInterrupt])
def test_an_error_that_costs_more_than_its_own_figure(error: type[BaseException]) -> None:
    assert set(figures(lambda: Breaks(error))) == {"jacob_cov"}


def test_lazy_integer_and_frozen_tensors_that_cost_a_figure() -> None:
    def odd() -> nn.Module:
        net = nn.Sequential(nn.LazyConv2d(6, 3), nn.BatchNorm2d(6), nn.ReLU(), nn.Flatten(), nn.LazyLinear(4))
        net.register_buffer("mask", torch.ones(2, dtype=torch.bool))
        net[1].requires_grad_(False)
        return net

    assert set(figures(odd)) == set(PROXIES)


def test_dropout_whose_noise_passes_for_a_difference_between_images() -> None:
    def dropping(share: float) -> nn.Module:
        flat = 3 * SIZE * SIZE
        return nn.Sequential(nn.Flatten(), nn.Linear(flat, 32), nn.Dropout(share), nn.Linear(32, 4))

    assert figures(lambda: dropping(0.9))["jacob_cov"] == figures(lambda: dropping(0.0))["jacob_cov"]


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 400), st.sampled_from([8, 64, 224, 512]))
def test_a_batch_that_is_empty_or_unbounded(count: int, size: int) -> None:
    images = Images(torch.zeros(count, 2, 2, 1, dtype=torch.uint8), torch.zeros(1), torch.ones(1), size)
    batch = batch_of(images)
    assert batch.shape[1:] == (1, size, size)
    assert min(count, 4) <= len(batch) <= min(count, 32)
    assert len(batch) * size**2 <= 32 * 64**2 or len(batch) <= 4


def test_a_batch_of_neighbours() -> None:
    pixels = torch.arange(100, dtype=torch.uint8).reshape(100, 1, 1, 1)
    batch = batch_of(Images(pixels, torch.zeros(1), torch.ones(1), 1)).flatten()
    assert batch[0] == 0
    assert batch[-1] == 99
    assert len(batch.unique()) == 32


def test_a_worker_that_computes_other_figures_after_the_probe_has_trained(tmp_path: Path) -> None:
    seed, cut = genome(), genome(source(forward="x = x.detach() * 0"))
    with shop(tmp_path, dataset=(task := data(train=64)), screen=2) as opened:
        sound, broken = (opened.probe(one).result(PATIENT) for one in (seed, cut))
    namespace: dict[str, Any] = {}
    exec(seed.source, namespace)
    mean, std = channel_statistics(task.train.images)
    pixels = torch.from_numpy(rows_last_channels(task.train.images))
    images = Images(pixels, torch.tensor(mean), torch.tensor(std), SIZE)
    wanted = proxies(namespace["Net"], images, CLASSES)
    assert {name: sound.facts[name] for name in PROXIES} == pytest.approx(wanted, rel=1e-4)
    assert not broken.stage
    assert "jacob_cov" not in broken.facts


def test_a_probe_that_sees_images_unasked() -> None:
    probe = JobSpec("x", "probe", {"": ""}, "d", 0, "validation", 9.0, "")
    assert arrays_for(probe) == ()
    assert arrays_for(replace(probe, proxies=True)) == ("train",)
