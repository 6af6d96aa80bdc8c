"""OpenVINO's paged attention in a graph of placeholders (vLLM's PagedAttention, arXiv:2309.06180)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import openvino as ov
from openvino import opset13 as ops
from openvino.op import _PagedAttentionExtension as PagedAttention

PLACEHOLDER = 20309.0
"""The first of the five figures that mark a placeholder; the others are its `Facts`."""
TABLES = ("past_lens", "subsequence_begins", "block_indices", "block_indices_begins", "max_context_len")
"""Inputs that say which rows the tokens belong to: columns each row has in the cache, where each begins among
the tokens, its blocks, where each one's blocks begin, and the columns of the longest row after this step."""


@dataclass(frozen=True, slots=True)
class Facts:
    """Of one layer: its number, the factor of the products, heads of keys and values, width of a head."""

    layer: int
    scale: float
    heads: int
    width: int


def page_attention(graph: ov.Model) -> None:
    """Put paged attention in place of every placeholder, with the inputs that it reads: `TABLES`, and
    `key_cache.N` and `value_cache.N` for each layer."""
    tables = [_input(name, ov.Type.i32, [] if name == "max_context_len" else [-1]) for name in TABLES]
    caches = []
    for node in graph.get_ordered_ops():
        if (facts := _facts(node)) is None:
            continue
        product = node.input_value(1).get_node().input_value(0).get_node()
        joined = product.input_value(0).get_node().input_value(0).get_node()
        key, value = joined.input_value(0), joined.input_value(1)
        sides = [
            _input(f"{side}_cache.{facts.layer}", ov.Type.dynamic, [-1] * 4) for side in ("key", "value")
        ]
        attention = _paged([node.input_value(0), key, value], sides, tables, facts)
        node.output(0).replace(attention.output(0))
        caches += sides
    graph.add_parameters([*tables, *caches])
    graph.validate_nodes_and_infer_types()


def _facts(node: ov.Node) -> Facts | None:
    """Those of a placeholder: query + sum(sum(keys and values) * its five figures)."""
    if node.get_type_name() != "Add":
        return None
    total = node.input_value(1).get_node()
    product = total.input_value(0).get_node() if total.get_type_name() == "ReduceSum" else None
    if product is None or product.get_type_name() != "Multiply":
        return None
    told = product.input_value(1).get_node()
    if told.get_type_name() != "Constant" or told.data.shape != (5,) or told.data[0] != PLACEHOLDER:
        return None
    layer, scale, heads, width = told.data[1:]
    return Facts(int(layer), float(scale), int(heads), int(width))


def _paged(states: list[ov.Output], caches: list[Any], tables: list[Any], facts: Facts) -> PagedAttention:
    """`states` are query, key and value, (tokens, heads * width of a head)."""
    given = [node.output(0) for node in (*caches, *tables)]
    scale, window = _constant(facts.scale, np.float32), _constant(0)
    node = PagedAttention([*states, *given[:6], scale, window, _none(np.float32), given[6], *_unused()])
    told = node.get_rt_info()
    for side in "kv":
        told[f"num_{side}_heads"], told[f"{side}_head_size"] = facts.heads, facts.width
    return node


def _unused() -> list[ov.Output]:
    """What the operation takes besides: which rows' scores to give, rotated blocks, sparse attention, sinks,
    adaptive blocks, groups of tokens that see each other."""
    floats = np.float32
    chosen = [_none(), _none(), _none(), _none(floats), _none(floats), _constant(0), _constant(0)]
    return [
        *chosen,
        _none(floats),
        _constant(0),
        _none(),
        _none(),
        _none(),
        _none(),
        _none(np.uint8),
        _none(),
    ]


def _input(name: str, kind: ov.Type, shape: list[int]) -> Any:
    node = ops.parameter(ov.PartialShape(shape), kind, name)
    node.output(0).set_names({name})
    return node


def _constant(value: float, dtype: Any = np.int32) -> ov.Output:
    return ops.constant(np.asarray(value, dtype)).output(0)


def _none(dtype: Any = np.int32) -> ov.Output:
    return ops.constant(np.empty((0,), dtype)).output(0)
