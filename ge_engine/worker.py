"""The isolated process that runs one genome. Begun by the nursery; leaves through `os._exit`.

Generated code shares this interpreter, so it can lie about anything that is said here, except about
what it cannot know: the labels it is scored on are in another process. The engine takes the logits
as answers, and takes figures from functions that were bound before the genome was imported.
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import os
import random
import sys
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from types import ModuleType

import torch
from torch import Tensor, nn

from ge_engine.config import Recipe
from ge_engine.profile import rows_of
from ge_engine.trainer import Diverged, Lesson, NotFinite, Stage, train
from ge_engine.training import confining
from ge_engine.training.batches import Images
from ge_engine.training.loading import ModuleAddress, error_line, import_source, module_address
from ge_engine.training.measuring import (
    buffers_as_weights,
    bytes_on_disk,
    latency,
    numbers_in,
    peak_memory,
    registered_parameters,
)
from ge_engine.training.optimizers import optimizer_of
from ge_engine.training.orders import CHECKPOINT_LIMIT, Order, Report, Setup, pack_report
from ge_engine.training.pace import TooSlow
from ge_engine.training.peers import Recruit, gather
from ge_engine.training.probing import Findings, Shape, executed_functions, probe
from ge_engine.training.sizing import sizes_of

_GPU_LOST = ("uncorrectable ECC", "GPU is lost", "busy or unavailable", "fallen off the bus")
SHARE = 0.8
"""Of the time for a job of kind "size", after which no further variant is built."""
_write, _exit, _pack, _now = os.write, os._exit, pack_report, time.monotonic


def work(
    order: Order,
    setup: Setup,
    data: Mapping[str, Tensor],
    checkpoint: bytes,
    ends: tuple[int, int],
    recruit: Recruit,
    begun: Callable[[], object],
) -> None:
    """Run `order`, write its report to the first of the descriptors `ends`, what is printed to the second,
    and end this process. `begun` is called before anything of the candidate runs. Never returns."""
    token = bytes.fromhex(order.token)
    result, log = ends
    folder = _folder(order, setup)
    folder.mkdir(parents=True)
    confine = confining.settle(order, setup, folder, log)
    count = setup.processes if order.kind == "train" else 1
    team = gather(recruit, count, setup.threads, folder, order.timeout, confine)
    begun()
    report = run(order, setup, data, checkpoint, team.rank)
    if team.rank:
        team.leave(report)
    report = team.cause(report)
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):  # the candidate may have closed or replaced it
            stream.flush()
    message = memoryview(_pack(report, token))
    while message:
        message = message[_write(result, message) :]
    _exit(0)


def train_along(
    order: Order, setup: Setup, data: Mapping[str, Tensor], checkpoint: bytes, recruit: Recruit
) -> None:
    """The part of a process that the first one has started anew, and not as a copy of itself: what that one
    has settled holds here as well. Never returns."""
    torch.set_num_threads(setup.threads)
    confine = partial(confining.close, setup, False)
    team = gather(recruit, setup.processes, setup.threads, _folder(order, setup), order.timeout, confine)
    team.leave(run(order, setup, data, checkpoint, team.rank))


def _folder(order: Order, setup: Setup) -> Path:
    return Path(setup.scratch, "jobs", order.id)


def stored(order: Order) -> bytes:
    """The checkpoint to go on from, to be read before the sandbox closes; one that is lost is b""."""
    try:
        return Path(order.checkpoint).read_bytes() if order.checkpoint else b""
    except OSError:
        return b""


def run(
    order: Order, setup: Setup, data: Mapping[str, Tensor], checkpoint: bytes = b"", rank: int = 0
) -> Report:
    """The report of `order`: what was found or trained, or the candidate's own error. Of several processes
    that train together, only that of `rank` 0 measures and answers."""
    address = module_address(Path(setup.seed_path), order.digest, setup.modules)
    if order.kind == "probe":
        return _probe(order, setup, address)
    if order.kind == "size":
        return _sizes(order, setup, address)
    stage = Stage(order.epochs, checkpoint, order.keep, order.step_seconds, order.steps)
    return _train(order, setup, data, address, stage, rank)


def _probe(order: Order, setup: Setup, address: ModuleAddress) -> Report:
    findings = Findings()
    shape = Shape(setup.channels, setup.size, setup.classes)
    kind = ""
    started = _now()
    try:
        with executed_functions(address.file, findings.executed):
            probe(
                lambda: import_source(order.source.encode("latin-1"), address),
                lambda module: _build(module, setup.entry),
                lambda module: optimizer_of(module, setup.recipe["optimizer"]),
                shape,
                setup.recipe,
                setup.memory,
                findings,
            )
    except BaseException as error:  # SystemExit and KeyboardInterrupt of a candidate are its errors too
        kind, findings.error = _kind(error), error_line(error, address.file)
    findings.facts["probe_seconds"] = _now() - started
    plain = {
        f.name: sorted(v) if isinstance(v := getattr(findings, f.name), (set, list)) else v
        for f in dataclasses.fields(findings)
        if f.name != "modules"
    }
    plain["modules"] = rows_of(findings.modules)
    return Report(stage=findings.stage, kind=kind, error=findings.error, facts=findings.facts, probe=plain)


def _sizes(order: Order, setup: Setup, address: ModuleAddress) -> Report:
    shape = Shape(setup.channels, setup.size, setup.classes)
    sources = [variant.encode("latin-1") for variant in order.variants]
    sizes = sizes_of(
        sources, address, lambda m: _build(m, setup.entry), shape, setup.memory, SHARE * order.timeout
    )
    return Report(probe={"sizes": sizes})


def _train(
    order: Order,
    setup: Setup,
    data: Mapping[str, Tensor],
    address: ModuleAddress,
    part: Stage,
    rank: int,
) -> Report:
    stage = "import"
    facts: dict[str, float] = {}
    try:
        random.seed(order.rng_seed)
        module = import_source(order.source.encode("latin-1"), address)
        stage = "train"
        lesson = _lesson(order, setup, data)
        training = train(
            lambda: _build(module, setup.entry),
            optimizer_of(module, setup.recipe["optimizer"]),
            lesson,
            Recipe(**setup.recipe),
            order.rng_seed,
            lambda: facts.update(start_seconds=_now() - order.sent),
            part,
        )
        if rank:
            return Report()
        stage = "measure"
        facts.update(_figures(training.model, setup))
        facts.update(train_seconds=training.seconds, steps=float(training.steps))
        facts.update(step_seconds=training.step_seconds)
        logits = training.logits.contiguous().numpy().tobytes()
        checkpoint = training.checkpoint if len(training.checkpoint) <= CHECKPOINT_LIMIT else b""
        return Report(facts=facts, curve=tuple(training.curve), logits=logits, checkpoint=checkpoint)
    except NotFinite as error:
        return Report(stage="train", kind="not finite", error=str(error))
    except Diverged as error:
        return Report(stage="train", kind="diverged", error=str(error))
    except TooSlow as error:
        return Report(stage="train", kind="too slow", error=str(error))
    except BaseException as error:  # SystemExit and KeyboardInterrupt of a candidate are its errors too
        return Report(stage=stage, kind=_kind(error), error=error_line(error, address.file))


def _kind(error: BaseException) -> str:
    text = str(error)
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)) or "allocate memory" in text:
        return "out of memory"
    lost = isinstance(error, OSError) and error.errno == errno.ENOSPC
    return "infrastructure" if lost or any(sign in text for sign in _GPU_LOST) else "error"


def _build(module: ModuleType, entry: str) -> nn.Module:
    return eval(entry, vars(module))  # type: ignore[no-any-return]


def _lesson(order: Order, setup: Setup, data: Mapping[str, Tensor]) -> Lesson:
    mean, std = torch.tensor(setup.mean), torch.tensor(setup.std)
    return Lesson(
        train=Images(data["train"], mean, std, setup.size),
        labels=data["labels"],
        held_out=Images(_held_out(order, data), mean, std, setup.size),
        classes=setup.classes,
        mirror=setup.mirror,
    )


def _held_out(order: Order, data: Mapping[str, Tensor]) -> Tensor:
    both = order.split == "both"
    return torch.cat([data["validation"], data["test"]]) if both else data[order.split]


def _figures(model: nn.Module, setup: Setup) -> dict[str, float]:
    weights = [*registered_parameters(model).values(), *buffers_as_weights(model).values()]
    device = weights[0].device if weights else torch.device("cpu")
    image = torch.zeros(1, setup.channels, setup.size, setup.size, device=device)
    return {
        "registered": float(numbers_in(weights)),
        "latency": latency(model, image),
        "peak_memory": float(peak_memory()),
        "size_on_disk": float(bytes_on_disk(model)),
    }
