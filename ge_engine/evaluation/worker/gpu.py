"""That a training finds its GPU before anything of the candidate runs, confined as it will be."""

from __future__ import annotations

import os

import torch


class GpuNotUsable(OSError):
    """CUDA does not start in this process, or does not compute: a fault of the machine."""


def require_gpu() -> None:
    """Have this process's GPU compute something. From then on torch stays with it: a GPU that is lost later
    is an error in the training, never a training on the CPU.

    Raises:
        GpuNotUsable: it does not.
    """
    try:
        right = torch.ones(1, device="cuda").add_(1).item() == 2 and torch.cuda.device_count() > 0
    except (RuntimeError, AssertionError) as error:  # the latter of a torch that was built without CUDA
        raise _unusable(str(error)) from error
    if not right:
        raise _unusable("1 + 1 is not 2 on it")


def _unusable(why: str) -> GpuNotUsable:
    visible = os.environ.get("CUDA_VISIBLE_DEVICES", "all")
    said = " ".join(why.split()) or "it does not say why"
    return GpuNotUsable(f"the GPU (CUDA_VISIBLE_DEVICES={visible}) cannot be used in the sandbox: {said}")
