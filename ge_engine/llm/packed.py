"""One forward over rows of unlike lengths without padding: all tokens lie behind each other in one row, and
only attention, which is small beside the linear layers, sees who belongs to whom.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn.functional import scaled_dot_product_attention
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

NAME = "ge_packed"
TOGETHER = 8

Attention = Callable[..., tuple[torch.Tensor, Any]]


@dataclass(frozen=True, slots=True)
class Packing:
    """Tokens of a step. `ids`, `slots` and `positions` are (tokens,); `spans` has one (slot, first, length)
    for each row that takes part, where `first` is the place of its first token among `ids`."""

    ids: torch.Tensor
    slots: torch.Tensor
    positions: torch.Tensor
    spans: tuple[tuple[int, int, int], ...]
    width: int


@dataclass(frozen=True, slots=True)
class Group:
    """Rows whose attention is computed at once. `queries` (rows, span) are places among the packed tokens,
    padded by repeating; `kept` says which of them to put back, `masks` which columns each sees, by kind."""

    rows: slice
    width: int
    queries: torch.Tensor
    kept: torch.Tensor
    masks: dict[str, torch.Tensor]

    def take(self, by_token: torch.Tensor) -> torch.Tensor:
        """Of (tokens, heads, width of a head) its own, (rows, heads, span, width of a head)."""
        return by_token[self.queries].transpose(1, 2)

    def put(self, found: torch.Tensor, result: torch.Tensor) -> None:
        """Write (rows, span, heads, width of a head) to their places among the packed tokens."""
        result[self.queries[self.kept]] = found[self.kept]


@dataclass(frozen=True, slots=True)
class Lone:
    """A group of one row, whose `tokens` lie together: nothing is padded, gathered or scattered."""

    rows: slice
    width: int
    tokens: slice
    masks: dict[str, torch.Tensor]

    def take(self, by_token: torch.Tensor) -> torch.Tensor:
        return by_token[self.tokens].transpose(0, 1)[None]

    def put(self, found: torch.Tensor, result: torch.Tensor) -> None:
        result[self.tokens] = found[0]


@dataclass(frozen=True, slots=True)
class Plan:
    """What attention needs in one forward. `inner` names the model's own attention function."""

    inner: str
    kinds: tuple[str, ...]
    groups: tuple[Group | Lone, ...]


_plan: ContextVar[Plan] = ContextVar("plan")


def pack(chunks: Sequence[Sequence[int]], starts: Sequence[int]) -> Packing:
    """The next tokens of slots 0, 1, ...; slot i goes on at column `starts[i]`. An empty chunk sits out."""
    spans: list[tuple[int, int, int]] = []
    ids: list[int] = []
    for slot, chunk in enumerate(chunks):
        if chunk:
            spans.append((slot, len(ids), len(chunk)))
            ids += chunk
    slots = torch.cat([torch.full((length,), slot) for slot, _, length in spans])
    positions = torch.cat([torch.arange(starts[s], starts[s] + length) for s, _, length in spans])
    return Packing(torch.tensor(ids), slots, positions, tuple(spans), int(positions.max()) + 1)


def together_on(device: torch.device) -> int:
    """How many tokens rows may have that attend together; on a CPU padding costs more than calls do."""
    return 0 if device.type == "cpu" else TOGETHER


def plan(
    packing: Packing,
    inner: str,
    kinds: Sequence[str],
    window: int | None,
    like: torch.Tensor,
    together: int,
) -> Plan:
    """Rows of up to `together` tokens attend together, each longer one alone. Masks get the dtype and device
    of `like`."""
    order = tuple(kinds)
    groups = [_group(packing, spans, order, window, like) for spans in _parted(packing.spans, together)]
    return Plan(inner, order, tuple(groups))


@contextmanager
def packed(config: Any, made: Plan) -> Iterator[None]:
    """Have the model of `config` attend by `made`, for one forward."""
    token = _plan.set(made)
    config._attn_implementation = NAME
    try:
        yield
    finally:
        config._attn_implementation = made.inner
        _plan.reset(token)


def marker(kind: int) -> torch.Tensor:
    """Stands for the mask of one kind of layer on its way through the model: its width says which."""
    return torch.zeros(1, 1, 1, kind + 1)


def _parted(spans: Sequence[tuple[int, int, int]], together: int) -> Iterator[list[tuple[int, int, int]]]:
    """Rows of up to `together` tokens at once, and each longer one alone."""
    short = [span for span in spans if span[2] <= together]
    if short:
        yield short
    for span in spans:
        if span[2] > together:
            yield [span]


