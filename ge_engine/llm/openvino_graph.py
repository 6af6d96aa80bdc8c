"""The layers of a language model as a graph of OpenVINO, traced from torch. Attention is a placeholder in it,
since OpenVINO cannot store the operation that `openvino_attention` puts there.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import openvino as ov
import torch
from openvino import opset13 as ops
from openvino.frontend import FrontEndManager
from openvino.frontend.pytorch import ConversionExtension
from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from ge_engine.llm.openvino_attention import PLACEHOLDER

NAME = "ge_openvino"
INPUTS = ("states", "positions", "drawn")
_UNKNOWN = ("softcap", "s_aux", "position_bias")


class UnknownModelError(Exception):
    """The model is of a kind that this graph cannot express. Its text says which."""


def graph_of(model: Any) -> ov.Model:
    """The layers of `model` (float32, on the CPU). Inputs: states (tokens, width), positions (tokens,) and
    the places drawn (drawn,); output: states (drawn, width).

    Raises whatever transformers, torch and OpenVINO raise over a model that they cannot trace or convert.
    """
    config = model.config.get_text_config()
    inner = config._attn_implementation
    config._attn_implementation = NAME
    try:
        graph = _converted(_Layers(model.base_model), config.hidden_size)
    finally:
        config._attn_implementation = inner
    for port, name in zip(graph.inputs, INPUTS, strict=True):
        port.set_names({name})
        port.get_node().set_friendly_name(name)
        shape = [-1, config.hidden_size] if name == "states" else [-1]
        port.get_node().set_partial_shape(ov.PartialShape(shape))
    graph.validate_nodes_and_infer_types()
    return graph


def _converted(layers: torch.nn.Module, width: int) -> ov.Model:
    """By the frontend itself: `openvino.convert_model` sends usage data where its telemetry is on."""
    frontend = FrontEndManager().load_by_framework("pytorch")
    frontend.add_extension(ConversionExtension("ge_engine::attention", _in_graph))
    example = (torch.zeros(5, width), torch.arange(5), torch.tensor([2, 4]))
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        decoder = TorchScriptPythonDecoder(layers.eval(), example_input=example)
        return frontend.convert(frontend.load(decoder))


class _Layers(torch.nn.Module):
    """The layers with the arguments that the graph has."""

    def __init__(self, layers: Any) -> None:
        super().__init__()
        self.layers = layers

    def forward(self, states: torch.Tensor, positions: torch.Tensor, drawn: torch.Tensor) -> torch.Tensor:
        found = self.layers(
            inputs_embeds=states[None],
            position_ids=positions[None],
            attention_mask=torch.zeros(1, 1, 1, 1),
            use_cache=False,
        )
        last: torch.Tensor = found.last_hidden_state[0, drawn]
        return last


@torch.library.custom_op("ge_engine::attention", mutates_args=())
def _placeholder(
    query: torch.Tensor,
    key: torch.Tensor,  # noqa: ARG001
    value: torch.Tensor,  # noqa: ARG001
    layer: int,  # noqa: ARG001
    scale: float,  # noqa: ARG001
    heads: int,  # noqa: ARG001
    width: int,  # noqa: ARG001
) -> torch.Tensor:
    """Stands in the trace for the attention of one layer; only its shape counts. `heads` are those of keys
    and values, `width` is a head's."""
    return query.new_zeros(query.shape)


def _attention(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor,  # noqa: ARG001
    scaling: float | None = None,
    **options: Any,
) -> tuple[torch.Tensor, None]:
    """As transformers calls it: `query` is (1, heads, tokens, width of a head)."""
    for name in _UNKNOWN:
        if options.get(name) is not None:
            raise UnknownModelError(f"its attention has {name}")
    if query.shape[3] != value.shape[3]:
        raise UnknownModelError("its keys and values are not of one width")
    scale = float(query.shape[3] ** -0.5 if scaling is None else scaling)
    states = (_by_token(query), _by_token(key), _by_token(value))
    found = _placeholder(*states, int(module.layer_idx), scale, key.shape[1], key.shape[3])
    return found.reshape(1, -1, query.shape[1] * query.shape[3]), None


def _by_token(states: torch.Tensor) -> torch.Tensor:
    """(1, heads, tokens, width of a head) as (tokens, heads * width of a head)."""
    return states[0].transpose(0, 1).reshape(-1, states.shape[1] * states.shape[3])


ALL_ATTENTION_FUNCTIONS.register(NAME, _attention)


def _in_graph(context: Any) -> list[ov.Output]:
    """What the placeholder becomes in a graph that is stored: a sum that reads query, key and value, and
    holds the layer's facts as a constant."""
    query, key, value = (context.get_input(place) for place in range(3))
    facts = [float(context.get_values_from_const_input(place)) for place in range(3, 7)]
    told = ops.constant(np.array([PLACEHOLDER, *facts], np.float32))
    total = ops.reduce_sum(ops.concat([key, value], 1), ops.constant(np.array([0, 1], np.int64)), False)
    return [ops.add(query, ops.reduce_sum(ops.multiply(total, told), 0, False)).output(0)]
