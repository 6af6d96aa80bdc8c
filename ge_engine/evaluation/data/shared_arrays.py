"""Arrays that all workers of an evaluation share, and none can change for another."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from ge_engine.evaluation.protocol.messages import ArraySpec, JobSpec

if TYPE_CHECKING:
    from torch import Tensor

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


def map_arrays(arrays: Mapping[str, ArraySpec], files: Sequence[int]) -> dict[str, Tensor]:
    """Tensors over the shared files, copy-on-write: what a worker writes, no other sees. The mapping holds no
    descriptor (Python's own mmap would keep a copy of it), so that nothing but bytes is shared: a file's
    offset, times and attributes would be a notice board."""
    import torch  # here: an agent, which hands arrays on, starts in half the time without it

    tensors = {}
    for (name, array), file in zip(arrays.items(), files, strict=True):
        kind = torch.int64 if array.dtype == "int64" else torch.uint8
        count = array.nbytes // kind.itemsize
        flat = torch.from_file(f"{_DESCRIPTORS}/{file}", shared=False, size=count, dtype=kind)
        tensors[name] = flat.view(array.shape)
    return tensors


_HELD_OUT = {"validation": ("validation",), "test": ("test",), "both": ("validation", "test")}


def arrays_for(spec: JobSpec) -> tuple[str, ...]:
    """The names of the arrays that `spec` needs; none for building alone."""
    if spec.kind == "probe" and spec.proxies:
        return ("train",)
    learned = ("train", "labels") if spec.kind == "train" else ()
    return () if spec.kind in ("probe", "size") else (*learned, *_HELD_OUT[spec.split])


def mapped_for(spec: JobSpec, arrays: Mapping[str, ArraySpec], files: Sequence[int]) -> dict[str, Tensor]:
    """Tensors over those of the shared `files` that `spec` needs."""
    wanted = arrays_for(spec)
    chosen = [(name, file) for name, file in zip(arrays, files, strict=True) if name in wanted]
    return map_arrays({name: arrays[name] for name, _ in chosen}, [file for _, file in chosen])
