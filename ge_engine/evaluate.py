"""Probe and score genomes of one seed. The labels stay here; workers send logits.

The engine hands orders to an executor and turns each ending into a value: `endings.py` says whose fault
it was, objectives turn logits and figures into scores.
"""

from __future__ import annotations

import math
import secrets
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ge_engine.config import RunConfig
from ge_engine.contracts import Dataset, Evaluation, Job, Measurement, Objective, Probe, Size
from ge_engine.errors import ConfigError, SeedError
from ge_engine.genome import Genome
from ge_engine.outcome import Failed, Outcome, Scored
from ge_engine.training import limits
from ge_engine.training.admitting import require_usable
from ge_engine.training.checkpoints import Checkpoints, room_for
from ge_engine.training.constraints import Constraint, parse_constraints
from ge_engine.training.devices import layout_of
from ge_engine.training.endings import Kills, WorkerLost, failed_probe, probe_of, report_of, sizes_in
from ge_engine.training.executor import Ending, Executor, NurseryExecutor
from ge_engine.training.figures import figures, within
from ge_engine.training.futures import chained, finished, forward
from ge_engine.training.orders import REPORT_LIMIT, Order, Report
from ge_engine.training.pace import PACE_STEPS
from ge_engine.training.preparing import prepare
from ge_engine.training.removal import remove_tree
from ge_engine.training.surroundings import Surroundings, surroundings_of

PROBE_SECONDS, PROBE_SLOWDOWN = 5.0, 20.0
SIZING_SECONDS = 30.0


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
    layout = layout_of(config)
    labels["both"] = np.concatenate([labels["validation"], labels["test"]])
    limit = REPORT_LIMIT + 4 * len(data.names) * len(labels["both"])
    limits.hide_memory(True)
    executor = NurseryExecutor(setup, arrays, layout.slots, layout.devices, limit)
    try:
        constraint = parse_constraints(config.constraints, [one.name for one in objectives])
        checkpoints = Checkpoints(scratch / "checkpoints")
        evaluation = TrainEvaluation(
            executor,
            objectives,
            labels,
            len(data.names),
            config.timeout,
            constraint,
            checkpoints,
            config.max_slowdown,
            f"{setup.channels}x{setup.size}x{setup.size}",
            surroundings_of(scratch, setup.device),
            setup.memory,
        )
        evaluation.admit(seed)
        yield evaluation
    finally:
        executor.close()
        limits.hide_memory(False)
        remove_tree(scratch / "jobs")


