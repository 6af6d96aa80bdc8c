"""A network's costs as seen in its training: in a training step and in every answer that is scored.

A network can distinguish a probe from a training by the number of images and by their values. Here it cannot
do so without giving up its answers.
"""

from __future__ import annotations

import gc
import secrets
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cached_property

import torch
from torch import Tensor, nn

from ge_engine.evaluation.data.batches import PREDICT_BATCH, Images
from ge_engine.evaluation.measure.operands import LeavingWatch, OperandWatch
from ge_engine.evaluation.measure.parameters import bytes_on_disk, peak_memory
from ge_engine.evaluation.measure.weights import weights_of, what_weighs

REPEATS, WARM_UP = 15, 3
ALIKE = 0.1
"""By how much rounding in another batch may change an answer, in standard deviations of all logits."""
_clock = time.perf_counter


class Unwatched:
    """Lets a training run as it is."""

    def step(self, images: Tensor) -> AbstractContextManager[None]:  # noqa: ARG002
        """Around the forward pass of a training step."""
        return nullcontext()

    def answer(self, images: Tensor) -> AbstractContextManager[None]:  # noqa: ARG002
        """Around a forward pass whose logits are scored."""
        return nullcontext()

    def alone(self, images: Images) -> None:
        """Before the answers."""

    def facts(self, logits: Tensor, images: Images) -> dict[str, float]:  # noqa: ARG002
        """Costs by name, after the answers."""
        return {}


UNWATCHED = Unwatched()


def unwatched(network: nn.Module, steps: int) -> Unwatched:  # noqa: ARG001
    """What watches nothing."""
    return UNWATCHED


class Witness(Unwatched):
    """Watches a training of one network, in one process. `steps` are those of an epoch, of which the first is
    watched and one that nobody knows before."""

    def __init__(self, network: nn.Module, steps: int) -> None:
        self._network = network
        self._chosen = {0, secrets.randbelow(max(steps, 1))}
        self._steps = 0
        self._answered = 0
        self._flops = 0
        self._rows: list[int] = []
        self._alone: list[Tensor] = []
        self._seconds = 0.0

    @cached_property
    def _watch(self) -> OperandWatch:
        return OperandWatch(*what_weighs(self._network))

    @contextmanager
    def step(self, images: Tensor) -> Iterator[None]:
        """Around the forward pass of a training step."""
        chosen, self._steps = self._steps in self._chosen, self._steps + 1
        if not chosen:
            yield
            return
        with LeavingWatch(self._watch), self._watch.over(images):
            yield

    @contextmanager
    def answer(self, images: Tensor) -> Iterator[None]:
        """Around a forward pass whose logits are scored."""
        before = self._watch.flops
        with self._watch.over(images):
            yield
        self._flops += self._watch.flops - before
        self._answered += len(images)

    @torch.no_grad()
    def alone(self, images: Images) -> None:
        """Time the answers to single images, each another one, before any of them is answered among others:
        median seconds of a forward pass in evaluation mode."""
        self._network.eval()
        generator = torch.Generator().manual_seed(secrets.randbits(60))
        order = torch.randperm(len(images), generator=generator).tolist()
        self._rows = [order[number % len(order)] for number in range(REPEATS + WARM_UP)]
        enabled, times = gc.isenabled(), []
        gc.disable()
        for row in self._rows:
            times.append(self._timed(images.normalised(images.pixels[row : row + 1])))
        if enabled:
            gc.enable()
        self._seconds = sorted(times[WARM_UP:])[REPEATS // 2]

    def _timed(self, images: Tensor) -> float:
        if images.is_cuda:  # what was asked for before, such as these images, is no part of the answer
            torch.cuda.synchronize()
        started = _clock()
        answer = self._network(images)
        if images.is_cuda:
            torch.cuda.synchronize()
        seconds = _clock() - started
        if isinstance(answer, Tensor):
            self._alone.append(answer.detach().float().cpu().reshape(-1))
        return seconds

    def facts(self, logits: Tensor, images: Images) -> dict[str, float]:
        """Costs by name. `logits` (m, classes) are the answers to `images`: where an image alone was answered
        otherwise than among others, the time of an answer is that of a whole batch."""
        if len(logits) == len(images) and not self._agrees(logits):
            with torch.no_grad():
                self._seconds = max(self._seconds, self._timed(next(images.in_order(PREDICT_BATCH))))
        return {
            "registered": float(weights_of(self._network, self._watch).total),
            "flops": self._flops / max(self._answered, 1),
            "latency": self._seconds,
            "peak_memory": float(peak_memory()),
            "size_on_disk": float(bytes_on_disk(self._network)),
        }

    def _agrees(self, logits: Tensor) -> bool:
        rows = logits[self._rows]
        if not self._alone or any(one.numel() != rows.shape[1] for one in self._alone):
            return not self._alone
        difference = (torch.stack(self._alone) - rows).abs().max()
        return bool(difference <= ALIKE * (logits.std() + 1e-6))
