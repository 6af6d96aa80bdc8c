"""A key-value cache of slots: each row of the batch owns one and fills it from its first column on.

A step may add a different number of tokens to every row, or none. No row ever has a hole, rows come and go
at any step, and a mask is one comparison of columns with positions.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from transformers.cache_utils import Cache, CacheLayerMixin

Columns = list[tuple[torch.Tensor, torch.Tensor]]


@dataclass(slots=True)
class Step:
    """Where the next forward writes: token i goes to slot `slots[i]`, column `positions[i]`; all columns
    stay below `width`."""

    slots: torch.Tensor = field(default_factory=lambda: torch.zeros(0, dtype=torch.long))
    positions: torch.Tensor = field(default_factory=lambda: torch.zeros(0, dtype=torch.long))
    width: int = 0


class SlotLayer(CacheLayerMixin):  # type: ignore[no-untyped-call]
    """Keys and values of one layer: (slots, heads, columns, width of a head)."""

    is_sliding = False

    def __init__(self, step: Step, slots: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.step = step
        self.slots = slots

    def lazy_initialization(self, key_states: torch.Tensor, value_states: torch.Tensor) -> None:
        self.keys, self.values = self._empty(key_states, 0), self._empty(value_states, 0)
        self.is_initialized = True

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *_args: Any, **_kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Write states (1, heads, tokens, width of a head) to their slots; all slots, whole."""
        self.open(key_states, value_states, self.step.width)
        assert self.keys is not None
        assert self.values is not None
        slots, positions = self.step.slots.to(key_states.device), self.step.positions.to(key_states.device)
        self.keys[slots, :, positions] = key_states[0].transpose(0, 1)
        self.values[slots, :, positions] = value_states[0].transpose(0, 1)
        return self.keys, self.values

    def open(self, key_states: torch.Tensor, value_states: torch.Tensor, width: int) -> None:
        """Make room for `width` columns of states like these, in chunks of 256."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        assert self.keys is not None
        assert self.values is not None
        if width > self.keys.shape[2]:
            room = -(-width // 256) * 256
            for name in ("keys", "values"):
                old = getattr(self, name)
                new = self._empty(old, room)
                new[:, :, : old.shape[2]] = old
                setattr(self, name, new)

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        return max(self.step.width, query_length), 0

    def get_seq_length(self) -> int:
        return 0

    def get_max_length(self) -> int:
        return -1

    def get_max_cache_shape(self) -> int:
        return -1

    def _empty(self, like: torch.Tensor, width: int) -> torch.Tensor:
        # Zeros, not garbage: a hidden column's value is multiplied by 0, and 0 * NaN is NaN.
        return torch.zeros(
            self.slots, like.shape[1], width, like.shape[3], dtype=like.dtype, device=like.device
        )


class SlotCache(Cache):
    """All layers' slots. Rows lie in slots 0..n-1, so a finished row's slot is filled by the last."""

    def __init__(self, slots: int) -> None:
        self.step = Step()
        self._new_layer = partial(SlotLayer, self.step, slots)
        super().__init__(layer_class_to_replicate=self._new_layer)  # type: ignore[arg-type]

    def aim(self, slots: torch.Tensor, positions: torch.Tensor, width: int) -> None:
        """Say where the next forward's keys and values go."""
        self.step.slots, self.step.positions, self.step.width = slots, positions, width

    @torch.inference_mode()
    def read(self, slot: int, length: int) -> Columns:
        """A copy of the first `length` columns of `slot`, layer by layer."""
        return [(k[slot, :, :length].clone(), v[slot, :, :length].clone()) for k, v in self._tensors()]

    @torch.inference_mode()
    def write(self, slot: int, columns: Columns, length: int) -> None:
        """Put the first `length` of `columns` at the start of `slot`."""
        while len(self.layers) < len(columns):
            self.layers.append(self._new_layer())
        for layer, (k, v) in zip(self.layers, columns, strict=True):
            layer.open(k[None], v[None], length)  # type: ignore[union-attr]
        for (keys, values), (k, v) in zip(self._tensors(), columns, strict=True):
            keys[slot, :, :length], values[slot, :, :length] = k[:, :length], v[:, :length]

    @torch.inference_mode()
    def move(self, source: int, to: int, length: int) -> None:
        """Copy the first `length` columns of slot `source` over slot `to`."""
        for keys, values in self._tensors():
            keys[to, :, :length], values[to, :, :length] = (
                keys[source, :, :length],
                values[source, :, :length],
            )

    def _tensors(self) -> Columns:
        return [(layer.keys, layer.values) for layer in self.layers]  # type: ignore[union-attr, misc]
