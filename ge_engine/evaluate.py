"""Probe and score genomes of one seed. The labels stay here; workers send logits.

The engine hands orders to an executor and turns each ending into a value: `endings.py` says whose fault
it was, objectives turn logits and figures into scores.
"""

from __future__ import annotations

import ast
import math
import os
import secrets
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ge_engine import limits
from ge_engine.blocks import Genome
from ge_engine.config import RunConfig
from ge_engine.contracts import Dataset, Job, Measurement, Objective, Probe, Split
from ge_engine.endings import WorkerLost, probe_of, report_of
from ge_engine.entry import resolve_entry
from ge_engine.errors import ConfigError, SeedError
from ge_engine.executor import Ending, Executor, NurseryExecutor
from ge_engine.loading import module_address
from ge_engine.orders import REPORT_LIMIT, Block, Order, Report, Setup
from ge_engine.outcome import Failed, Outcome, Scored

if TYPE_CHECKING:
    import torch

PROBE_SECONDS, PROBE_SLOWDOWN = 10.0, 20.0
_READABLE = "/usr /lib /lib64 /lib32 /bin /sbin /etc /proc /sys /opt /nix /run/nvidia-persistenced".split()


@contextmanager
def open_training(
    seed: Genome,
    config: RunConfig,
    objectives: Sequence[Objective],
    scratch: Path,
    data: Dataset,
) -> Iterator[TrainEvaluation]:
    """An evaluation that trains genomes on `data` in isolated processes; all of them end with it.

    Raises:
        SeedError: the seed does not build, run or train; the message holds its own error.
        ConfigError: the task cannot be used with this recipe.
    """
    setup, arrays = prepare(seed, config, data, scratch)
    labels = {name: getattr(data, name).labels.numpy().astype(np.int64) for name in ("validation", "test")}
    slots, gpus = slots_of(config)
    limit = REPORT_LIMIT + 4 * len(data.names) * max(len(values) for values in labels.values())
    limits.hide_memory(True)
    executor = NurseryExecutor(setup, arrays, slots, gpus, limit)
    try:
        evaluation = TrainEvaluation(executor, objectives, labels, len(data.names), config.timeout)
        evaluation.admit(seed)
        yield evaluation
    finally:
        executor.close()
        limits.hide_memory(False)
        shutil.rmtree(scratch / "jobs", ignore_errors=True)


