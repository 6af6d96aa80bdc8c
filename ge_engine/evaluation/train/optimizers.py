"""The optimizer of a training: the seed model's own, or one of ours."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import torch
from torch import nn

from ge_engine.evaluation.measure.parameters import is_lazy

OptimizerFactory = Callable[[nn.Module, float, float], torch.optim.Optimizer]


def optimizer_of(module: ModuleType, name: str) -> OptimizerFactory:
    """The optimizer of the training settings: `module`'s own `get_optimizer` for "seed" where it has one,
    else SGD."""
    own = getattr(module, "get_optimizer", None)
    if name == "seed":
        return own if callable(own) else default_optimizer
    return {"sgd": default_optimizer, "adamw": adamw}[name]


def default_optimizer(model: nn.Module, lr: float, weight_decay: float) -> torch.optim.Optimizer:
    """SGD with Nesterov momentum 0.9; no decay on vectors (norm weights and biases)."""
    return torch.optim.SGD(decay_groups(model, weight_decay), lr=lr, momentum=0.9, nesterov=True)


def adamw(model: nn.Module, lr: float, weight_decay: float) -> torch.optim.Optimizer:
    """AdamW (Loshchilov and Hutter, 2019) with torch's betas; no decay on vectors."""
    return torch.optim.AdamW(decay_groups(model, weight_decay), lr=lr)


def _lazy_vectors(model: nn.Module) -> set[int]:
    """The ids of parameters without a size yet that will be vectors."""
    return {
        id(parameter)
        for module in model.modules()
        for name, parameter in module.named_parameters(recurse=False)
        if is_lazy(parameter) and (name == "bias" or hasattr(module, "running_mean"))
    }


def decay_groups(model: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Parameter groups: `weight_decay` on matrices and kernels, none on vectors; empty ones left out."""
    without_size = _lazy_vectors(model)
    trained = [p for p in model.parameters() if p.requires_grad]
    vectors = [p for p in trained if (id(p) in without_size if is_lazy(p) else p.dim() <= 1)]
    known = set(map(id, vectors))
    matrices = [p for p in trained if id(p) not in known]
    groups = [{"params": matrices, "weight_decay": weight_decay}, {"params": vectors, "weight_decay": 0.0}]
    return [group for group in groups if group["params"]]
