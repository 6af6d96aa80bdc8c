"""The built-in tasks: handwritten digits, a folder of images, and torchvision's small data sets."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ge_engine.cache import cache_folder
from ge_engine.config import RunConfig
from ge_engine.contracts import Dataset, Split, Task
from ge_engine.errors import ConfigError
from ge_engine.hookspecs import hookimpl
from ge_plugins.folder_report import tell_folder
from ge_plugins.image_folder import LeftOut, read_image_folder
from ge_plugins.splitting import SPLIT_SEED, TEST_SHARE, drawing
from ge_plugins.surveying import refuse

if TYPE_CHECKING:
    from torch import Tensor

DIGIT_SIZE = 32


def cut(images: Tensor, labels: Tensor, share: float) -> tuple[Split, Split]:
    """Split off `share` of the images, at least one each side, by a seed that never changes."""
    import torch  # late, here and below: who lists plugins needs none, and it takes a second

    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(SPLIT_SEED))
    size = min(max(1, round(share * len(labels))), len(labels) - 1)
    off, rest = order[:size].sort().values, order[size:].sort().values
    return Split(images[rest], labels[rest]), Split(images[off], labels[off])


def dataset(
    training: Split, test: Split, names: Iterable[str], config: RunConfig, mirror: bool = True
) -> Dataset:
    """A data set whose validation part is cut from `training`."""
    train, validation = cut(training.images, training.labels, config.recipe.validation_share)
    return Dataset(train, validation, test, tuple(names), mirror)


class Digits(Task):
    """scikit-learn's 1,797 handwritten digits, 8x8 brought to 32x32 with 3 equal channels. No network."""

    name = "digits"

    def load(self, argument: str, config: RunConfig) -> Dataset:
        """A fifth for the test. Raises ConfigError on an argument."""
        import torch
        from sklearn.datasets import load_digits
        from torch.nn.functional import interpolate

        if argument:
            raise ConfigError(
                f"The task digits takes no argument and got {argument!r}.", "Give --task digits."
            )
        bundle = load_digits()
        grey = torch.from_numpy(bundle.images).float().unsqueeze(1) * (255 / 16)
        large = interpolate(grey, (DIGIT_SIZE, DIGIT_SIZE), mode="bilinear", align_corners=False)
        images = large.round().to(torch.uint8).expand(-1, 3, -1, -1).contiguous()
        training, test = cut(images, torch.from_numpy(bundle.target).long(), TEST_SHARE)
        return dataset(training, test, [str(digit) for digit in range(10)], config, mirror=False)


class Folder(Task):
    """A folder or .zip of images: `train/CLASS/*.png` and `test/CLASS/*.png`, or `CLASS/*.png` alone."""

    name = "folder"

    def load(self, argument: str, config: RunConfig) -> Dataset:
        """Without a test part a fifth of the images becomes one; what is cut off has as much of each class.
        What was found and what was left out is said on stderr. Raises ConfigError without images."""
        if not argument:
            raise ConfigError(
                "The task folder needs a path.", "Give --task folder:PATH (a directory or a .zip)."
            )
        left_out = LeftOut()
        read = read_image_folder(
            Path(argument).expanduser(),
            config.recipe.image_size,
            drawing(config),
            left_out if config.skip_broken else refuse,
        )
        tell_folder(argument, read, left_out.phrases())
        return Dataset(
            read.splits["train"], read.splits["validation"], read.splits["test"], read.names, mirror=True
        )


@dataclass(frozen=True, slots=True)
class Downloaded(Task):
    """A data set that torchvision downloads once into the user's cache folder."""

    name: str
    kind: str
    mirror: bool

    def load(self, argument: str, config: RunConfig) -> Dataset:
        """Raises ConfigError when it is neither cached nor available."""
        if argument:
            raise ConfigError(f"The task {self.name} takes no argument and got {argument!r}.")
        training, test = self._part(True), self._part(False)
        names = [str(name) for name in training.classes]
        return dataset(_split(training), _split(test), names, config, self.mirror)

    def _part(self, train: bool) -> Any:
        import torchvision.datasets

        make: Callable[..., Any] = getattr(torchvision.datasets, self.kind)
        root = cache_folder() / "datasets"
        try:
            root.mkdir(parents=True, exist_ok=True)
            return make(str(root), train=train, download=True)
        except (OSError, RuntimeError) as error:
            raise ConfigError(
                f"The data of the task {self.name} is not in {root} and cannot be downloaded: {error}.",
                "Go online once, or use --task digits (bundled) or --task folder:PATH (your own).",
            ) from error


def _split(part: Any) -> Split:
    import torch

    images = torch.as_tensor(part.data)
    images = images.unsqueeze(1) if images.dim() == 3 else images.permute(0, 3, 1, 2)
    return Split(images.contiguous(), torch.as_tensor(part.targets).long())


@hookimpl
def ge_tasks() -> Iterable[Task]:
    """Classification of small images."""
    yield Digits()
    yield Folder()
    yield Downloaded("cifar10", "CIFAR10", True)
    yield Downloaded("cifar100", "CIFAR100", True)
    yield Downloaded("mnist", "MNIST", False)
    yield Downloaded("fashion-mnist", "FashionMNIST", True)