class TrainEvaluation:
    """Implements `contracts.Evaluation` on top of an executor."""

    def __init__(
        self,
        executor: Executor,
        objectives: Sequence[Objective],
        labels: Mapping[str, np.ndarray[Any, Any]],
        classes: int,
        timeout: float,
    ) -> None:
        self._executor = executor
        self._objectives = tuple(objectives)
        self._labels = labels
        self._classes = classes
        self._timeout = timeout
        self._probe_timeout = timeout
        self._probes: dict[str, Probe] = {}

    def admit(self, seed: Genome) -> None:
        """Probe the seed.

        Raises:
            SeedError: it does not go through one training step.
        """
        probe = self.probe(seed).result()
        wanted = (probe.output_shape[:1] or (0,))[0], self._classes
        if probe.stage:
            raise SeedError(f"The seed stops at {probe.stage}: {probe.error}.", "Mend the file and try again.")
        if probe.output_shape != wanted:
            raise SeedError(
                f"The seed returns a tensor of shape {probe.output_shape}; the task wants {wanted}.",
                "Give the entry with the right number of classes: --entry 'Net(num_classes=10)'.",
            )
        if not probe.finite:
            raise SeedError("The seed returns NaN or infinity before any training.")
        self._probe_timeout = min(
            self._timeout, max(PROBE_SECONDS, PROBE_SLOWDOWN * probe.facts.get("probe_seconds", 0.0))
        )

    def probe(self, genome: Genome) -> Future[Probe]:
        """Build the genome's model and run one step. The future raises `WorkerLost` where the fault is not
        the candidate's; trying again may help."""

        def finish(ending: Ending) -> Probe:
            probe = probe_of(report_of(ending, order), self._probe_timeout)
            self._probes[genome.digest] = probe
            return probe

        order = self._order("probe", genome, 0, "validation", self._probe_timeout)
        return _chain(self._executor.submit(order), finish)

    def submit(self, job: Job) -> Future[Outcome]:
        """Train and score. A genome that was not probed here is probed first: its figures are needed."""
        known = self._probes.get(job.genome.digest)
        if known is not None:
            return self._train(job, known)
        outcome: Future[Outcome] = Future()

        def go_on(probed: Future[Probe]) -> None:
            if not outcome.set_running_or_notify_cancel():
                return
            try:
                _forward(self._train(job, probed.result()), outcome)
            except WorkerLost as error:
                outcome.set_result(error.failed)
            except BaseException as error:
                outcome.set_exception(error)

        self.probe(job.genome).add_done_callback(go_on)
        return outcome

    def _train(self, job: Job, probe: Probe) -> Future[Outcome]:
        if probe.stage:
            done: Future[Outcome] = Future()
            done.set_result(Failed(probe.stage, "error", probe.error))
            return done
        order = self._order("train", job.genome, job.rng_seed, job.split, self._timeout)
        return _chain(self._executor.submit(order), lambda ending: self._outcome(ending, order, probe))

    def _order(self, kind: str, genome: Genome, rng_seed: int, split: str, timeout: float) -> Order:
        return Order(
            id=secrets.token_hex(8),
            kind=kind,
            source=genome.source.decode("latin-1"),
            digest=genome.digest,
            rng_seed=rng_seed,
            split=split,
            timeout=timeout,
            token=secrets.token_hex(16),
            sent=time.monotonic(),
        )

    def _outcome(self, ending: Ending, order: Order, probe: Probe) -> Outcome:
        report = report_of(ending, order)
        if isinstance(report, Failed):
            return report
        if report.stage:
            return Failed(report.stage, report.kind, report.error)
        labels = self._labels[order.split]
        logits = np.frombuffer(report.logits, np.float32)
        if logits.size != labels.size * self._classes:
            wanted = f"{labels.size} x {self._classes}"
            return Failed("predict", "error", f"it answered with {logits.size} numbers; {wanted} are wanted")
        logits = logits.reshape(labels.size, self._classes)
        wrong = int((~np.isfinite(logits).all(axis=1)).sum())
        if wrong:
            return Failed("predict", "not finite", f"{wrong} of {labels.size} answers are NaN or infinite")
        facts = {**probe.facts, **report.facts}
        facts["parameters"] = max(probe.facts["parameters"], report.facts.get("registered", 0.0))
        return self._score(Measurement(logits, labels, facts), report)

    def _score(self, measurement: Measurement, report: Report) -> Outcome:
        scores: dict[str, float] = {}
        for objective in self._objectives:
            try:
                scores[objective.name] = value = float(objective.measure(measurement))
            except Exception as error:
                reason = f"the objective {objective.name!r} failed: {type(error).__name__}: {error}"
                return Failed("score", "error", reason, "engine")
            if not math.isfinite(value):
                return Failed("score", "not finite", f"the objective {objective.name!r} is {value}")
        finite = {name: value for name, value in measurement.facts.items() if math.isfinite(value)}
        return Scored(scores, {"curve": [dict(point) for point in report.curve], "facts": finite})


