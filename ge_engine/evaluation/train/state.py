"""The state of a training between two steps, as bytes and back."""

from __future__ import annotations

import io
import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ge_engine.evaluation.measure.parameters import buffers_of, is_lazy, registered_parameters
from ge_engine.evaluation.train.ema import Ema
from ge_engine.evaluation.train.lr_scheduler import LRScheduler


class Unfit(Exception):
    """Bytes that are no checkpoint of this network and optimizer."""


@dataclass(slots=True)
class TrainState:
    """All that a training continues from. `model` wraps `network`; `shuffle_rng` draws the order of the
    images and their augmentation; `finished` is true where the scheduler wants no more epochs. The whole
    training takes `epochs`; `inherited` is the share of the parameters that a parent gave (None: there was no
    parent). Neither is in a checkpoint."""

    model: nn.Module
    network: nn.Module
    optimizer: Any
    scheduler: LRScheduler
    shuffle_rng: torch.Generator
    ema: Ema | None
    epochs: int
    inherited: float | None = None
    scaler: Any = None
    curve: list[dict[str, float]] = field(default_factory=list)
    steps: int = 0
    first_loss: float = 0.0
    seconds: float = 0.0
    finished: bool = False

    def saved(self) -> bytes:
        """The checkpoint: weights, buffers, optimizer, scheduler, EMA, curve and the random generators.

        What a network keeps elsewhere (a counter in an attribute) is not in it.
        """
        state = {
            "tensors": tensors_of(self.network),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.scheduler.state(),
            "average": [self.ema.steps, self.ema.averages] if self.ema else [],
            "scaler": self.scaler.state_dict() if self.scaler is not None else {},
            "random": _random_states(self.shuffle_rng),
            "curve": self.curve,
            "steps": self.steps,
            "first_loss": self.first_loss,
            "seconds": self.seconds,
            "ended": self.finished,
        }
        file = io.BytesIO()
        torch.save(state, file)
        return file.getvalue()

    def load(self, checkpoint: bytes) -> None:
        """Continue from `saved()`. The bytes are read as data, never run.

        Raises:
            Unfit: they do not fit; the state may be half changed then.
        """
        try:
            state = torch.load(io.BytesIO(checkpoint), map_location="cpu", weights_only=True)
            _put(self.network, state["tensors"])
            self.optimizer.load_state_dict(state["optimizer"])
            self.scheduler.load(state["schedule"])
            if self.ema is not None:
                self.ema.load(*state["average"])
            if self.scaler is not None:
                self.scaler.load_state_dict(state["scaler"])
            self.curve.extend(state["curve"])
            self.steps, self.first_loss = state["steps"], state["first_loss"]
            self.seconds, self.finished = state["seconds"], state["ended"]
            _set_random_states(state["random"], self.shuffle_rng)
        except Exception as error:
            raise Unfit(str(error)) from error


def tensors_of(network: nn.Module) -> dict[str, Tensor]:
    """Every parameter and buffer, also those that a state dict leaves out, by name."""
    found: dict[str, Tensor] = {name: p.detach() for name, p in registered_parameters(network).items()}
    found |= {f"buffer {name}": buffer for name, buffer in buffers_of(network).items()}
    return {name: tensor for name, tensor in found.items() if not is_lazy(tensor)}


@torch.no_grad()
def _put(network: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    mine = tensors_of(network)
    if mine.keys() != tensors.keys():
        raise Unfit("it holds other tensors")
    for name, tensor in mine.items():
        if tensor.shape != tensors[name].shape:
            raise Unfit(f"{name} has another shape")
        tensor.copy_(tensors[name])


def _random_states(shuffle_rng: torch.Generator) -> dict[str, Any]:
    kind, keys, *rest = np.random.get_state(legacy=True)
    return {
        "order": shuffle_rng.get_state(),
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
        "python": random.getstate(),
        "numpy": [str(kind), np.asarray(keys).tolist(), *rest],
    }


def _set_random_states(states: Mapping[str, Any], shuffle_rng: torch.Generator) -> None:
    shuffle_rng.set_state(states["order"])
    torch.set_rng_state(states["torch"])
    if states["cuda"]:
        torch.cuda.set_rng_state_all(states["cuda"])
    version, numbers, spare = states["python"]
    random.setstate((version, tuple(numbers), spare))
    kind, keys, *rest = states["numpy"]
    np.random.set_state((kind, np.array(keys, dtype=np.uint32), *rest))
