"""What is drawn for an epoch: the same numbers as batch by batch, and sent to a device at once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from ge_engine.evaluation.data.batches import Images, batch_bounds, shuffled
from ge_engine.evaluation.data.draws import Augmentation

SIDE = 22
AUGMENTATIONS = st.builds(Augmentation, st.booleans(), st.booleans(), st.sampled_from([0.0, 0.2]))


def batch_by_batch(
    images: Images, labels: Tensor, size: int, augmentation: Augmentation, generator: torch.Generator
) -> Iterator[tuple[Tensor, Tensor]]:
    """The epoch by its definition: each batch's draws when it is its turn, each image moved alone."""
    order = torch.randperm(len(images), generator=generator)
    for start, stop in batch_bounds(len(images), size):
        count, picked = stop - start, images.pixels[order[start:stop]].clone()
        if augmentation.mirror:
            mirrored = torch.rand(count, 1, generator=generator) < 0.5
        if augmentation.shift:
            offsets = []
            for _ in range(2):
                moved = torch.rand(count, 1, generator=generator) < 0.5
                offsets.append(torch.randint(-1, 2, (count, 1), generator=generator) * moved)
            picked = torch.stack([_moved(*one) for one in zip(picked, *offsets, strict=True)])
        if augmentation.mirror:
            picked = torch.where(mirrored[:, :, None, None], picked.flip(2), picked)
        batch = images.normalised(picked)
        if augmentation.jitter:
            draws = torch.rand(count, 3, generator=generator)
            on = (draws[:, 0] < 0.5).float() * augmentation.jitter
            batch = batch.mul_((1 + on * (2 * draws[:, 1] - 1)).view(-1, 1, 1, 1))
            batch = batch.add_((on * (2 * draws[:, 2] - 1)).view(-1, 1, 1, 1))
        yield batch, labels[order[start:stop]]


def _moved(image: Tensor, down: Tensor, right: Tensor) -> Tensor:
    rows = (torch.arange(SIDE) + down).clamp(0, SIDE - 1)
    return image[rows][:, (torch.arange(SIDE) + right).clamp(0, SIDE - 1)]


def images(count: int) -> Images:
    generator = torch.Generator().manual_seed(count)
    pixels = torch.randint(0, 256, (count, SIDE, SIDE, 3), dtype=torch.uint8, generator=generator)
    return Images(pixels, torch.tensor([100.0, 90, 80]), torch.tensor([50.0, 60, 70]), SIDE)


@settings(max_examples=30, deadline=None)
@given(st.integers(2, 60), st.integers(2, 30), AUGMENTATIONS, st.integers(0, 2**31))
def test_figures_that_change_because_an_epoch_is_drawn_at_once(
    count: int, size: int, augmentation: Augmentation, rng_seed: int
) -> None:
    """Bit for bit: scores of runs that are resumed stand beside new ones."""
    data, labels = images(count), torch.arange(count)
    one, two = (torch.Generator().manual_seed(rng_seed) for _ in range(2))
    for _ in range(2):  # the second epoch shows that the generator is left where it was
        ours = list(shuffled(data, labels, size, augmentation, one))
        theirs = list(batch_by_batch(data, labels, size, augmentation, two))
        assert len(ours) == len(theirs)
        for mine, other in zip(ours, theirs, strict=True):
            assert torch.equal(mine[0], other[0])
            assert torch.equal(mine[1], other[1])


class Copies(TorchDispatchMode):
    """Counts the tensors that are sent from the CPU to another device."""

    count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if func is torch.ops.aten._to_copy.default and args[0].device.type == "cpu" != result.device.type:
            self.count += 1
        return result


def test_indices_that_are_copied_to_the_device_batch_by_batch() -> None:
    """Such a copy waits until the GPU has done all that was asked of it before."""
    data, labels = images(64).to(torch.device("meta")), torch.arange(64, device="meta")
    with Copies() as copies:
        batches = shuffled(data, labels, 8, Augmentation(True, True, 0.2), torch.Generator())
        next(batches)
        assert copies.count == 6
        assert len(list(batches)) == 7
        assert copies.count == 6
