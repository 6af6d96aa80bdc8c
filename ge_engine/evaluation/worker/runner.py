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
from ge_engine.evaluation.data.batches import PREDICT_BATCH, Images
from ge_engine.evaluation.data.module_loader import ModuleAddress, error_line, import_source, module_address
from ge_engine.evaluation.measure.inference import costs_of
from ge_engine.evaluation.measure.witness import Witness
from ge_engine.evaluation.probe.coverage import covered_functions
from ge_engine.evaluation.probe.probe import ProbeFindings, TaskShape, probe
from ge_engine.evaluation.probe.sizes import sizes_of
from ge_engine.evaluation.protocol.claims import GPU_LOST, finite
from ge_engine.evaluation.protocol.messages import (
    BEGUN,
    TOKEN_BYTES,
    JobSpec,
    SessionSpec,
    WorkerReport,
    pack_report,
)
from ge_engine.evaluation.sandbox import confinement
from ge_engine.evaluation.train.optimizers import optimizer_of
from ge_engine.evaluation.train.step_timer import TooSlow
from ge_engine.evaluation.train.trainer import Diverged, NotFinite, Stage, TrainingData, train
from ge_engine.evaluation.worker.process_group import StartPeers, join_group
from ge_engine.evaluation.worker.sealing import seal
from ge_engine.profile import rows_of

SHARE = 0.8
"""Of the time for a job of kind "size", after which no further variant is built."""
_write, _read, _exit, _pack, _now = os.write, os.read, os._exit, pack_report, time.monotonic


def work(
    order: JobSpec,
    setup: SessionSpec,
    data: Mapping[str, Tensor],
    checkpoint: bytes,
    ends: tuple[int, int, int],
    recruit: StartPeers,
    begun: Callable[[], object],
) -> None:
    """Run `order`, write its report to the first of the descriptors `ends`, what is printed to the second,
    and end this process. The token waits in the third, and is in no memory before the report is made. `begun`
    is called before anything of the candidate runs. Never returns."""
    result, log, token = ends
    folder = _folder(order, setup)
    folder.mkdir(parents=True)
    confine = confinement.settle(order, setup, folder, log)
    count = setup.processes if order.kind == "train" else 1
    team = join_group(recruit, count, setup.threads, folder, order.timeout, confine)
    begun()
    if not team.rank:
        _write(result, BEGUN)
    seal(module_address(Path(setup.seed_path), order.digest).file)
    report = run(order, setup, data, checkpoint, team.rank)
    if team.rank:
        team.leave(report)
    report = team.cause(report)
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):  # the candidate may have closed or replaced it
            stream.flush()
    message = memoryview(_pack(report, _read(token, TOKEN_BYTES)))
    while message:
        message = message[_write(result, message) :]
    _exit(0)


def train_along(
    order: JobSpec, setup: SessionSpec, data: Mapping[str, Tensor], checkpoint: bytes, recruit: StartPeers
) -> None:
    """The part of a process that the first one has started anew, and not as a copy of itself: what that one
    has settled holds here as well. Never returns."""
    torch.set_num_threads(setup.threads)
    confine = partial(confinement.close, setup, False)
    team = join_group(recruit, setup.processes, setup.threads, _folder(order, setup), order.timeout, confine)
    seal(module_address(Path(setup.seed_path), order.digest).file)
    team.leave(run(order, setup, data, checkpoint, team.rank))


def _folder(order: JobSpec, setup: SessionSpec) -> Path:
    return Path(setup.scratch, "jobs", order.id)


def stored(order: JobSpec) -> bytes:
    """The checkpoint to go on from, to be read before the sandbox closes; one that is lost is b""."""
    try:
        return Path(order.checkpoint).read_bytes() if order.checkpoint else b""
    except OSError:
        return b""


def run(
    order: JobSpec, setup: SessionSpec, data: Mapping[str, Tensor], checkpoint: bytes = b"", rank: int = 0
) -> WorkerReport:
    """The report of `order`: what was found or trained, or the candidate's own error. Of several processes
    that train together, only that of `rank` 0 measures and answers."""
    address = module_address(Path(setup.seed_path), order.digest, setup.modules)
    if order.kind == "probe":
        return _probe(order, setup, address, lambda _: {})
    if order.kind == "again":
        return _probe(order, setup, address, lambda model: _costs(model, setup, data["validation"]))
    if order.kind == "size":
        return _sizes(order, setup, address)
    stage = Stage(order.epochs, checkpoint, order.keep, order.step_seconds, order.steps)
    return _train(order, setup, data, address, stage, rank)


