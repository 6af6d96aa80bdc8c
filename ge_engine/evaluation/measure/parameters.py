"""The parameters, buffers and bytes of a built network, counted so that no weight is free.

Counting reads torch's own tables of every module; it calls no method that a candidate can override.
"""

from __future__ import annotations

import resource
import sys
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm, _NormBase
from torch.nn.parameter import UninitializedBuffer, UninitializedParameter

_RUNNING_STATISTICS = ("running_mean", "running_var", "num_batches_tracked")
_PACKED = (torch.int8, torch.uint8, torch.int16)


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


def buffers_of(root: nn.Module) -> dict[str, Tensor]:
    """Every buffer by name."""
    return {
        f"{prefix}.{name}" if prefix else name: buffer
        for prefix, module in walk(root)
        for name, buffer in vars(module)["_buffers"].items()
        if isinstance(buffer, Tensor)
    }


def is_lazy(tensor: Tensor) -> bool:
    """True for a parameter or buffer that has no size yet."""
    return isinstance(tensor, (UninitializedParameter, UninitializedBuffer))


def running_statistics(root: nn.Module) -> dict[int, str]:
    """The storages of running statistics that cost nothing, with the class of what they are of: those of
    torch's own normalisations, as many as the weights that these pay for."""
    found: dict[int, str] = {}
    for _, module in walk(root):
        if not isinstance(module, _NormBase):
            continue
        weight, buffers = vars(module)["_parameters"].get("weight"), vars(module)["_buffers"]
        for name in _RUNNING_STATISTICS:
            buffer = buffers.get(name)
            if not isinstance(weight, Tensor) or not isinstance(buffer, Tensor):
                continue
            if buffer.untyped_storage().nbytes() <= buffer.element_size() * max(weight.numel(), 1):
                found[storage_of(buffer)] = "batch" if isinstance(module, _BatchNorm) else "instance"
    return found


def can_weigh(tensor: Tensor) -> bool:
    """True for a type that holds weights: with a fraction, or packed in small integers."""
    return tensor.dtype.is_floating_point or tensor.dtype.is_complex or tensor.dtype in _PACKED


def numbers_in(tensors: Any) -> int:
    """How many weights the tensors hold, at least one for four bytes; views of the same memory count once."""
    return sum({_place(tensor): weight_of(tensor) for tensor in tensors}.values())


def weight_of(tensor: Tensor) -> int:
    """Numbers in a tensor: its elements where they hold weights, and at least one for four bytes."""
    elements = tensor.numel() if can_weigh(tensor) else 0
    return max(elements, -(-tensor.numel() * tensor.element_size() // 4))


def _place(tensor: Tensor) -> tuple[int, int, int]:
    return (storage_of(tensor), int(tensor.storage_offset()), tensor.numel())


def storage_of(tensor: Tensor) -> int:
    """The identity of a tensor's memory."""
    return int(tensor.untyped_storage()._cdata)


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
    tensors: list[Tensor] = [*registered_parameters(root).values(), *buffers_of(root).values()]
    return sum({_place(t): t.numel() * t.element_size() for t in tensors}.values())


def peak_memory() -> int:
    """Bytes: the most that the GPU held for this process, or the process's largest resident size."""
    if torch.cuda.is_available() and torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        return torch.cuda.max_memory_allocated()
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
