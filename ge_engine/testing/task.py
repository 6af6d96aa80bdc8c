"""What every task promises: uint8 images, int64 labels, three parts that do not mix, the same each time."""

from __future__ import annotations

from typing import Any

import pytest

from ge_engine.config import RunConfig, config_from_dict
from ge_engine.contracts import Dataset, Split, Task
from ge_engine.testing.watching import assert_is_a_name, no_global_randomness

PARTS = ("train", "validation", "test")
EACH_PART = pytest.mark.parametrize("part", PARTS)


class TaskContract:
    """Override `task` with a fixture of scope "class" on a classmethod, and `argument` where it needs one."""

    argument: str = ""
    settings: dict[str, Any] = {}  # noqa: RUF012 (overridden as a whole)

    @pytest.fixture(scope="class")
    @classmethod
    def task(cls) -> Task:
        raise NotImplementedError("give the fixture `task`, with scope='class'")

    @pytest.fixture(scope="class")
    @classmethod
    def config(cls) -> RunConfig:
        return config_from_dict(cls.settings)

    @pytest.fixture(scope="class")
    @classmethod
    def data(cls, task: Task, config: RunConfig) -> Dataset:
        return task.load(cls.argument, config)

    def test_it_has_a_name(self, task: Task) -> None:
        assert_is_a_name(task.name)

    @EACH_PART
    def test_images_are_bytes(self, data: Dataset, part: str) -> None:
        images = self.part(data, part).images
        assert str(images.dtype) == "torch.uint8"
        assert images.dim() == 4, "images are (n, channels, height, width)"
        assert min(images.shape) > 0

    @EACH_PART
    def test_labels_are_class_numbers(self, data: Dataset, part: str) -> None:
        split = self.part(data, part)
        assert str(split.labels.dtype) == "torch.int64"
        assert split.labels.shape == (len(split.images),)
        assert int(split.labels.min()) >= 0
        assert int(split.labels.max()) < len(data.names)

    def test_all_parts_have_one_shape(self, data: Dataset) -> None:
        assert len({tuple(self.part(data, part).images.shape[1:]) for part in PARTS}) == 1

    def test_every_class_has_a_name_of_its_own(self, data: Dataset) -> None:
        assert all(isinstance(name, str) and name for name in data.names)
        assert len(set(data.names)) == len(data.names) > 1

    def test_every_class_can_be_learned(self, data: Dataset) -> None:
        assert set(data.train.labels.tolist()) == set(range(len(data.names)))

    def test_the_validation_share_is_the_recipes(self, data: Dataset, config: RunConfig) -> None:
        train, validation = len(data.train.labels), len(data.validation.labels)
        share = validation / (train + validation)
        assert share == pytest.approx(config.recipe.validation_share, abs=0.02 + 1 / (train + validation))

    def test_images_are_not_all_alike(self, data: Dataset) -> None:
        assert len(self.pictures(data, "train")) > len(data.names)

    @pytest.mark.parametrize("held_out", ["validation", "test"])
    def test_training_does_not_see_what_is_held_out(self, data: Dataset, held_out: str) -> None:
        """A few data sets hold a picture twice; a leak shows in more than a hundredth."""
        other = self.pictures(data, held_out)
        assert len(other & self.pictures(data, "train")) <= len(other) / 100

    def test_loading_twice_gives_the_same(self, task: Task, config: RunConfig, data: Dataset) -> None:
        again = task.load(self.argument, config)
        assert again.names == data.names
        for part in PARTS:
            assert bool((self.part(again, part).images == self.part(data, part).images).all())
            assert bool((self.part(again, part).labels == self.part(data, part).labels).all())

    def test_the_split_does_not_hang_on_global_random_numbers(self, task: Task, config: RunConfig) -> None:
        with no_global_randomness():
            task.load(self.argument, config)

    def part(self, data: Dataset, name: str) -> Split:
        split = getattr(data, name)
        assert isinstance(split, Split)
        return split

    def pictures(self, data: Dataset, name: str) -> set[bytes]:
        return {image.numpy().tobytes() for image in self.part(data, name).images}
