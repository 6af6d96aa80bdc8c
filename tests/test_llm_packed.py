"""Attention over packed rows: each sees its own columns, whatever is beside it and however it is grouped."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from ge_engine.llm import packed
from ge_engine.llm.packed import NAME, TOGETHER, marker, pack, plan, together_on

KEY_HEADS, WIDTH, COLUMNS = 2, 8, 40
Rows = list[tuple[int, int]]
"""(tokens in the cache, tokens to read) of each row; a row that reads none sits out."""


def rows_of(reading: int) -> st.SearchStrategy[Rows]:
    row = st.tuples(st.integers(0, 20), st.integers(0, reading))
    return st.lists(row, min_size=1, max_size=5).filter(lambda rows: any(length for _, length in rows))


def states(rows: int, tokens: int, heads: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Queries (1, heads, tokens, width of a head), and the whole cache's keys and values."""
    made = torch.Generator().manual_seed(rows * 1000 + tokens)
    query = torch.randn(1, heads, tokens, WIDTH, generator=made)
    key, value = (torch.randn(rows, KEY_HEADS, COLUMNS, WIDTH, generator=made) for _ in range(2))
    return query, key, value


def attended(rows: Rows, together: int, heads: int, window: int | None = None) -> torch.Tensor:
    """The attention of packed `rows`, (tokens, heads, width of a head)."""
    packing = pack([[1] * length for _, length in rows], [start for start, _ in rows])
    kind = "sliding_attention" if window else "full_attention"
    query, key, value = states(len(rows), len(packing.ids), heads)
    made = plan(packing, "sdpa", [kind], window, query, together)
    module = SimpleNamespace(num_key_value_groups=heads // KEY_HEADS, is_causal=True, training=False)
    with packed.packed(SimpleNamespace(), made):
        found, _ = ALL_ATTENTION_FUNCTIONS[NAME](module, query, key, value, marker(0), scaling=0.3)
    return torch.as_tensor(found[0])


def by_definition(rows: Rows, heads: int, window: int | None) -> torch.Tensor:
    """softmax(q k' * scale) v, token by token and head by head (Vaswani et al. 2017, equation 1; Ainslie et
    al. 2023: query heads in groups share a head of keys and values), in float64."""
    query, key, value = (x.double() for x in states(len(rows), sum(length for _, length in rows), heads))
    found, token = [], 0
    for slot, (start, length) in enumerate(rows):
        for position in range(start, start + length):
            first = max(0, position - window + 1) if window else 0
            for head in range(heads):
                shared = head * KEY_HEADS // heads
                keys, values = (x[slot, shared, first : position + 1] for x in (key, value))
                found.append(torch.softmax(keys @ query[0, head, token] * 0.3, 0) @ values)
            token += 1
    return torch.stack(found).reshape(token, heads, WIDTH)


@given(
    rows_of(TOGETHER + 4), st.sampled_from([0, TOGETHER]), st.sampled_from([2, 6]), st.sampled_from([None, 5])
)
def test_a_token_that_sees_other_columns_than_its_own(
    rows: Rows, together: int, heads: int, window: int | None
) -> None:
    wanted = by_definition(rows, heads, window)
    assert torch.allclose(attended(rows, together, heads, window).double(), wanted, atol=1e-5)


@given(rows_of(TOGETHER), st.data())
def test_a_row_that_is_read_otherwise_beside_longer_rows(rows: Rows, data: st.DataObject) -> None:
    """On a CPU to the last bit, so that a reply does not change with the requests that came with it."""
    together = together_on(torch.device("cpu"))
    slot = data.draw(st.sampled_from([i for i, (_, length) in enumerate(rows) if length]))
    first, length = sum(n for _, n in rows[:slot]), rows[slot][1]
    packing = pack([[1] * n if i == slot else [] for i, (_, n) in enumerate(rows)], [s for s, _ in rows])
    query, key, value = states(len(rows), sum(n for _, n in rows), 6)
    made = plan(packing, "sdpa", ["full_attention"], None, query, together)
    module = SimpleNamespace(num_key_value_groups=3, is_causal=True, training=False)
    with packed.packed(SimpleNamespace(), made):
        mine = query[:, :, first : first + length]
        alone, _ = ALL_ATTENTION_FUNCTIONS[NAME](module, mine, key, value, marker(0), scaling=0.3)
    assert torch.equal(alone[0], attended(rows, together, 6)[first : first + length])


@pytest.mark.parametrize(("device", "wanted"), [("cpu", 0), ("cuda", TOGETHER), ("mps", TOGETHER)])
def test_short_rows_apart_on_an_accelerator_or_padded_on_a_cpu(device: str, wanted: int) -> None:
    packing = pack([[1], [1, 2], [1] * 20], [3, 0, 5])
    together = together_on(torch.device(device))
    assert together == wanted
    groups = plan(packing, "sdpa", ["full_attention"], None, torch.zeros(1), together).groups
    assert len(groups) == (2 if wanted else 3)


def test_keys_that_are_copied_for_each_query_head_on_a_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[int, ...]] = []

    def watched(query: torch.Tensor, key: torch.Tensor, *rest: torch.Tensor, scale: float) -> torch.Tensor:
        seen.append(tuple(key.shape))
        return torch.nn.functional.scaled_dot_product_attention(query, key, *rest, scale=scale)

    monkeypatch.setattr(packed, "scaled_dot_product_attention", watched)
    attended([(10, 3), (4, 1)], 0, heads=6)
    assert seen == [(1, KEY_HEADS, 13, WIDTH), (1, KEY_HEADS, 5, WIDTH)]
