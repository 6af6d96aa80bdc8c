"""Weights of a graph of OpenVINO, rounded to 8 bits by groups."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import openvino as ov
from openvino import opset13 as ops

_NUMBER = re.compile(r"\.\d+\.")
"""A layer's number in a product's name: "__module.layers.layers.3.mlp.down_proj/aten::linear/MatMul"."""


def round_weights(graph: ov.Model, group: int) -> None:
    """Replace the constant weights of every product of a numbered layer by 8-bit whole numbers with a
    scale and a zero point for each `group` of them (a row's, where the groups do not divide it)."""
    for node in graph.get_ordered_ops():
        if node.get_type_name() != "MatMul" or not _NUMBER.search(node.get_friendly_name()):
            continue
        constant = node.input_value(1).get_node()
        if constant.get_type_name() != "Constant" or not node.get_attributes()["transpose_b"]:
            continue
        if len(constant.shape) == 2:
            node.input(1).replace_source_output(_rounded(np.asarray(constant.data, np.float32), group))


def _rounded(weights: np.ndarray[Any, Any], group: int) -> ov.Output:
    """Weights (rows, width) as (whole number - zero point) * scale, with both for each group."""
    rows, width = weights.shape
    size = group if width % group == 0 else width
    parts = weights.reshape(rows, width // size, size)
    low, high = parts.min(-1, keepdims=True), parts.max(-1, keepdims=True)
    low, high = np.minimum(low, 0), np.maximum(high, 0)
    scale = (high - low) / 255
    scale[scale == 0] = 1
    zero = np.rint(-low / scale)
    whole = np.clip(np.rint(parts / scale) + zero, 0, 255).astype(np.uint8)
    if size == width:
        whole, zero, scale = whole[:, 0], zero[:, 0], scale[:, 0]
    shifted = ops.subtract(_floats(whole), _floats(zero.astype(np.uint8)))
    product = ops.multiply(shifted, ops.constant(scale.astype(np.float32)))
    if size < width:
        product = ops.reshape(product, ops.constant(np.array([rows, width], np.int64)), False)
    return product.output(0)


def _floats(whole: np.ndarray[Any, Any]) -> ov.Node:
    return ops.convert(ops.constant(whole), "f32")
