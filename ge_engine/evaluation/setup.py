"""Set up what all jobs of one evaluation share: data without names, limits, and what may be read."""

from __future__ import annotations

import ast
import os
from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ge_engine.cache import cache_paths
from ge_engine.config import RunConfig
from ge_engine.contracts import Dataset, Split
from ge_engine.entry import resolve_entry
from ge_engine.entry_block import entry_of
from ge_engine.errors import ConfigError
from ge_engine.evaluation.data.channels import in_channels
from ge_engine.evaluation.on_machine import OnMachine, fields_of, on_this_machine, seed_address
from ge_engine.evaluation.protocol.messages import ArraySpec, SessionSpec
from ge_engine.evaluation.sandbox.removal import empty_folder
from ge_engine.evaluation.tracing import code_of
from ge_engine.evaluation.weights import Preprocessing
from ge_engine.genome import Genome

if TYPE_CHECKING:
    import torch

    from ge_engine.evaluation.data.batches import Images


def set_up(
    seed: Genome, config: RunConfig, data: Dataset, scratch: Path, private: Sequence[Path] = ()
) -> tuple[SessionSpec, list[memoryview]]:
    """The session of all jobs, and its arrays (images as (n, height, width, channels)). No candidate reads
    what is `private`, besides `private_paths`.

    Raises:
        ConfigError: the images cannot be given with the channels of the training settings.
    """
    data = in_channels(data, config.recipe.channels)
    scratch = scratch.resolve()
    empty_folder(scratch / "jobs")
    train = limited(data.train, config.recipe.train_limit, config.random_seed)
    arrays = shared_arrays(data, train)
    session = replace(
        _session(seed, config, replace(data, train=train), scratch, private),
        arrays={name: ArraySpec(array.shape, str(array.dtype)) for name, array in arrays.items()},
    )
    return session, [np.ascontiguousarray(array).data.cast("B") for array in arrays.values()]


def machine_of(seed: Genome, config: RunConfig, scratch: Path, private: Sequence[Path] = ()) -> OnMachine:
    """What holds here of the session, before any data is read. Raises ConfigError."""
    scratch = scratch.resolve()
    sources = [one.source for one in seed.files.values()]
    kept = [*private_paths(config, scratch), *private]
    paths = _paths(seed, scratch).values()
    return on_this_machine([*paths], sources, seed.digest, config, scratch, kept)


def _session(
    seed: Genome, config: RunConfig, data: Dataset, scratch: Path, private: Sequence[Path]
) -> SessionSpec:
    paths = _paths(seed, scratch)
    sources = [one.source for one in seed.files.values()]
    here = machine_of(seed, config, scratch, private)
    root = Path(seed_address([*paths.values()], sources, seed.digest).root)
    channels, height = int(data.train.images.shape[1]), int(data.train.images.shape[2])
    size = config.recipe.image_size or height
    mean, std = channel_statistics(data.train.images)
    return SessionSpec(
        seed_path=str(next(iter(paths.values()))),
        entry=resolve_entry(seed, task_facts(data, size), entry_of(seed, config)),
        channels=channels,
        size=size,
        classes=len(data.names),
        mirror=data.mirror,
        mean=mean,
        std=std,
        recipe=asdict(config.recipe),
        threads=config.threads,
        memory=int(config.memory_gib * 2**30),
        preload=imports_to_preload(code_of(seed).values(), root),
        files={name: str(path) for name, path in paths.items()},
        **fields_of(here),
    )


def _paths(seed: Genome, scratch: Path) -> dict[str, Path]:
    """Where the seed model's files lie, the one that builds the model first; a place of their own for those
    of which it is not known."""
    return {
        name: Path(os.path.abspath(one.path)) if one.path else scratch / "seed" / (name or "seed.py")
        for name, one in seed.seed.files.items()
    }


def preprocessing_of(session: SessionSpec, data: Dataset) -> Preprocessing:
    """How the session's networks get an image of `data`, and what their answers are called."""
    return Preprocessing(
        entry=session.entry,
        channels=session.channels,
        height=int(data.train.images.shape[2]),
        width=int(data.train.images.shape[3]),
        size=session.size,
        mean=session.mean,
        std=session.std,
        classes=tuple(data.names),
    )


