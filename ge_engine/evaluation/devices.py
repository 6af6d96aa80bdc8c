"""Where trainings run: how many at once, on which GPUs, and over how many processes each."""

from __future__ import annotations

import glob
import os
import sys
from dataclasses import dataclass

from ge_engine.config import RunConfig
from ge_engine.errors import ConfigError
from ge_engine.evaluation.cores import cores

_PART_OF_A_GPU = "MIG-"
_DEVICES = ("nvidia*", "nvhost*", "nvgpu*", "nvmap", "dxg", "kfd")
"""Device files of GPUs: NVIDIA's, its Tegra's, WSL's and AMD's."""


@dataclass(frozen=True, slots=True)
class Placement:
    """`slots` trainings at once, each over `processes` processes. `devices` holds the sets of GPUs that they
    share, each as a value of CUDA_VISIBLE_DEVICES; none on a CPU."""

    slots: int
    devices: tuple[str, ...]
    processes: int


def placement_of(config: RunConfig) -> Placement:
    """What this machine gives the run: one slot per set of GPUs, or per group of cores as large as a training
    has processes, unless `workers` says how many.

    Raises:
        ConfigError: fewer GPUs than a candidate is to get, or processes without a GPU of their own.
    """
    gpus = visible_gpus()
    if not gpus:
        if config.gpus_per_candidate > 1:
            raise ConfigError(
                f"Each candidate is to train on {config.gpus_per_candidate} GPUs, and torch finds none here.",
                "Leave --gpus-per-candidate out; --processes-per-candidate is for CPUs. `ge doctor` shows "
                "the devices.",
            )
        processes = config.processes_per_candidate
        return Placement(config.workers or max(1, cores() // processes), (), processes)
    if config.processes_per_candidate > 1:
        raise ConfigError(
            "On GPUs each process of a training needs one of its own.",
            "Use --gpus-per-candidate in place of --processes-per-candidate, or hide the GPUs with "
            "CUDA_VISIBLE_DEVICES= to train on the CPU.",
        )
    each = config.gpus_per_candidate
    if each > 1 and gpus[0].startswith(_PART_OF_A_GPU):
        raise ConfigError(
            f"Each candidate is to train on {each} GPUs, and {gpus[0]} is a part of one (MIG), of which a "
            "process can use one alone.",
            "Leave --gpus-per-candidate out, or name whole GPUs in CUDA_VISIBLE_DEVICES.",
        )
    if each > len(gpus):
        raise ConfigError(
            f"Each candidate is to train on {each} GPUs, and torch finds {len(gpus)} here.",
            f"Take --gpus-per-candidate {len(gpus)} or fewer.",
        )
    devices = tuple(",".join(gpus[first : first + each]) for first in range(0, len(gpus) - each + 1, each))
    return Placement(config.workers or len(devices), devices, each)


def gpus_in_words() -> tuple[str, ...]:
    """The GPUs that torch may use, a phrase each: number, name and free memory."""
    import torch

    found = []
    for index in range(torch.cuda.device_count() if torch.cuda.is_available() else 0):
        free, total = torch.cuda.mem_get_info(index)
        name = torch.cuda.get_device_name(index)
        found.append(f"cuda:{index} {name}, {free / 2**30:.0f} of {total / 2**30:.0f} GiB free")
    return tuple(found)


def visible_gpus() -> tuple[str, ...]:
    """The GPUs that torch may use, as CUDA_VISIBLE_DEVICES names them (by number, UUID or the beginning of
    one): those that it lists, or all. Of parts of GPUs (MIG) a process sees one, so all that are listed count
    where the first can be used."""
    if _surely_none():
        return ()
    import torch

    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    listed = [name.strip() for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name.strip()]
    if count and listed and all(name.startswith(_PART_OF_A_GPU) for name in listed):
        return tuple(dict.fromkeys(listed))
    return tuple((listed or [str(number) for number in range(count)])[:count])


def _surely_none() -> bool:
    """Whether Linux has no device file of a GPU, so that torch, which takes a second to import, need not be
    asked. One that is there already is asked."""
    there = any(glob.glob(f"/dev/{name}") for name in _DEVICES)
    return sys.platform == "linux" and not there and "torch" not in sys.modules
