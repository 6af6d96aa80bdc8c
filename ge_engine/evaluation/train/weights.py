"""The weights of a trained network as safetensors, which hold tensors and no code."""

from __future__ import annotations

import torch
from safetensors.torch import save
from torch import Tensor, nn

from ge_engine.evaluation.measure.parameters import buffers_of, is_lazy, registered_parameters


def packed_weights(network: nn.Module) -> bytes:
    """Every parameter and buffer by its dotted name, one that several modules share once, under its first
    name. What a network keeps elsewhere (a counter in an attribute) is not in it.

    Raises:
        Exception: a tensor of a type that safetensors does not hold, or too little memory.
    """
    first = {id(one): name for name, one in reversed(buffers_of(network).items())}
    buffers = {name: one for name, one in buffers_of(network).items() if first[id(one)] == name}
    tensors: dict[str, Tensor] = {**registered_parameters(network), **buffers}
    plain = {name: one.detach().cpu() for name, one in tensors.items() if not is_lazy(one)}
    return save({name: one.clone(memory_format=torch.contiguous_format) for name, one in plain.items()})
