"""Which images train, score and test: of each class as much, so that rare ones are in every part."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ge_engine.config import RunConfig
from ge_engine.errors import ConfigError

SPLIT_SEED = 0
TEST_SHARE = 0.2
FEW = 10

Indices = np.ndarray[Any, np.dtype[np.int64]]
Draw = Callable[[Sequence[str], Sequence[int]], Mapping[str, Indices]]
"""Parts ("train", "test") and classes of all images -> the images of each split, as rising indices."""


def drawing(config: RunConfig) -> Draw:
    """The splits of a run: the test part that is given, else a fifth; of the rest the share of the settings
    validates and at most its limit trains, the same images as the engine would draw of all."""
    share, limit = config.recipe.validation_share, config.recipe.train_limit

    def draw(parts: Sequence[str], labels: Sequence[int]) -> Mapping[str, Indices]:
        classes = np.asarray(labels, np.int64)
        test = np.flatnonzero(np.asarray(parts) == "test")
        training = np.flatnonzero(np.asarray(parts) == "train")
        if not len(test):
            training, test = stratified(training, classes, TEST_SHARE, 3)
        train, validation = stratified(training, classes, share, 2)
        if limit and limit < len(train):
            chosen = np.random.default_rng(config.random_seed).permutation(len(train))[:limit]
            train = train[np.sort(chosen)]
        return _none_empty({"train": train, "validation": validation, "test": test})

    return draw


def _none_empty(splits: Mapping[str, Indices]) -> Mapping[str, Indices]:
    for name, chosen in splits.items():
        if not len(chosen):
            raise ConfigError(
                f"There are too few images for a {name} part.", "Give 3 images or more of a class."
            )
    return splits


def stratified(indices: Indices, labels: Indices, share: float, least: int) -> tuple[Indices, Indices]:
    """Split off `share` of the images, of each class as much as of all, by a seed that never changes: one at
    least of a class that has `least` or more, and never all of one."""
    own = labels[indices]
    names, counts = np.unique(own, return_counts=True)
    wanted = share * counts
    sizes = np.floor(wanted).astype(int)
    missing = round(share * len(indices)) - int(sizes.sum())
    sizes[np.argsort(-(wanted - sizes), kind="stable")[: max(0, missing)]] += 1
    sizes = np.clip(sizes, np.where(counts >= least, 1, 0), np.maximum(counts - least + 1, 0))
    rng = np.random.default_rng(SPLIT_SEED)
    off = np.zeros(len(indices), bool)
    for name, size in zip(names, sizes):
        places = np.flatnonzero(own == name)
        off[rng.permutation(places)[:size]] = True
    return indices[~off], indices[off]


def rare_classes(counts: Mapping[str, int], names: Sequence[str]) -> list[str]:
    """A phrase for each class with so few training images that its score says little, the fewest first."""
    few = sorted((counts[name], name) for name in names if counts[name] < FEW)
    return [f"{name} ({count})" for count, name in few]