def prepare(seed: Genome, config: RunConfig, data: Dataset, scratch: Path) -> tuple[Setup, list[memoryview]]:
    """The setup of all jobs, and the arrays that go with it (images as (n, height, width, channels))."""
    scratch = scratch.resolve()
    shutil.rmtree(scratch / "jobs", ignore_errors=True)
    (scratch / "jobs").mkdir(parents=True)
    train = limited(data.train, config.recipe.train_limit, config.random_seed)
    channels, height = int(train.images.shape[1]), int(train.images.shape[2])
    size = config.recipe.image_size or height
    facts = {"num_classes": len(data.names), "in_channels": channels, "image_size": size}
    path = Path(seed.seed.path) if seed.seed.path else scratch / "seed.py"
    root = module_address(path, seed.digest).root
    slots, gpus = slots_of(config)
    mean, std = channel_statistics(train.images)
    arrays = {
        "train": rows_last_channels(train.images),
        "labels": train.labels.numpy().astype(np.int64),
        "validation": rows_last_channels(data.validation.images),
        "test": rows_last_channels(data.test.images),
    }
    setup = Setup(
        seed_path=str(path),
        entry=resolve_entry(seed, facts, config.entry),
        channels=channels,
        size=size,
        classes=len(data.names),
        mirror=data.mirror,
        mean=mean,
        std=std,
        recipe=asdict(config.recipe),
        threads=max(1, cores() // slots),
        memory=int(config.memory_gib * 2**30),
        device="cuda" if gpus else "cpu",
        sandbox="landlock" if limits.landlock_version() else "none",
        readable=readable_paths(root),
        preload=imports_to_preload(seed.source, Path(root)),
        scratch=str(scratch),
        blocks={name: Block(array.shape, str(array.dtype)) for name, array in arrays.items()},
    )
    return setup, [memoryview(np.ascontiguousarray(array)).cast("B") for array in arrays.values()]


def limited(split: Split, limit: int, rng_seed: int) -> Split:
    """At most `limit` images, drawn by `rng_seed`; 0 keeps all."""
    if not limit or limit >= len(split.labels):
        return split
    chosen = np.sort(np.random.default_rng(rng_seed).permutation(len(split.labels))[:limit])
    return Split(split.images[chosen], split.labels[chosen])


def rows_last_channels(images: torch.Tensor) -> np.ndarray[Any, Any]:
    """uint8 (n, c, h, w) to (n, h, w, c)."""
    return np.ascontiguousarray(images.numpy().transpose(0, 2, 3, 1))


def channel_statistics(images: torch.Tensor) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of each channel on the scale 0..255, at least 1, over all images."""
    counts = np.stack([np.bincount(channel.ravel(), minlength=256) for channel in images.numpy().swapaxes(0, 1)])
    values, total = np.arange(256.0), counts.sum(1)
    mean = counts @ values / total
    spread = np.sqrt(np.maximum(counts @ values**2 / total - mean**2, 1.0))
    return tuple(mean.tolist()), tuple(spread.tolist())


def slots_of(config: RunConfig) -> tuple[int, int]:
    """How many trainings run at once, and how many GPUs there are for them."""
    import torch

    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    return config.workers or gpus or cores(), gpus


def cores() -> int:
    """The processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def readable_paths(root: str) -> tuple[str, ...]:
    """What a candidate may read: the system, Python and its packages, the engine, the seed's folder."""
    own = find_spec("ge_engine")
    places = [*_READABLE, sys.prefix, sys.base_prefix, sys.exec_prefix, root, os.path.dirname(own.origin or "")]  # type: ignore[union-attr]
    places += [entry for entry in sys.path if entry.endswith(("site-packages", "dist-packages"))]
    places += os.environ.get("PYTHONPATH", "").split(os.pathsep)
    places += os.environ.get("LD_LIBRARY_PATH", "").split(os.pathsep)
    return tuple(dict.fromkeys(os.path.realpath(place) for place in places if place and os.path.exists(place)))


def imports_to_preload(source: bytes, root: Path) -> tuple[str, ...]:
    """Modules that the seed imports from outside its own folder, for the nursery to import once."""
    names: dict[str, None] = {}
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= dict.fromkeys(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.setdefault(node.module)
    heads = {name: name.partition(".")[0] for name in names}
    return tuple(n for n, head in heads.items() if not (root / head).exists() and not (root / f"{head}.py").exists())


def _chain(first: Future[Ending], finish: Callable[[Ending], Any]) -> Future[Any]:
    """A future of `finish(ending)`; cancelling it cancels the order while that is still queued."""
    result: Future[Any] = Future()

    def done(ended: Future[Ending]) -> None:
        if ended.cancelled():
            result.cancel()
            result.set_running_or_notify_cancel()
            return
        if not result.set_running_or_notify_cancel():
            return
        try:
            result.set_result(finish(ended.result()))
        except BaseException as error:
            result.set_exception(error)

    result.add_done_callback(lambda ended: first.cancel() if ended.cancelled() else None)
    first.add_done_callback(done)
    return result


def _forward(source: Future[Outcome], target: Future[Outcome]) -> None:
    def done(ended: Future[Outcome]) -> None:
        error = ended.exception()
        if error is not None:
            target.set_exception(error)
        else:
            target.set_result(ended.result())

    source.add_done_callback(done)


def task_name(task: str) -> tuple[str, str]:
    """Split "NAME:ARGUMENT". Raises ConfigError when the name is empty."""
    name, _, argument = task.partition(":")
    if not name:
        raise ConfigError(f"The task {task!r} has no name.", "Give --task NAME or NAME:ARGUMENT.")
    return name, argument
