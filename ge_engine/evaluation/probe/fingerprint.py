"""A digest of what a network computes, equal for networks that differ in names and order of statements."""

from __future__ import annotations

import hashlib
import math

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from ge_engine.evaluation.measure.parameters import registered_parameters
from ge_engine.evaluation.probe.findings import ProbeFindings
from ge_engine.evaluation.probe.step import PROBE_SEED, ProbeStep, without_gradient

FEWEST_FOR_SPREAD = 256


def fingerprint(step: ProbeStep, order: list[nn.Parameter], findings: ProbeFindings) -> None:
    """Give every parameter fixed values by its order of first use and hash two training steps.

    Equal for renamed variables and reordered statements; unequal where initialisation, optimizer, size
    or cost differ. A parameter counts as without gradient only if these values leave it so as well.
    """
    model, (images, targets) = step.model, step.batch()
    findings.stage = "forward"
    digest = hashlib.sha256()
    for index, parameter in enumerate(order):
        digest.update(f"{tuple(parameter.shape)} {_initialised(parameter)}\n".encode())
        _refill(parameter, index)
    for buffer, fresh in step.fresh_buffers:
        buffer.detach().copy_(fresh)
    for name in ("parameters", "flops"):
        digest.update(f"{name} {findings.facts[name]}\n".encode())
    optimizer = step.optimizer()
    digest.update(_settings(optimizer).encode())
    for number in range(2):
        logits = step.forward(images)
        digest.update(_rounded(logits))
        optimizer.zero_grad()
        cross_entropy(logits.float(), targets).backward()  # type: ignore[no-untyped-call]
        if number == 0:
            findings.without_gradient &= without_gradient(registered_parameters(model))
        optimizer.step()
    model.eval()
    with torch.no_grad():
        digest.update(_rounded(step.forward(images)))
    findings.fingerprint = digest.hexdigest()


def _initialised(parameter: nn.Parameter) -> str:
    """How a parameter was initialised, up to chance: its constant, or its spread in half powers of two,
    placed so that torch's default (1 / sqrt(3 fan_in)) lies between two steps for a fan-in of 2^k."""
    values = parameter.detach()
    values = torch.view_as_real(values) if values.is_complex() else values.float()
    low, high = float(values.min()), float(values.max())
    if low == high:
        return f"{low:.4g}"
    if values.numel() < FEWEST_FOR_SPREAD:
        return "random"
    return f"step {round(2 * math.log2(float(values.std()) + 1e-30) + math.log2(3) - 1)}"


@torch.no_grad()
def _refill(parameter: nn.Parameter, index: int) -> None:
    generator = torch.Generator().manual_seed(PROBE_SEED + index)
    values = torch.rand(parameter.shape, generator=generator) * 2 - 1
    if parameter.dim() > 1:
        values *= math.sqrt(3 * parameter.shape[0] / parameter.numel())
    else:
        values = 1 + 0.2 * values
    parameter.copy_(values)
    parameter.grad = None


def _settings(optimizer: torch.optim.Optimizer) -> str:
    lines = [type(optimizer).__name__]
    for group in optimizer.param_groups:
        settings = sorted((k, repr(v)) for k, v in group.items() if k not in ("params", "param_names"))
        lines.append(f"{sum(p.numel() for p in group['params'])} {settings}")
    return "\n".join(lines)


def _rounded(logits: Tensor) -> bytes:
    """Logits to four figures of the largest, so that another order of summation hashes alike."""
    values = logits.detach().double()
    largest = float(values.abs().max()) + 1e-12
    return f"{largest:.3g}".encode() + (values / largest * 1e4).round().to(torch.int32).numpy().tobytes()
