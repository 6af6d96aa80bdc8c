"""A training between two steps: all that it goes on from, as bytes and back."""

from __future__ import annotations

import io
import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parameter import UninitializedBuffer, UninitializedParameter

from ge_engine.evaluation.measure.parameters import registered_parameters, walk
from ge_engine.evaluation.train.ema import Ema
from ge_engine.evaluation.train.lr_scheduler import LRScheduler


class Unfit(Exception):
    """Bytes that are no checkpoint of this network and optimizer."""


@dataclass(slots=True)
class TrainState:
    """`network` is what `model` wraps. `ended` is true where the schedule wants no more epochs."""

    model: nn.Module
    network: nn.Module
    optimizer: Any
    schedule: LRScheduler
    order: torch.Generator
    average: Ema | None
    scaler: Any = None
    curve: list[dict[str, float]] = field(default_factory=list)
    steps: int = 0
    first_loss: float = 0.0
    seconds: float = 0.0
    ended: bool = False

    def saved(self) -> bytes:
        """Weights, buffers, optimizer, rates, averages, curve and every random generator's state.

        What a network keeps elsewhere (a counter in an attribute) is not in it.
        """
        state = {
            "tensors": tensors_of(self.network),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state(),
            "average": [self.average.steps, self.average.averages] if self.average else [],
            "scaler": self.scaler.state_dict() if self.scaler is not None else {},
            "random": _random_states(self.order),
            "curve": self.curve,
            "steps": self.steps,
            "first_loss": self.first_loss,
            "seconds": self.seconds,
            "ended": self.ended,
        }
        file = io.BytesIO()
        torch.save(state, file)
        return file.getvalue()

    def load(self, checkpoint: bytes) -> None:
        """Go on from `saved()`. The bytes are read as data, never run.

        Raises:
            Unfit: they do not fit; the course may be half changed then.
        """
        try:
            state = torch.load(io.BytesIO(checkpoint), map_location="cpu", weights_only=True)
            _put(self.network, state["tensors"])
            self.optimizer.load_state_dict(state["optimizer"])
            self.schedule.load(state["schedule"])
            if self.average is not None:
                self.average.load(*state["average"])
            if self.scaler is not None:
                self.scaler.load_state_dict(state["scaler"])
            self.curve.extend(state["curve"])
            self.steps, self.first_loss = state["steps"], state["first_loss"]
            self.seconds, self.ended = state["seconds"], state["ended"]
            _set_random_states(state["random"], self.order)
        except Exception as error:
            raise Unfit(str(error)) from error


def tensors_of(network: nn.Module) -> dict[str, Tensor]:
    """Every parameter and buffer, also those that a state dict leaves out, by name."""
    found: dict[str, Tensor] = {name: p.detach() for name, p in registered_parameters(network).items()}
    for prefix, module in walk(network):
        for name, buffer in vars(module)["_buffers"].items():
            if isinstance(buffer, Tensor):
                found[f"buffer {prefix}.{name}"] = buffer
    return {name: t for name, t in found.items() if not isinstance(t, _LAZY)}


_LAZY = (UninitializedParameter, UninitializedBuffer)


@torch.no_grad()
def _put(network: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    mine = tensors_of(network)
    if mine.keys() != tensors.keys():
        raise Unfit("it holds other tensors")
    for name, tensor in mine.items():
        if tensor.shape != tensors[name].shape:
            raise Unfit(f"{name} has another shape")
        tensor.copy_(tensors[name])


def _random_states(order: torch.Generator) -> dict[str, Any]:
    kind, keys, *rest = np.random.get_state(legacy=True)
    return {
        "order": order.get_state(),
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
        "python": random.getstate(),
        "numpy": [str(kind), np.asarray(keys).tolist(), *rest],
    }


def _set_random_states(states: Mapping[str, Any], order: torch.Generator) -> None:
    order.set_state(states["order"])
    torch.set_rng_state(states["torch"])
    if states["cuda"]:
        torch.cuda.set_rng_state_all(states["cuda"])
    version, numbers, spare = states["python"]
    random.setstate((version, tuple(numbers), spare))
    kind, keys, *rest = states["numpy"]
    np.random.set_state((kind, np.array(keys, dtype=np.uint32), *rest))
