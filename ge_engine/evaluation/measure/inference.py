"""A network's answers to images, and what they cost."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from ge_engine.evaluation.data.batches import PREDICT_BATCH, Images
from ge_engine.evaluation.measure.witness import UNWATCHED, Unwatched, Witness


@torch.no_grad()
def predict(model: nn.Module, images: Images, classes: int, witness: Unwatched = UNWATCHED) -> Tensor:
    """Logits (m, classes) float32 on the CPU for all images in order."""
    model.eval()
    answers = []
    for batch in images.in_order(PREDICT_BATCH):
        with witness.answer(batch):
            logits = logits_of(model(batch), classes)
        answers.append(logits.float().cpu())
    return torch.cat(answers)


def costs_of(model: nn.Module, images: Images, classes: int) -> dict[str, float]:
    """What a network costs on `images` as it is, on its own device."""
    witness = Witness(model, 0)
    witness.alone(images)
    return witness.facts(predict(model, images, classes, witness), images)


def logits_of(output: Any, classes: int) -> Tensor:
    """The tensor (n, classes) in what a model returned: a tensor, tuple, dict, namedtuple or ModelOutput.

    Raises:
        ValueError: there is none.
    """
    if isinstance(output, Tensor):
        return output
    named = getattr(output, "logits", None)
    if isinstance(named, Tensor):
        return named
    parts = list(output.values()) if isinstance(output, Mapping) else output
    if isinstance(parts, (tuple, list)):
        for part in parts:
            if isinstance(part, Tensor) and part.dim() == 2 and part.shape[1] == classes:
                return part
    raise ValueError(f"the model returned a {type(output).__name__} without a tensor of shape (n, {classes})")