class TrainEvaluation(Evaluation):
    """Implements `contracts.Evaluation` on top of an executor."""

    measures_sizes = True

    def __init__(
        self,
        executor: Executor,
        objectives: Sequence[Objective],
        labels: Mapping[str, np.ndarray[Any, Any]],
        classes: int,
        timeout: float,
        constraint: Constraint,
        checkpoints: Checkpoints,
        max_slowdown: float,
        image: str,
        surroundings: Surroundings,
        memory: int,
    ) -> None:
        self._executor = executor
        self._objectives = tuple(objectives)
        self._labels = labels
        self._classes = classes
        self._timeout = timeout
        self._constraint = constraint
        self._checkpoints = checkpoints
        self._slowdown = max_slowdown
        self._image = image
        self._surroundings = surroundings
        self._memory = memory
        self._kills = Kills()
        self._seed_step = 0.0
        self._seed_digest = ""
        self._probe_timeout = timeout
        self._probes: dict[str, Probe] = {}

    def admit(self, seed: Genome) -> None:
        """Probe the seed, and time its steps where the others' are held to them.

        Raises:
            SeedError: it does not go through one training step.
        """
        probe = self.probe(seed).result()
        require_usable(probe, self._classes, self._image)
        self._probe_timeout = min(
            self._timeout, max(PROBE_SECONDS, PROBE_SLOWDOWN * probe.facts.get("probe_seconds", 0.0))
        )
        self._seed_digest = seed.digest
        if self._slowdown:
            self._time_steps(seed)

    def _time_steps(self, seed: Genome) -> None:
        order = replace(self._order("train", seed, 0, "validation", self._timeout), steps=PACE_STEPS)
        report = self._report(self._executor.submit(order).result(), order)
        if isinstance(report, Failed) or report.stage:
            reason = report.reason if isinstance(report, Failed) else report.error
            raise SeedError(f"The seed does not train: {reason}.", "Mend the file and try again.")
        self._seed_step = report.facts["step_seconds"]

    def discard(self, genome: Genome) -> None:
        """Delete what a training of the genome in stages has left."""
        self._checkpoints.discard(genome.digest)

    def probe(self, genome: Genome) -> Future[Probe]:
        """Build the genome's model and run one step. The future raises `WorkerLost` where the fault is not
        the candidate's; trying again may help."""

        def finish(ending: Ending) -> Probe:
            probe = within(probe_of(self._report(ending, order)), self._memory)
            self._probes[genome.digest] = probe
            return probe

        known = self._probes.get(genome.digest)
        if known is not None:
            return finished(known)
        order = self._order("probe", genome, 0, "validation", self._probe_timeout)
        return chained(self._executor.submit(order), finish)

    def sizes(self, genomes: Sequence[Genome]) -> Future[tuple[Size | None, ...]]:
        """Build each network in one isolated worker and run a batch through it, without training."""
        if not genomes:
            return finished(())
        variants = tuple(genome.source.decode("latin-1") for genome in genomes)
        timeout = min(SIZING_SECONDS, self._timeout)
        order = replace(
            self._order("size", genomes[0], 0, "validation", timeout), source="", variants=variants
        )
        return chained(
            self._executor.submit(order),
            lambda ending: sizes_in(report_of(ending, order, Kills()), len(variants)),
        )

    def submit(self, job: Job) -> Future[Outcome]:
        """Train and score. A genome that was not probed here is probed first: its figures are needed."""
        known = self._probes.get(job.genome.digest)
        if known is not None:
            return self._go_on(job, known)
        return _after(self.probe(job.genome), lambda probe: self._go_on(job, probe))

    def _go_on(self, job: Job, probe: Probe) -> Future[Outcome]:
        """A finalist's figures are measured once more, in a process that does not train it."""
        if job.split == "validation" or probe.stage:
            return self._train(job, probe)
        order = self._order("again", job.genome, 0, "validation", self._timeout)

        def sterner(ending: Ending) -> Probe:
            again = within(probe_of(self._report(ending, order)), self._memory)
            return again if again.stage else replace(probe, facts=figures(probe.facts, again.facts))

        measured = chained(self._executor.submit(order), sterner)
        return _after(measured, lambda again: self._train(job, again))

    def _train(self, job: Job, probe: Probe) -> Future[Outcome]:
        if probe.stage:
            return finished(failed_probe(probe))
        broken = self._constraint.broken_before(probe.facts)
        if broken is not None:
            return finished(broken)
        order = self._order("train", job.genome, job.rng_seed, job.split, self._timeout)
        if job.split == "validation":
            order = self._staged(order, job, probe)
        return chained(self._executor.submit(order), lambda ending: self._outcome(ending, order, probe))

    def _staged(self, order: Order, job: Job, probe: Probe) -> Order:
        """Train as far as the job asks, from where an earlier one stopped, and no slower than allowed."""
        known = self._checkpoints.latest(order.digest, job.rng_seed)
        slowest = self._slowdown * self._seed_step if order.digest != self._seed_digest else 0.0
        return replace(
            order,
            epochs=job.epochs,
            keep=job.epochs > 0,
            checkpoint=str(known.resolve()) if known else "",
            room=room_for(probe.facts["size_on_disk"]) if job.epochs else 0,
            step_seconds=slowest,
        )

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
        report = self._report(ending, order)
        if isinstance(report, Failed):
            return report
        if report.stage:
            return Failed(report.stage, report.kind, self._explained(report))
        if report.checkpoint:
            self._checkpoints.put(order.digest, order.rng_seed, report.checkpoint)
        labels = self._labels[order.split]
        wanted = labels.size * self._classes
        if len(report.logits) != 4 * wanted:
            answered = f"it answered with {len(report.logits) / 4:g} numbers"
            return Failed("predict", "error", f"{answered}; {labels.size} x {self._classes} are wanted")
        logits = np.frombuffer(report.logits, np.float32).reshape(labels.size, self._classes)
        wrong = int((~np.isfinite(logits).all(axis=1)).sum())
        if wrong:
            return Failed("predict", "not finite", f"{wrong} of {labels.size} answers are NaN or infinite")
        facts = figures(probe.facts, report.facts)
        if order.split != "both":
            return self._score(Measurement(logits, labels, facts), report)
        first = len(self._labels["validation"])
        outcome = self._score(Measurement(logits[:first], labels[:first], facts), report)
        tested = self._score(Measurement(logits[first:], labels[first:], facts), report)
        if isinstance(outcome, Scored) and isinstance(tested, Scored):
            return Scored(outcome.objectives, {**outcome.details, "test": dict(tested.objectives)})
        return tested if isinstance(outcome, Scored) else outcome

    def _report(self, ending: Ending, order: Order) -> Report | Failed:
        return report_of(ending, order, self._kills, self._surroundings)

    def _explained(self, report: Report) -> str:
        if report.kind != "too slow":
            return report.error
        seed = f"{1000 * self._seed_step:.3g} ms"
        return f"{report.error}; the seed's takes {seed}, and {self._slowdown:g} times that is allowed"

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
        broken = self._constraint.broken_after({**measurement.facts, **scores})
        if broken is not None:
            return broken
        finite = {name: value for name, value in measurement.facts.items() if math.isfinite(value)}
        return Scored(scores, {"curve": [dict(point) for point in report.curve], "facts": finite})


def _after(probed: Future[Probe], go_on: Callable[[Probe], Future[Outcome]]) -> Future[Outcome]:
    """What `go_on` makes of a probe to come."""
    outcome: Future[Outcome] = Future()

    def begin(ended: Future[Probe]) -> None:
        if not outcome.set_running_or_notify_cancel():
            return
        try:
            forward(go_on(ended.result()), outcome)
        except WorkerLost as error:
            outcome.set_result(error.failed)
        except BaseException as error:
            outcome.set_exception(error)

    probed.add_done_callback(begin)
    return outcome


def task_name(task: str) -> tuple[str, str]:
    """Split "NAME:ARGUMENT". Raises ConfigError when the name is empty."""
    name, _, argument = task.partition(":")
    if not name:
        raise ConfigError(f"The task {task!r} has no name.", "Give --task NAME or NAME:ARGUMENT.")
    return name, argument
