"""The layers of a language model below its head, and torch as what computes them."""

from __future__ import annotations

import inspect
from typing import Any, Protocol

import torch

from ge_engine.llm.packed import Packing, marker, packed, plan, together_on
from ge_engine.llm.slots import Columns, SlotCache


class RowCache(Protocol):
    """Keys and values of the rows in slots 0..n-1. What `read` gives, `write` takes; else it is opaque."""

    def aim(self, slots: torch.Tensor, positions: torch.Tensor, width: int) -> None:
        """Say where the next step's tokens go: token i to slot `slots[i]`, column `positions[i]`."""

    def read(self, slot: int, length: int) -> Columns:
        """A copy of the first `length` columns of `slot`."""

    def write(self, slot: int, columns: Columns, length: int) -> None:
        """Put the first `length` of `columns` at the start of `slot`."""

    def move(self, source: int, to: int, length: int) -> None:
        """Have the first `length` columns of slot `source` in slot `to`; what `source` holds then is open."""


class Body(Protocol):
    """What reads tokens. `precision` is "" for the model as it was loaded, else what replies are told by."""

    precision: str

    def new_cache(self, slots: int) -> Any:
        """An empty RowCache, which `hidden` of this body alone can use."""

    def hidden(self, packing: Packing, cache: Any, drawn: torch.Tensor) -> torch.Tensor:
        """The last layer's states (drawn, width) at the places `drawn` among the packed tokens."""


class TorchBody:
    """transformers' own layers. `kinds` are the kinds of attention that they have."""

    precision = ""

    def __init__(self, model: Any, kinds: set[str]) -> None:
        self._model = model
        self._config = model.config.get_text_config()
        self._kinds = sorted(kinds)
        self._attention = str(self._config._attn_implementation or "eager")
        forward = inspect.signature(model.forward).parameters
        self._cache_argument = "cache" if "cache" in forward else "past_key_values"

    def new_cache(self, slots: int) -> SlotCache:
        return SlotCache(slots)

    def hidden(self, packing: Packing, cache: SlotCache, drawn: torch.Tensor) -> torch.Tensor:
        embedding = self._model.get_input_embeddings().weight
        window = getattr(self._config, "sliding_window", None)
        together = together_on(embedding.device)
        made = plan(packing, self._attention, self._kinds, window, embedding, together)
        masks = {kind: marker(number) for number, kind in enumerate(self._kinds)}
        with packed(self._config, made):
            states: torch.Tensor = self._model.base_model(
                input_ids=packing.ids[None].to(embedding.device),
                attention_mask=masks if len(self._kinds) > 1 else masks[self._kinds[0]],
                position_ids=packing.positions[None].to(embedding.device),
                use_cache=True,
                **{self._cache_argument: cache},
            ).last_hidden_state
        return states[0, drawn.to(states.device)]
