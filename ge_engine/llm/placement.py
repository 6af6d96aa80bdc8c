"""On which GPU a language model goes: on one where it fits, for a step over several waits for all of them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from transformers import AutoConfig, AutoModelForCausalLM

ROOM = 1.5
"""What a GPU has to have free, in sizes of the weights: attention's cache and a batch take the rest."""
DeviceMap = str | dict[str, int]


def device_map_of(source: str) -> DeviceMap:
    """The `device_map` of `from_pretrained` for the model at `source` on this machine's accelerators."""
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if count < 2:
        return "auto"
    return fitted(weight_bytes(source), [torch.cuda.mem_get_info(number)[0] for number in range(count)])


def fitted(weights: int, free: Sequence[int]) -> DeviceMap:
    """The GPU with the most bytes `free` where `weights` bytes of weights fit on it; else they are spread
    ("auto")."""
    best = max(range(len(free)), key=free.__getitem__)
    return {"": best} if ROOM * weights <= free[best] else "auto"


def weight_bytes(source: str) -> int:
    """Bytes of the weights of the model at `source`, read off its configuration. Raises what `transformers`
    raises where there is none."""
    config = AutoConfig.from_pretrained(source)
    with torch.device("meta"):
        dtype = config.dtype or torch.float32
        model = AutoModelForCausalLM.from_config(config, dtype=dtype)  # type: ignore[no-untyped-call]
    return sum(one.numel() * one.element_size() for one in model.parameters())