def task_name(task: str) -> tuple[str, str]:
    """Split "NAME:ARGUMENT". Raises ConfigError when the name is empty."""
    name, _, argument = task.partition(":")
    if not name:
        raise ConfigError(f"The task {task!r} has no name.", "Give --task NAME or NAME:ARGUMENT.")
    return name, argument


def shared_arrays(data: Dataset, train: Split) -> dict[str, np.ndarray[Any, Any]]:
    """What all workers get, in the order that they expect: of the held-out parts, only the images."""
    return {
        "train": rows_last_channels(train.images),
        "labels": train.labels.numpy().astype(np.int64),
        "validation": rows_last_channels(data.validation.images),
        "test": rows_last_channels(data.test.images),
    }


def private_paths(config: RunConfig, scratch: Path) -> list[Path]:
    """What no candidate may read, even where all around it may be: the task's data, the run's folder and
    those of other runs beside it, and what was downloaded."""
    argument = config.task.partition(":")[2]
    data = Path(os.path.expanduser(argument)) if argument else scratch
    runs = runs_beside(scratch.parent)
    return [path for path in (scratch, data, *_linked(data), *cache_paths(), *runs) if path.exists()]


def runs_beside(run: Path) -> list[Path]:
    """The folders of runs beside one at `run`, that one among them."""
    return [file.parent for file in run.parent.glob("*/ledger.sqlite")]


def _linked(data: Path) -> list[Path]:
    """Where the folders of classes and parts lie that are links."""
    near = [*data.glob("*"), *data.glob("*/*")] if data.is_dir() else []
    return [path.resolve() for path in near if path.is_symlink() and path.is_dir()]


def task_facts(data: Dataset, size: int) -> dict[str, int | float]:
    """What an entry point may be given of the task; `size` is the images' side in pixels."""
    return {
        "num_classes": len(data.names),
        "in_channels": int(data.train.images.shape[1]),
        "image_size": size,
    }


def as_images(split: Split, train: Split, size: int) -> Images:
    """`split` for a trainer in this process, normalised by the statistics of `train`."""
    import torch

    from ge_engine.evaluation.data.batches import Images

    mean, std = channel_statistics(train.images)
    return Images(split.images.permute(0, 2, 3, 1).contiguous(), torch.tensor(mean), torch.tensor(std), size)


def limited(split: Split, limit: int, rng_seed: int) -> Split:
    """At most `limit` images, drawn by `rng_seed`; 0 keeps all."""
    if not limit or limit >= len(split.labels):
        return split
    chosen = np.sort(np.random.default_rng(rng_seed).permutation(len(split.labels))[:limit])
    return Split(split.images[chosen], split.labels[chosen])


def rows_last_channels(images: torch.Tensor) -> np.ndarray[Any, Any]:
    """uint8 (n, c, h, w) to (n, h, w, c)."""
    return np.ascontiguousarray(images.numpy().transpose(0, 2, 3, 1))


def channel_statistics(images: torch.Tensor) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of each channel on the scale 0..255, at least 1, over all images."""
    counts = np.stack(
        [np.bincount(channel.ravel(), minlength=256) for channel in images.numpy().swapaxes(0, 1)]
    )
    values, total = np.arange(256.0), counts.sum(1)
    mean = counts @ values / total
    spread = np.sqrt(np.maximum(counts @ values**2 / total - mean**2, 1.0))
    return tuple(mean.tolist()), tuple(spread.tolist())


def imports_to_preload(sources: Iterable[bytes], root: Path) -> tuple[str, ...]:
    """Modules that a seed model's files import from outside its own folder, for the fork server to import
    once."""
    names: dict[str, None] = {}
    for node in (node for source in sources for node in ast.walk(ast.parse(source))):
        if isinstance(node, ast.Import):
            names |= dict.fromkeys(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.setdefault(node.module)
    heads = {name: name.partition(".")[0] for name in names}
    return tuple(
        n for n, head in heads.items() if not (root / head).exists() and not (root / f"{head}.py").exists()
    )
