"""How a network's images and weights lie in memory: channel by channel, or channels last, which is faster."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from ge_engine.evaluation.data.memory_layout import placed
from ge_engine.evaluation.measure.inference import logits_of
from ge_engine.evaluation.measure.parameters import is_lazy


def runs_channels_last(model: nn.Module, images: Tensor, classes: int) -> bool:
    """Whether a network with convolutions over images, and none over volumes, goes through a step and answers
    where all lies channels last: `x.view(len(x), -1)` behind a convolution does not. The network stays so."""
    ranks = {parameter.dim() for parameter in model.parameters()}
    if 4 not in ranks or 5 in ranks:
        return False
    images = placed(images, torch.channels_last)
    targets = torch.zeros(len(images), dtype=torch.int64)
    try:
        model.to(memory_format=torch.channels_last).train()
        cross_entropy(logits_of(model(images), classes).float(), targets).backward()  # type: ignore[no-untyped-call]
        with torch.no_grad():
            model.eval()(images)
    except Exception:  # a network that wants its images channel by channel gets them so
        return False
    return True


def layout(channels_last: float) -> torch.memory_format:
    """The layout for a network that runs channels last (1) or does not (0)."""
    return torch.channels_last if channels_last else torch.contiguous_format


def laid_out(model: nn.Module, layout: torch.memory_format) -> nn.Module:
    """The network with its weights channels last where `layout` is that; else as it was built, and also where
    weights get their sizes only from the first images."""
    if layout is not torch.channels_last or any(map(is_lazy, model.parameters())):
        return model
    return model.to(memory_format=layout)
