"""What a built network weighs, counted so that no weight is free.

Counting reads torch's own tables of every module and watches the tensors that enter operations; it
calls no method that a candidate can override.
"""

from __future__ import annotations

import gc
import hashlib
import resource
import sys
import time
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

_RUNNING_STATISTICS = ("running_mean", "running_var", "num_batches_tracked")
_PACKED = (torch.int8, torch.uint8, torch.int16)
_clock = time.perf_counter


def walk(root: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """Every registered module once, with its dotted name, from torch's own tables."""
    seen: set[int] = set()
    pending = [("", root)]
    while pending:
        name, module = pending.pop()
        if id(module) in seen:
            continue
        seen.add(id(module))
        yield name, module
        children = [
            (f"{name}.{k}" if name else k, m) for k, m in vars(module)["_modules"].items() if m is not None
        ]
        pending.extend(reversed(children))


def registered_parameters(root: nn.Module) -> dict[str, nn.Parameter]:
    """Every parameter once under its first name, so tied weights count once."""
    found: dict[str, nn.Parameter] = {}
    seen: set[int] = set()
    for prefix, module in walk(root):
        for name, parameter in vars(module)["_parameters"].items():
            if parameter is not None and id(parameter) not in seen:
                seen.add(id(parameter))
                found[f"{prefix}.{name}" if prefix else name] = parameter
    return found


def parameters_by_class(root: nn.Module) -> dict[str, int]:
    """How many parameters the modules of each class hold in all, classes of torch itself left out.

    A module within another counts for both classes; of several modules of one class, a shared parameter
    counts once.
    """
    held: dict[str, dict[int, int]] = {}
    for _, module in walk(root):
        kind = type(module)
        if not kind.__module__.startswith("torch."):
            own = held.setdefault(kind.__qualname__, {})
            own.update((id(p), p.numel()) for p in registered_parameters(module).values())
    return {name: sum(sizes.values()) for name, sizes in held.items()}


def buffers_as_weights(root: nn.Module) -> dict[str, Tensor]:
    """Buffers that can carry weights: floating, complex or packed in small integers, except the
    running statistics of torch's own normalisations."""
    found: dict[str, Tensor] = {}
    for prefix, module in walk(root):
        for name, buffer in vars(module)["_buffers"].items():
            if not isinstance(buffer, Tensor) or (
                isinstance(module, _NormBase) and name in _RUNNING_STATISTICS
            ):
                continue
            if can_weigh(buffer):
                found[f"{prefix}.{name}" if prefix else name] = buffer
    return found


def can_weigh(tensor: Tensor) -> bool:
    """True for a tensor of more than one number in a type that holds weights."""
    kind = tensor.dtype.is_floating_point or tensor.dtype.is_complex or tensor.dtype in _PACKED
    return kind and tensor.numel() > 1


def numbers_in(tensors: Any) -> int:
    """How many numbers the tensors hold; views of the same memory count once."""
    return sum({_place(tensor): tensor.numel() for tensor in tensors}.values())


def _place(tensor: Tensor) -> tuple[int, int, int]:
    return (storage_of(tensor), int(tensor.storage_offset()), tensor.numel())


def storage_of(tensor: Tensor) -> int:
    """The identity of a tensor's memory."""
    return int(tensor.untyped_storage()._cdata)


class OperandWatch(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Records the tensors that enter operations without being an input, a registered parameter or
    buffer, or the result of an earlier operation: weights kept in attributes, closures or globals.

    `foreign` holds them; `order` the registered parameters' storages in order of first use; `graph` is a
    digest of the operations with their operands and the shapes of their results, without any constant.
    """

    def __init__(self, inputs: list[Tensor], registered: list[Tensor]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.foreign: dict[int, Tensor] = {}
        self.order: dict[int, None] = {}
        self._registered = {storage_of(tensor) for tensor in registered}
        self._known = {storage_of(tensor) for tensor in inputs}
        self._alive: list[Any] = [inputs]
        self._numbers: dict[int, int] = {}
        self._graph = hashlib.sha256()

    @property
    def graph(self) -> str:
        return self._graph.hexdigest()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        operands = [tensor for tensor in tree_leaves((args, kwargs)) if isinstance(tensor, Tensor)]
        for tensor in operands:
            self._enter(tensor)
        result = func(*args, **kwargs)
        self._trace(func, operands, result)
        for tensor in tree_leaves(result):
            if isinstance(tensor, Tensor):
                storage = storage_of(tensor)
                if storage not in self._registered and storage not in self.foreign:
                    self._known.add(storage)
                    self._alive.append(tensor)
        return result

    def _trace(self, func: Any, operands: list[Tensor], result: Any) -> None:
        results = [tensor for tensor in tree_leaves(result) if isinstance(tensor, Tensor)]
        before, after = (
            [self._numbers.setdefault(storage_of(one), len(self._numbers)) for one in tensors]
            for tensors in (operands, results)
        )
        shapes = [tuple(one.shape) for one in results]
        self._graph.update(f"{func} {before} {after} {shapes}\n".encode())

    def _enter(self, tensor: Tensor) -> None:
        storage = storage_of(tensor)
        if storage in self._registered:
            self.order.setdefault(storage)
        elif storage not in self._known and storage not in self.foreign:
            if tensor.numel() > 1 and can_weigh(tensor):
                self.foreign[storage] = tensor
            else:
                self._known.add(storage)
            self._alive.append(tensor)


def unregistered_modules(root: nn.Module) -> list[str]:
    """Modules and parameters kept in lists, tuples, dicts or sets, which torch does not register."""
    known = {id(module) for _, module in walk(root)}
    known |= {id(parameter) for parameter in registered_parameters(root).values()}
    found = []
    for prefix, module in walk(root):
        for name, value in vars(module).items():
            if name.startswith("_") and name in _TABLES:
                continue
            lost = [x for x in _contained(value, 3) if id(x) not in known]
            if lost:
                kinds = ", ".join(sorted({type(x).__name__ for x in lost}))
                found.append(f"{prefix + '.' if prefix else ''}{name} ({kinds})")
    return found


_TABLES = frozenset(vars(nn.Module()))


def _contained(value: Any, depth: int) -> Iterator[Any]:
    if isinstance(value, (nn.Module, nn.Parameter)):
        yield value
    elif depth and isinstance(value, (list, tuple, set, frozenset)):
        for item in value:
            yield from _contained(item, depth - 1)
    elif depth and isinstance(value, dict):
        for item in value.values():
            yield from _contained(item, depth - 1)


def bytes_on_disk(root: nn.Module) -> int:
    """Bytes of all parameters and buffers, each memory once: what a checkpoint takes."""
    tensors: list[Tensor] = list(registered_parameters(root).values())
    tensors += [b for _, m in walk(root) for b in vars(m)["_buffers"].values() if isinstance(b, Tensor)]
    return sum({_place(t): t.numel() * t.element_size() for t in tensors}.values())


@torch.no_grad()
def latency(model: nn.Module, image: Tensor, repeats: int = 15) -> float:
    """Median seconds of one forward pass of `image` (1, c, h, w) in evaluation mode on its device."""
    model.eval()
    times = []
    enabled = gc.isenabled()
    gc.disable()
    for _ in range(repeats + 3):
        started = _clock()
        model(image)
        if image.is_cuda:
            torch.cuda.synchronize()
        times.append(_clock() - started)
    if enabled:
        gc.enable()
    return sorted(times[3:])[repeats // 2]


def peak_memory() -> int:
    """Bytes: the most that the GPU held for this process, or the process's largest resident size."""
    if torch.cuda.is_available() and torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        return torch.cuda.max_memory_allocated()
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
