"""Arrays that all workers of an evaluation share, and none can change for another."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from ge_engine.training.orders import Block

_DESCRIPTORS = "/proc/self/fd" if sys.platform == "linux" else "/dev/fd"


def sealed_memory(data: memoryview) -> int:
    """A descriptor of anonymous memory that holds `data` and cannot be changed (Linux); elsewhere an
    unnamed temporary file."""
    if not hasattr(os, "memfd_create"):
        with tempfile.TemporaryFile() as file:
            file.write(data)
            file.flush()
            return os.dup(file.fileno())
    import fcntl

    handle = os.memfd_create("ge-data", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    view = data.cast("B")
    while view:
        view = view[os.write(handle, view[: 2**26]) :]
    seals = fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL
    fcntl.fcntl(handle, fcntl.F_ADD_SEALS, seals)
    return handle


def map_blocks(blocks: Mapping[str, Block], files: Sequence[int]) -> dict[str, Tensor]:
    """Tensors over the shared files, copy-on-write: what a worker writes, no other sees. The mapping holds no
    descriptor (Python's own mmap would keep a copy of it), so that nothing but bytes is shared: a file's
    offset, times and attributes would be a notice board."""
    tensors = {}
    for (name, block), file in zip(blocks.items(), files, strict=True):
        kind = torch.int64 if block.dtype == "int64" else torch.uint8
        count = block.nbytes // kind.itemsize
        flat = torch.from_file(f"{_DESCRIPTORS}/{file}", shared=False, size=count, dtype=kind)
        tensors[name] = flat.view(block.shape)
    return tensors