def _probe(
    order: JobSpec,
    setup: SessionSpec,
    address: ModuleAddress,
    measure: Callable[[nn.Module], Mapping[str, float]],
) -> WorkerReport:
    findings = ProbeFindings()
    shape = TaskShape(setup.channels, setup.size, setup.classes)
    kind = ""
    started = _now()
    try:
        with covered_functions(address.file, findings.executed):
            probe(
                lambda: import_source(order.source.encode("latin-1"), address),
                lambda module: _build(module, setup.entry),
                lambda module: optimizer_of(module, setup.recipe["optimizer"]),
                shape,
                setup.recipe,
                setup.memory,
                findings,
                lambda model: findings.facts.update(measure(model)),
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
    return WorkerReport(
        stage=findings.stage, kind=kind, error=findings.error, facts=findings.facts, probe=plain
    )


def _sizes(order: JobSpec, setup: SessionSpec, address: ModuleAddress) -> WorkerReport:
    shape = TaskShape(setup.channels, setup.size, setup.classes)
    sources = [variant.encode("latin-1") for variant in order.variants]
    sizes = sizes_of(
        sources, address, lambda m: _build(m, setup.entry), shape, setup.memory, SHARE * order.timeout
    )
    return WorkerReport(probe={"sizes": sizes})


def _costs(model: nn.Module, setup: SessionSpec, pixels: Tensor) -> Mapping[str, float]:
    """Of answers to some of the images, with the threads of a training. A CPU's time tells no GPU's."""
    torch.set_num_threads(setup.threads)
    costs = costs_of(model, _images(pixels[:PREDICT_BATCH], setup), setup.classes)
    unknown = ("peak_memory", "latency") if setup.device == "cuda" else ("peak_memory",)
    return {name: cost for name, cost in costs.items() if name not in unknown}


def _train(
    order: JobSpec,
    setup: SessionSpec,
    data: Mapping[str, Tensor],
    address: ModuleAddress,
    part: Stage,
    rank: int,
) -> WorkerReport:
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
            Witness,
        )
        if rank:
            return WorkerReport()
        stage = "measure"
        facts.update(training.facts, train_seconds=training.seconds, steps=float(training.steps))
        facts.update(step_seconds=training.step_seconds)
        logits = training.logits.contiguous().numpy().tobytes()
        checkpoint = training.checkpoint if len(training.checkpoint) <= order.room else b""
        return WorkerReport(
            facts=finite(facts), curve=tuple(training.curve), logits=logits, checkpoint=checkpoint
        )
    except NotFinite as error:
        return WorkerReport(stage="train", kind="not finite", error=str(error))
    except Diverged as error:
        return WorkerReport(stage="train", kind="diverged", error=str(error))
    except TooSlow as error:
        return WorkerReport(stage="train", kind="too slow", error=str(error))
    except BaseException as error:  # SystemExit and KeyboardInterrupt of a candidate are its errors too
        return WorkerReport(stage=stage, kind=_kind(error), error=error_line(error, address.file))


def _kind(error: BaseException) -> str:
    text = str(error)
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)) or "allocate memory" in text:
        return "out of memory"
    lost = isinstance(error, OSError) and error.errno == errno.ENOSPC
    return "infrastructure" if lost or any(sign in text for sign in GPU_LOST) else "error"


def _build(module: ModuleType, entry: str) -> nn.Module:
    return eval(entry, vars(module))  # type: ignore[no-any-return]


def _lesson(order: JobSpec, setup: SessionSpec, data: Mapping[str, Tensor]) -> TrainingData:
    return TrainingData(
        train=_images(data["train"], setup),
        labels=data["labels"],
        held_out=_images(_held_out(order, data), setup),
        classes=setup.classes,
        mirror=setup.mirror,
    )


def _images(pixels: Tensor, setup: SessionSpec) -> Images:
    return Images(pixels, torch.tensor(setup.mean), torch.tensor(setup.std), setup.size)


def _held_out(order: JobSpec, data: Mapping[str, Tensor]) -> Tensor:
    both = order.split == "both"
    return torch.cat([data["validation"], data["test"]]) if both else data[order.split]
