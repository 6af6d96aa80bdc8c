"""The number of channels: grey models on grey images, models for colours on grey ones, and the other way."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from ge_engine.cli.options import channels_of
from ge_engine.config import RunConfig, config_from_dict
from ge_engine.contracts import Dataset, Probe, Split, Task
from ge_engine.errors import ConfigError, SeedError
from ge_engine.evaluation.data.channels import in_channels, is_grey
from ge_engine.evaluation.seed_check import require_usable
from ge_engine.evaluation.setup import task_facts
from ge_engine.genome import Seed
from ge_plugins.evaluators import TrainEvaluator
from ge_plugins.tasks import Digits
from tests.pictured import array, load, saved, write

NET = """\
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self, num_classes=10):
        super().__init__()
        self.conv = nn.Conv2d(CHANNELS, 4, 3)
        self.head = nn.Linear(4, num_classes)

    def forward(self, x):
        return self.head(self.conv(x).relu().mean((2, 3)))
"""


def dataset(images: torch.Tensor) -> Dataset:
    split = Split(images, torch.arange(len(images)) % 2)
    return Dataset(split, split, split, ("a", "b"))


def noise(channels: int, count: int = 4) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randint(0, 256, (count, channels, 8, 8), generator=generator).to(torch.uint8)


@given(st.lists(st.tuples(*[st.integers(0, 255)] * 3), min_size=1, max_size=9))
def test_a_grey_that_is_not_pillows(colours: list[tuple[int, int, int]]) -> None:
    rows = np.array(colours, np.uint8).reshape(1, -1, 3)
    images = torch.from_numpy(rows.transpose(2, 0, 1)[None].copy())
    grey = in_channels(dataset(images), 1).train.images[0, 0].numpy()
    assert np.array_equal(grey, np.asarray(Image.fromarray(rows).convert("L")))


def test_grey_images_that_change_as_colours_and_back() -> None:
    grey = dataset(noise(1, 5000))
    colours = in_channels(grey, 3)
    assert colours.train.images.shape == (5000, 3, 8, 8)
    assert torch.equal(in_channels(colours, 1).test.images, grey.test.images)
    assert is_grey(grey)
    assert is_grey(colours)
    assert not is_grey(dataset(noise(3)))
    assert in_channels(colours, 0) is colours
    assert in_channels(colours, 3) is colours


@pytest.mark.parametrize(("own", "asked"), [(5, 3), (3, 5), (1, 4), (13, 1)])
def test_channels_that_cannot_be_had(own: int, asked: int) -> None:
    with pytest.raises(ConfigError, match=f"have {own} channels and cannot be given with {asked}"):
        in_channels(dataset(noise(own)), asked)


def test_a_flag_of_channels_that_is_no_number() -> None:
    assert [channels_of(asked) for asked in ("auto", "1", "3")] == [0, 1, 3]
    for asked in ("grey", "-1", "0", "1.5", "²", ""):
        with pytest.raises(ConfigError, match="--channels wants auto, 1 or 3"):
            channels_of(asked)
    with pytest.raises(ConfigError, match=r"training\.channels"):
        config_from_dict({"recipe": {"channels": -1}})


class Given(Task):
    """A task of the images that it was made with."""

    name = "given"

    def __init__(self, data: Dataset) -> None:
        self._data = data

    def load(self, argument: str, config: RunConfig) -> Dataset:
        return self._data


def probed(task: Task, channels: int, folder: Path, asked: int = 0) -> Probe:
    """What the evaluator of a run sees of a network that takes `channels`."""
    seed = Seed.from_bytes(NET.replace("CHANNELS", str(channels)).encode()).genome
    config = config_from_dict(
        {"task": task.name, "recipe": {"channels": asked, "train_limit": 64, "epochs": 1}, "workers": 1}
    )
    with TrainEvaluator().open(seed, config, [], folder / "s", {task.name: task}) as evaluation:
        return evaluation.probe(seed).result()


@pytest.mark.long
def test_a_grey_model_on_digits(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """LeNet as everybody has it: no flag."""
    assert not probed(Digits(), 1, tmp_path).stage
    assert "with 1 channel, as the seed model takes them" in capsys.readouterr().err


@pytest.mark.long
def test_a_model_for_colours_on_one_grey_channel(tmp_path: Path) -> None:
    """MNIST, whose images have one channel."""
    assert not probed(Given(dataset(noise(1, 64))), 3, tmp_path).stage


@pytest.mark.long
def test_a_grey_model_on_colours_without_being_asked(tmp_path: Path) -> None:
    """Nobody takes colours away in silence; with --channels 1 they are asked to go."""
    task = Given(dataset(noise(3, 64)))
    with pytest.raises(
        SeedError, match="takes images of 1 channel, and the task gives images of 3x8x8"
    ) as refused:
        probed(task, 1, tmp_path)
    assert "--channels 1" in refused.value.hint
    assert not probed(task, 1, tmp_path, asked=1).stage


def test_a_model_whose_channels_no_image_has() -> None:
    error = (
        "RuntimeError: Given groups=1, weight of size [4, 7, 3, 3], expected input[2, 3, 8, 8] to have 7 "
        "channels, but got 3 channels instead"
    )
    with pytest.raises(SeedError, match="takes images of 7 channels"):
        require_usable(Probe(stage="forward", error=error), 2, "3x8x8", "Net()")
    inner = error.replace("got 3", "got 16")
    with pytest.raises(SeedError, match="stops at forward") as refused:
        require_usable(Probe(stage="forward", error=inner), 2, "3x8x8", "Net()")
    assert "--channels" in refused.value.hint


def test_channels_that_do_not_reach_the_entry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    files = {f"{name}/{n}.npy": array(np.zeros((8, 8, 5), np.uint8)) for name in "ab" for n in range(5)}
    assert task_facts(load(write(tmp_path / "x", files)), 8)["in_channels"] == 5
    grey = {f"{name}/{n}.png": saved(Image.new("L", (8, 8), 7)) for name in "ab" for n in range(5)}
    data = load(write(tmp_path / "y", grey))
    assert [task_facts(in_channels(data, n), 8)["in_channels"] for n in (0, 1, 3)] == [3, 1, 3]
