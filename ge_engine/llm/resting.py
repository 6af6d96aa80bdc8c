"""What a language model on a GPU leaves to the trainings between its rounds."""

from __future__ import annotations

from typing import Any

import torch

# Weights of more than this share of the GPU's memory do not stay there while candidates train.
RESIDENT_SHARE = 0.25


class Residence:
    """Where a model's weights lie. `home` is the GPU that all of them are on; None where there is nothing to
    give back: on a CPU, on Apple's shared memory, or spread over several devices."""

    def __init__(self, model: Any, home: torch.device | None, memory: int) -> None:
        self._model = model
        self._home = home
        weights = sum(tensor.numel() * tensor.element_size() for tensor in model.parameters())
        self.stays = home is None or weights <= RESIDENT_SHARE * memory

    def wake(self) -> None:
        """Have the weights where they answer."""
        if not self.stays:
            self._model.to(self._home)

    def rest(self) -> None:
        """Give the GPU back: a large model's weights go to the host's memory, what torch holds in reserve
        to the driver, so that the processes of the candidates can have it."""
        if not self.stays:
            self._model.to("cpu")
        if self._home is not None:
            torch.cuda.empty_cache()


def residence_of(model: Any) -> Residence:
    """The residence of a model as it was loaded."""
    devices = {tensor.device for tensor in model.parameters()}
    home = devices.pop() if len(devices) == 1 else None
    if home is None or home.type != "cuda":
        return Residence(model, None, 0)
    return Residence(model, home, torch.cuda.get_device_properties(home).total_memory)
