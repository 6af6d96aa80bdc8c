"""Tasks: data sets for the built-in trainer."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ge_engine.config import RunConfig

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, slots=True)
class Split:
    """Images as uint8 (n, channels, height, width) and labels as int64 (n,)."""

    images: torch.Tensor
    labels: torch.Tensor


@dataclass(frozen=True, slots=True)
class Dataset:
    """A task's data. `names` are the classes; train and validation are cut from the training part.
    `mirror`: a mirrored image keeps its class (not so for digits)."""

    train: Split
    validation: Split
    test: Split
    names: tuple[str, ...]
    mirror: bool = True


class Task(ABC):
    """`--task NAME` or `--task NAME:ARGUMENT` loads a data set."""

    name: str

    @abstractmethod
    def load(self, argument: str, config: RunConfig) -> Dataset:
        """The data set. Raises ConfigError with what to do, also when offline."""