def _group(
    packing: Packing,
    spans: list[tuple[int, int, int]],
    kinds: tuple[str, ...],
    window: int | None,
    like: torch.Tensor,
) -> Group | Lone:
    """Slots between the first and the last of `spans` are a view of the cache, never a copy; those that
    belong to other groups take part with a query whose result is dropped."""
    low, high = spans[0][0], spans[-1][0] + 1
    if len(spans) == 1:
        tokens = slice(spans[0][1], spans[0][1] + spans[0][2])
        here = packing.positions[None, tokens]
        width = int(here.max()) + 1
        return Lone(slice(low, high), width, tokens, _masks(here, width, kinds, window, like))
    firsts, lengths = torch.zeros(high - low, dtype=torch.long), torch.zeros(high - low, dtype=torch.long)
    for slot, first, length in spans:
        firsts[slot - low], lengths[slot - low] = first, length
    steps = torch.arange(int(lengths.max()))[None]
    queries = firsts[:, None] + torch.minimum(steps, (lengths[:, None] - 1).clamp(min=0))
    kept = steps < lengths[:, None]
    here = packing.positions[queries]
    width = int(here[kept].max()) + 1
    masks = _masks(here, width, kinds, window, like)
    return Group(slice(low, high), width, queries.to(like.device), kept.to(like.device), masks)


def _masks(
    here: torch.Tensor, width: int, kinds: tuple[str, ...], window: int | None, like: torch.Tensor
) -> dict[str, torch.Tensor]:
    return {kind: _mask(here, width, window if kind.startswith("sliding") else None, like) for kind in kinds}


def _mask(here: torch.Tensor, width: int, window: int | None, like: torch.Tensor) -> torch.Tensor:
    """Additive (rows, 1, queries, columns): a query sees the columns up to its own position."""
    columns = torch.arange(width)[None, None, None]
    here = here[:, None, :, None]
    sees = columns <= here
    if window:
        sees = sees & (columns > here - window)
    lowest = torch.finfo(like.dtype).min
    return torch.zeros(sees.shape, dtype=like.dtype).masked_fill_(~sees, lowest).to(like.device)


def _attention(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor,
    **options: Any,
) -> tuple[torch.Tensor, None]:
    """`query` is (1, heads, tokens, width of a head), `key` and `value` whole slots (slots, heads, columns,
    width of a head); the result is (1, tokens, heads, width of a head), as transformers wants it."""
    made = _plan.get()
    kind = made.kinds[attention_mask.shape[-1] - 1]
    inner = _inner(module, made.inner)
    by_token = query[0].transpose(0, 1)
    result = query.new_empty(query.shape[2], query.shape[1], value.shape[-1])
    for group in made.groups:
        keys, values = key[group.rows, :, : group.width], value[group.rows, :, : group.width]
        found, _ = inner(module, group.take(by_token), keys, values, group.masks[kind], **options)
        group.put(found, result)
    return result[None], None


def _inner(module: Any, name: str) -> Attention:
    """The model's own attention; the eager one lies beside the model's class, not in the registry."""
    found: Attention
    if name == "sdpa":
        found = _shared_heads
    elif name in ALL_ATTENTION_FUNCTIONS:
        found = ALL_ATTENTION_FUNCTIONS[name]
    else:
        found = sys.modules[type(module).__module__].eager_attention_forward
    return found


def _shared_heads(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor,
    **options: Any,
) -> tuple[torch.Tensor, Any]:
    """transformers' "sdpa"; but on a CPU, query heads that share a head of keys and values become further
    queries of that one head, which is so read in place. transformers copies it for each of them."""
    heads, shared = query.shape[1], key.shape[1]
    special = options.get("position_bias") is not None or options.get("softcap") is not None
    if special or heads == shared or query.device.type != "cpu":
        plain: Attention = ALL_ATTENTION_FUNCTIONS["sdpa"]
        return plain(module, query, key, value, attention_mask, **options)
    rows, _, span, _ = query.shape
    folded = query.reshape(rows, shared, heads // shared * span, -1)
    mask = attention_mask if span == 1 else attention_mask.repeat(1, 1, heads // shared, 1)
    found = scaled_dot_product_attention(folded, key, value, mask, scale=options.get("scaling"))
    return found.reshape(rows, heads, span, -1).transpose(1, 2), None


ALL_ATTENTION_FUNCTIONS.register(NAME, _attention)
