"""Whether the machine is at fault where a candidate says so: a full disk, a GPU that does not answer."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

from ge_engine.evaluation.protocol.claims import GPU_LOST
from ge_engine.evaluation.sandbox.environment import clean_environment

ROOM = 2**28
"""Bytes: a disk with less left is full."""
_PATIENCE = 120.0
_USE_EACH_GPU = """\
import torch
from torch.nn.functional import conv2d
count = torch.cuda.device_count()
assert count > 0
ones = [torch.ones(1, 1, 8, 8, device=f"cuda:{number}") for number in range(count)]
for one in ones:
    assert (one[0, 0] @ one[0, 0]).sum().item() == 512
    assert conv2d(one, one).item() == 64
"""
"""By kernels of torch, cuBLAS and cuDNN."""
_EXCHANGE = """\
torch.cuda.nccl.all_reduce(ones)
assert all(one.sum().item() == 64 * count for one in ones)
"""
"""By NCCL, which trainings over several processes use."""


class MachineHealth:
    """Checks for itself: `free` gives the bytes left where candidates write, `gpus_answer` whether all GPUs
    compute. What a candidate says only decides what is checked."""

    def __init__(self, free: Callable[[], int], gpus_answer: Callable[[], bool]) -> None:
        self._free = free
        self._gpus_answer = gpus_answer

    def at_fault(self, error: str) -> bool:
        """Whether a failure that came with `error` is not the candidate's."""
        if any(sign in error for sign in GPU_LOST):
            return not self._gpus_answer()
        return self._free() < ROOM


def machine_health(scratch: Path, device: str, processes: int) -> MachineHealth:
    """Of candidates that write below `scratch` and train on `device` ("cpu" or "cuda"), each over so many
    `processes`."""
    answer = partial(gpus_answer, processes) if device == "cuda" else _no_gpu_in_use
    return MachineHealth(lambda: shutil.disk_usage(scratch).free, answer)


def _no_gpu_in_use() -> bool:
    return True


def gpus_answer(processes: int = 1) -> bool:
    """Use each GPU in a new process, as trainings over so many `processes` do, which takes some seconds."""
    command = [sys.executable, "-P", "-c", _USE_EACH_GPU + (_EXCHANGE if processes > 1 else "")]
    try:
        done = subprocess.run(
            command, env=clean_environment(), capture_output=True, timeout=_PATIENCE, check=False
        )
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0
