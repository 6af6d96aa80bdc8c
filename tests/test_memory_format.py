"""Networks that care how their images lie in memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from ge_engine.contracts import Dataset, Split
from ge_engine.evaluation.data.memory_layout import placed
from ge_engine.evaluation.train.layout import laid_out, runs_channels_last
from ge_engine.evaluation.train.optimizers import decay_groups
from ge_engine.evaluation.train_evaluation import TrainEvaluation
from ge_engine.genome import Genome, Seed
from ge_engine.outcome import Scored
from tests.evaluation import CLASSES, SIZE, data, outcome_of, probe_here, shop, source
from tests.sampled import everyday

LENET = f"""\
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1)
        self.head = nn.Linear(4 * {SIZE} * {SIZE}, {CLASSES})

    def forward(self, x):
        x = self.conv(x)
        LINE
        return self.head(x)
"""
WANT_CHANNELS_FIRST = {
    "view": "x = x.view(x.size(0), -1)",
    "view in training alone": "x = x.view(x.size(0), -1) if self.training else x.flatten(1)",
    "view in answers alone": "x = x.flatten(1) if self.training else x.view(x.size(0), -1)",
    "view of a transposed map": "x = x.transpose(2, 3).transpose(2, 3).view(len(x), -1)",
    "strides": "assert x.is_contiguous(); x = x.flatten(1)",
}


def lenet(line: str) -> Genome:
    return Seed.from_bytes(LENET.replace("LINE", line).encode(), Path("lenet.py")).genome


@pytest.fixture(scope="module")
def evaluation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TrainEvaluation]:
    seed = lenet("x = x.flatten(1)")
    with shop(tmp_path_factory.mktemp("scratch"), seed, max_slowdown=50.0) as opened:
        yield opened


@pytest.mark.parametrize("kind", everyday(WANT_CHANNELS_FIRST, "view"))
def test_a_network_that_views_its_map_as_rows_and_fails_in_training(
    kind: str, evaluation: TrainEvaluation
) -> None:
    network = lenet(WANT_CHANNELS_FIRST[kind])
    assert isinstance(outcome_of(evaluation, network), Scored)
    assert evaluation.probe(network).result().facts["channels_last"] == 0


def one_channel() -> Dataset:
    def grey(split: Split) -> Split:
        return replace(split, images=split.images[:, :1].contiguous())

    whole = data()
    return replace(whole, train=grey(whole.train), validation=grey(whole.validation), test=grey(whole.test))


@pytest.mark.parametrize("kind", everyday(["view", "view in training alone", "strides"], "strides"))
def test_a_network_that_views_its_map_as_rows_and_fails_on_grey_images(kind: str, tmp_path: Path) -> None:
    grey = lenet(WANT_CHANNELS_FIRST[kind]).text.replace("Conv2d(3", "Conv2d(1")
    seed = Seed.from_bytes(grey.encode(), Path("lenet.py")).genome
    with shop(tmp_path, seed, one_channel()) as evaluation:
        assert isinstance(outcome_of(evaluation, seed), Scored)


def test_lazy_layers_that_are_laid_out_or_sorted_before_they_have_sizes() -> None:
    model = nn.Sequential(nn.LazyConv2d(4, 3), nn.LazyBatchNorm2d(), nn.Flatten(), nn.LazyLinear(2))
    assert laid_out(model, torch.channels_last) is model
    matrices, vectors = (group["params"] for group in decay_groups(model, 0.1))
    assert (len(matrices), len(vectors)) == (2, 4)
    model(torch.zeros(2, 3, 8, 8))
    assert {one.dim() for one in vectors} == {1}


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_strides_that_say_another_layout_than_asked_for(layout: torch.memory_format, channels: int) -> None:
    rows = torch.zeros(2, 4, 5, channels).permute(0, 3, 1, 2)
    last = (20 * channels, 1, 5 * channels, channels)
    for images in (rows, torch.zeros(2, channels, 4, 5)):
        strides = placed(images, layout).stride()
        assert strides == (last if layout is torch.channels_last else (20 * channels, 20, 5, 1))


def test_a_network_that_could_be_fast_and_is_not(evaluation: TrainEvaluation) -> None:
    assert probe_here(source()).facts["channels_last"] == 1
    network = lenet("assert self.training is False or not x.is_contiguous() or len(x) == 8; x = x.flatten(1)")
    assert isinstance(outcome_of(evaluation, network), Scored), (
        "its training, of 32 images, was not channels last"
    )


@pytest.mark.parametrize(
    "model",
    [
        nn.Sequential(nn.Flatten(), nn.Linear(3 * 64, 2)),
        nn.Sequential(nn.Conv3d(1, 1, 1), nn.Conv2d(3, 2, 1)),
    ],
    ids=["no convolution", "volumes"],
)
def test_a_layout_for_networks_that_gain_nothing(model: nn.Module) -> None:
    assert not runs_channels_last(model, torch.zeros(2, 3, 8, 8), 2)
