"""The memory of tensors: which bytes of a storage they take, and what it holds."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import torch
from torch import Tensor

from ge_engine.evaluation.measure.parameters import storage_of

Span = tuple[int, int]


def spans_of(tensors: Iterable[Tensor]) -> dict[int, list[Span]]:
    """The bytes, from and to, of each storage that `tensors` take."""
    spans: dict[int, list[Span]] = {}
    for tensor in tensors:
        spans.setdefault(storage_of(tensor), []).append(_span(tensor))
    return spans


def _span(tensor: Tensor) -> Span:
    first = int(tensor.storage_offset()) * tensor.element_size()
    if not tensor.numel():
        return first, first
    sides = zip(tensor.shape, tensor.stride(), strict=True)
    return first, first + tensor.element_size() * (1 + sum((side - 1) * step for side, step in sides))


def lies_inside(tensor: Tensor, spans: list[Span]) -> bool:
    first, last = _span(tensor)
    return any(low <= first and last <= high for low, high in spans)


def tells_places(tensor: Tensor) -> bool:
    """True for whole numbers of a size that indices, positions and masks have."""
    return tensor.dtype in (torch.bool, torch.int32, torch.int64)


def numbers_held(tensor: Tensor) -> int:
    """How many weights the whole memory of `tensor` has room for: its elements, and one for four bytes."""
    size = tensor.untyped_storage().nbytes()
    elements = 0 if tells_places(tensor) else size // tensor.element_size()
    return max(elements, -(-size // 4))


def content_digest(tensor: Tensor) -> bytes:
    whole = torch.empty(0, dtype=torch.uint8, device=tensor.device).set_(tensor.untyped_storage())
    return hashlib.blake2b(whole.cpu().numpy().data).digest()
