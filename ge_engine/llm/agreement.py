"""How far a faster way to compute a language model agrees with float32, and what a step of it costs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import torch

from ge_engine.contracts import Prompt
from ge_engine.llm.packed import pack
from ge_engine.llm.precision import QUERIES, ROWS, cast, milliseconds
from ge_engine.llm.torch_body import Body

SAMPLES = ("rows.py", "slots.py")
"""Modules beside this one, asked about as a run asks about blocks."""
ROW_TOKENS, READ_FIRST = 384, 300


class Decodes(Protocol):
    """A loaded model: weights, tokenizer, the kinds of its attention, and torch's way to compute it."""

    name: str
    model: Any
    tokenizer: Any
    kinds: set[str]
    body: Body

    def encode(self, prompt: Prompt, free: bool = True) -> list[int]:
        """The prompt's tokens."""


def measured(local: Decodes, body: Body) -> dict[str, float]:
    """Agreement of `body` with float32, and milliseconds of a step by it ("body") and by torch ("torch")."""
    texts = [Path(__file__).with_name(name).read_text("utf-8") for name in SAMPLES]
    prompts = [Prompt("You improve PyTorch models.", f"Rewrite this code:\n\n{text}") for text in texts]
    rows = [local.encode(prompt, free=False)[:ROW_TOKENS] for prompt in prompts]
    costs = {"torch": milliseconds(_Step(local.body)), "body": milliseconds(_Step(body))}
    return {"agreement": agreement(local.model, body, rows), **costs}


def agreement(model: Any, body: Body, rows: Sequence[Sequence[int]]) -> float:
    """The share of places in `rows` of tokens at which the likeliest next token by `body` is float32's. Rows
    are read beside each other in two steps, as a batch does. `model` keeps its dtype."""
    head, dtype = model.get_output_embeddings(), model.dtype
    cache = body.new_cache(len(rows))
    found: list[list[torch.Tensor]] = [[] for _ in rows]
    with torch.inference_mode():
        for part in (slice(0, READ_FIRST), slice(READ_FIRST, None)):
            packing = pack([list(row[part]) for row in rows], [part.start] * len(rows))
            cache.aim(packing.slots, packing.positions, packing.width)
            states = body.hidden(packing, cache, torch.arange(len(packing.ids)))
            for slot, first, length in packing.spans:
                found[slot].append(head(states[first : first + length]).argmax(-1))
        cast(model, torch.float32)
        try:
            wanted = [model(input_ids=torch.tensor([row])).logits[0].argmax(-1) for row in rows]
        finally:
            cast(model, dtype)
    same = torch.cat([token for row in found for token in row]) == torch.cat(wanted)
    return round(float(same.double().mean()), 4)


class _Step:
    """A step of a batch, always the same."""

    def __init__(self, body: Body) -> None:
        self._body = body
        self._cache = body.new_cache(ROWS)
        self._packing = pack([[5] * QUERIES] * ROWS, [0] * ROWS)
        self._cache.aim(self._packing.slots, self._packing.positions, self._packing.width)

    def __call__(self) -> torch.Tensor:
        return self._body.hidden(self._packing, self._cache, torch.arange(ROWS))
