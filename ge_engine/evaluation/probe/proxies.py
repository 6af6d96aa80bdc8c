"""What an untrained network's gradients say of it: the figures by which `screen` chooses among children.

They are taken from a network built afresh, for a probe has trained its own. What cannot be computed, or is no
number, is left out: the network stands behind those that have it.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.modules.dropout import _DropoutNd

from ge_engine.evaluation.data.batches import Images
from ge_engine.evaluation.measure.inference import logits_of
from ge_engine.evaluation.probe.step import PROBE_SEED

MOST_IMAGES = 32
"""Images of the batch: fewer than trainings usually take at once."""
MOST_PIXELS = 32 * 64 * 64
"""Pixels of a channel in the whole batch: of large images fewer are taken, so that a probe stays cheap."""
FEWEST_IMAGES = 4
EPSILON = 1e-5


def proxies(build: Callable[[], nn.Module], images: Images, classes: int) -> dict[str, float]:
    """The figures of the untrained network that `build` gives, "synflow" and "jacob_cov", as far as they can
    be computed. Larger is better. Whatever a network raises costs that figure alone."""
    found: dict[str, float] = {}
    batch, measures = batch_of(images), {"synflow": synflow, "jacob_cov": jacob_cov}
    for name, measure in measures.items():
        seed_all()
        try:
            figure = measure(build(), batch, classes)
        except BaseException:  # the network's own: it builds once, has no such gradients, or leaves
            continue
        if math.isfinite(figure):
            found[name] = figure
    return found


def seed_all() -> None:
    """Every generator that a network may draw its weights from begins alike, as in trainings."""
    random.seed(PROBE_SEED)
    np.random.seed(PROBE_SEED)
    torch.manual_seed(PROBE_SEED)


def batch_of(images: Images) -> Tensor:
    """Images (n, channels, size, size) spread evenly over all, for neighbours may be of one class."""
    fit = MOST_PIXELS // images.size**2
    count = min(len(images), max(FEWEST_IMAGES, min(MOST_IMAGES, fit)))
    rows = torch.linspace(0, len(images) - 1, count).long()
    return images.normalised(images.pixels[rows])


def jacob_cov(model: nn.Module, images: Tensor, classes: int) -> float:
    """How differently a network responds to changes of different images: -sum(log(v + k) + 1 / (v + k)) over
    the eigenvalues v of the correlation matrix (n, n) of the Jacobians of its summed logits by each image, k
    1e-5. Not finite where a Jacobian is constant, such as that of a network that ignores its input.

    Mellor, Turner, Storkey and Crowley, "Neural Architecture Search without Training", version 1, 2020. The
    network is in training mode, but for dropout, whose noise would pass for a difference between images.
    """
    model.train()
    for module in model.modules():
        if isinstance(module, _DropoutNd):
            module.eval()
    images = images.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(logits_of(model(images), classes).float().sum(), images)
    rows = gradient.flatten(1).double()
    rows = rows - rows.mean(1, keepdim=True)
    rows = rows / rows.norm(dim=1, keepdim=True)
    if not bool(torch.isfinite(rows).all()):
        return math.nan
    values = torch.linalg.eigvalsh(rows @ rows.T).clamp(min=0) + EPSILON
    return -float((values.log() + 1 / values).sum())


def synflow(model: nn.Module, images: Tensor, classes: int) -> float:
    """How much flows through the weights: the logarithm of sum(|w dR/dw|) / log(1 + parameters), where R is
    the sum of the answers to an image of ones by the network with the magnitudes of its parameters, and w are
    the weights of two and more dimensions, as in the source: biases flow past what is cut off. The divisor is
    for the size, with which the sum grows. Minus infinity where nothing flows.

    Tanaka, Kunin, Yamins and Ganguli, "Pruning neural networks without any data by iteratively conserving
    synaptic flow", NeurIPS 2020; as a score of networks: Abdelfattah, Mehrotra, Dudziak and Lane, "Zero-Cost
    Proxies for Lightweight NAS", ICLR 2021. The network is in evaluation mode; its parameters are changed.
    """
    model.eval()
    ones = torch.ones_like(images[:1])
    with torch.no_grad():
        model(ones)  # lazy modules have their weights from here on
        for tensor in (*model.parameters(), *model.buffers()):
            if tensor.is_floating_point():
                tensor.abs_()
    trained = [one for one in model.parameters() if one.requires_grad]
    flow = 0.0
    for kind in (torch.float32, torch.float64):  # double alone holds the flow of very deep networks
        flow = _flow(model.to(kind), trained, ones.to(kind), classes)
        if math.isfinite(flow) and flow > 0:
            break
    return math.log(flow / math.log1p(sum(one.numel() for one in trained))) if flow > 0 else -math.inf


def _flow(model: nn.Module, trained: Sequence[nn.Parameter], ones: Tensor, classes: int) -> float:
    weights = [one for one in trained if one.dim() > 1]
    answer = logits_of(model(ones), classes).double().sum()
    gradients = torch.autograd.grad(answer, weights, allow_unused=True)
    pairs = zip(weights, gradients, strict=True)
    return sum(float((w.detach() * g).double().abs().sum()) for w, g in pairs if g is not None)
