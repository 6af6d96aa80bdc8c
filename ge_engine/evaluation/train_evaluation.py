"""Probe and score genomes of one seed model by training them. The labels stay here; workers send logits.

Each genome becomes a `JobSpec` for an executor. `exit_status` says whose fault it was that a worker ended
without a report, and `scores` turns logits and figures into an outcome.
"""

from __future__ import annotations

import math
import secrets
import sys
import time
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import Any

from ge_engine.agents.own_memory import hide_memory
from ge_engine.config import RunConfig
from ge_engine.contracts import Dataset, Evaluation, Job, Objective, Probe, Size
from ge_engine.entry import signature_of
from ge_engine.errors import GeError, SeedError
from ge_engine.evaluation.checkpoints import Checkpoints, room_for
from ge_engine.evaluation.constraints import Feasibility, parse_constraints
from ge_engine.evaluation.costs import figures, within
from ge_engine.evaluation.description import data_line, described, remarks_on
from ge_engine.evaluation.devices import placement_of
from ge_engine.evaluation.elsewhere import running_elsewhere, sentence
from ge_engine.evaluation.executor import ExecutorFactory, JobExecutor, WorkerExit
from ge_engine.evaluation.exit_status import Kills, WorkerLost, failed_probe, probe_of, report_of, sizes_in
from ge_engine.evaluation.fork_server.client import ForkServerExecutor
from ge_engine.evaluation.futures import all_of, finished, then
from ge_engine.evaluation.machine_health import MachineHealth, machine_health
from ge_engine.evaluation.model_code import model_code
from ge_engine.evaluation.probe.findings import TaskShape
from ge_engine.evaluation.protocol.messages import REPORT_LIMIT, JobSpec, WorkerReport
from ge_engine.evaluation.sandbox.removal import remove_tree
from ge_engine.evaluation.scores import Scorer, labels_of, outcome_on
from ge_engine.evaluation.seed_check import require_usable
from ge_engine.evaluation.setup import preprocessing_of, set_up
from ge_engine.evaluation.trained_weights import TrainedWeights, trained_weights
from ge_engine.evaluation.unopened import require_opened
from ge_engine.genome import Genome
from ge_engine.outcome import Failed, Outcome

PROBE_SECONDS, PROBE_SLOWDOWN = 5.0, 20.0
SIZING_SECONDS, SIZING_PATIENCE = 150.0, 5.0
"""Seconds that the sizes of variants may take, and how many times the timeout of a training at most."""
SIZED_TOGETHER = 24
"""Variants that one process builds: one that ends it takes no others' sizes along."""


@contextmanager
def open_training(
    seed: Genome,
    config: RunConfig,
    objectives: Sequence[Objective],
    scratch: Path,
    data: Dataset,
    executor: ExecutorFactory = ForkServerExecutor,
    private: Sequence[Path] = (),
) -> Iterator[TrainEvaluation]:
    """An evaluation that trains genomes on `data`; its jobs run where `executor` runs them, and end with it.
    No candidate reads what is `private`, besides the data and runs beside this one.

    Raises:
        SeedError: the seed model does not build, run or train; the message holds its own error.
        ConfigError: the task cannot be used with these training settings.
    """
    session, arrays = set_up(seed, config, data, scratch, private)
    labels = labels_of(data)
    placement = placement_of(config)
    limit = REPORT_LIMIT + 4 * len(data.names) * len(labels["both"])
    hide_memory(True)
    jobs = executor(session, arrays, placement.slots, placement.devices, limit)
    try:
        feasibility = parse_constraints(config.constraints, [one.name for one in objectives])
        evaluation = TrainEvaluation(
            jobs,
            Scorer(tuple(objectives), labels, len(data.names), feasibility),
            Checkpoints(scratch / "checkpoints"),
            trained_weights(scratch, config, preprocessing_of(session, data), model_code(session)),
            machine_health(scratch, session.device, session.processes),
            timeout=config.timeout,
            max_slowdown=config.max_slowdown,
            memory=session.memory,
            image=f"{session.channels}x{session.size}x{session.size}",
            entry=session.entry,
            proxies=config.screen > 1,
            batch=TaskShape(session.channels, session.size, session.classes).batch,
            description=described(session, config.recipe),
            data=data_line(session),
            remarks=remarks_on(session, config.recipe),
        )
        evaluation.admit(seed)
        if found := running_elsewhere(evaluation.probe(seed).result().modules, session.modules):
            print(sentence(found), file=sys.stderr)
        yield evaluation
    finally:
        jobs.close()
        hide_memory(False)
        remove_tree(scratch / "jobs")


@dataclass
class TrainEvaluation(Evaluation):
    """Implements `contracts.Evaluation` on top of an executor. `timeout` is seconds per job, `memory` bytes;
    no training step may take `max_slowdown` times as long as the seed model's (0: no limit). `image` is the
    shape of the task's images, such as "3x32x32", `entry` what builds the seed model, and `batch` the images
    of a probe, which computes `proxies` where children are chosen by them."""

    measures_sizes = True
    executor: JobExecutor
    scorer: Scorer
    checkpoints: Checkpoints
    weights: TrainedWeights
    health: MachineHealth
    timeout: float
    max_slowdown: float
    memory: int
    image: str
    entry: str
    batch: int = 0
    proxies: bool = False
    description: str = ""
    data: str = ""
    remarks: Sequence[str] = ()
    _kills: Kills = field(default_factory=Kills)
    _seed_step: float = 0.0
    _seed_digest: str = ""
    _probe_timeout: float = math.inf
    _probes: dict[str, Probe] = field(default_factory=dict)

    def admit(self, seed: Genome) -> None:
        """Probe the seed model, and time its steps where the others' are held to them.

        Raises:
            SeedError: it does not go through one training step, or takes nothing of one of its files.
            GeError: what runs it was lost.
        """
        try:
            probe = self.probe(seed).result()
        except WorkerLost as error:
            reason = f"The seed model could not be tried, for no fault of its own: {error}."
            raise GeError(reason, "Try again; `ge doctor` says what this machine has.") from error
        signature = signature_of(seed, self.entry)
        require_usable(probe, self.scorer.classes, self.image, self.entry, self.batch, signature)
        require_opened(seed, probe)
        self._probe_timeout = max(PROBE_SECONDS, PROBE_SLOWDOWN * probe.facts.get("probe_seconds", 0.0))
        self._seed_digest = seed.digest
        if self.max_slowdown:
            self._time_steps(seed, probe)

    def _time_steps(self, seed: Genome, probe: Probe) -> None:
        from ge_engine.evaluation.train.step_timer import GROUP_STEPS  # late: it imports torch

        spec = self.job_spec("train", seed, steps=GROUP_STEPS, channels_last=probe.facts["channels_last"])
        report = self.read_report(self.executor.submit(spec).result(), spec)
        if isinstance(report, Failed) or report.stage:
            reason = report.reason if isinstance(report, Failed) else report.error
            raise SeedError(f"The seed model does not train: {reason}.", "Fix the file and try again.")
        self._seed_step = report.facts["step_seconds"]

    def discard(self, genome: Genome) -> None:
        """Delete what a training of the genome by rungs has left."""
        self.checkpoints.discard(genome.digest)

    def keep_parents(self, digests: Collection[str]) -> None:
        """Delete all other weights that children would have begun with."""
        self.weights.parents.keep(digests)

    def probe(self, genome: Genome) -> Future[Probe]:
        """Build the genome's model and run one step. The future raises `WorkerLost` where the fault is not
        the candidate's; trying again may help."""

        def delivered(probe: Probe | Failed) -> Probe:
            if isinstance(probe, Failed):
                raise WorkerLost(probe)
            return probe

        return then(self._submit_probe(genome), delivered)

    def _submit_probe(self, genome: Genome) -> Future[Probe | Failed]:
        def finish(ended: WorkerExit) -> Probe | Failed:
            probe = self._read_probe(ended, spec)
            if isinstance(probe, Probe):
                self._probes[genome.digest] = probe
            return probe

        if genome.digest in self._probes:
            return finished(self._probes[genome.digest])
        timeout = min(self.timeout, self._probe_timeout)
        spec = self.job_spec("probe", genome, timeout=timeout, proxies=self.proxies)
        return then(self.executor.submit(spec), finish)

    def at_once(self) -> int:
        return self.executor.at_once()

    def sizes(self, genomes: Sequence[Genome]) -> Future[tuple[Size | None, ...]]:
        """Build each network in an isolated worker, a few in each, and run a batch through it, without
        training."""
        parts = [genomes[at : at + SIZED_TOGETHER] for at in range(0, len(genomes), SIZED_TOGETHER)]
        return then(all_of(list(map(self._sizes, parts))), lambda sizes: tuple(chain(*sizes)))

    def _sizes(self, genomes: Sequence[Genome]) -> Future[tuple[Size | None, ...]]:
        variants = tuple(map(_sources, genomes))
        seconds = min(SIZING_SECONDS, SIZING_PATIENCE * self.timeout)
        spec = self.job_spec("size", genomes[0], sources={}, variants=variants, timeout=seconds)
        return then(
            self.executor.submit(spec),
            lambda ended: sizes_in(report_of(ended, spec, Kills()), len(variants)),
        )

    def submit(self, job: Job) -> Future[Outcome]:
        """Train and score. A genome that was not probed here is probed first: its figures are needed."""
        return then(self._submit_probe(job.genome), lambda probe: self._measure_and_train(job, probe))

    def _measure_and_train(self, job: Job, probe: Probe | Failed) -> Future[Outcome]:
        """A finalist's figures are measured once more, in a process that does not train it."""
        if isinstance(probe, Failed) or probe.stage or job.split == "validation":
            return self._submit_training(job, probe)
        spec = self.job_spec("again", job.genome)

        def train_with_larger_costs(ended: WorkerExit) -> Future[Outcome]:
            again = self._read_probe(ended, spec)
            if isinstance(again, Probe) and not again.stage:
                again = replace(probe, facts=figures(probe.facts, again.facts))
            return self._submit_training(job, again)

        return then(self.executor.submit(spec), train_with_larger_costs)

    def _submit_training(self, job: Job, probe: Probe | Failed) -> Future[Outcome]:
        if isinstance(probe, Failed):
            return finished(probe)
        if probe.stage:
            return finished(failed_probe(probe))
        broken = self.scorer.feasibility.broken_before(probe.facts)
        if broken is not None:
            return finished(broken)
        spec = self.job_spec("train", job.genome, rng_seed=job.rng_seed, split=job.split)
        spec = replace(spec, channels_last=probe.facts["channels_last"])
        if job.split == "validation":
            spec = self._for_rung(spec, job, probe)
        spec = self.weights.asked_of(spec, job, probe.facts["size_on_disk"])
        return then(self.executor.submit(spec), lambda ended: self._take_training(ended, spec, job, probe))

    def _for_rung(self, spec: JobSpec, job: Job, probe: Probe) -> JobSpec:
        """Train as far as the job asks, from where an earlier one stopped, and no slower than allowed."""
        known = self.checkpoints.latest(spec.digest, job.rng_seed)
        slowest = self.max_slowdown * self._seed_step if spec.digest != self._seed_digest else 0.0
        return replace(
            spec,
            epochs=job.epochs,
            keep=job.epochs > 0,
            checkpoint=str(known.resolve()) if known else "",
            room=room_for(probe.facts["size_on_disk"]) if job.epochs else 0,
            step_seconds=slowest,
        )

    def job_spec(self, kind: str, genome: Genome, **changes: Any) -> JobSpec:
        """A new job on the validation split, with the fields of JobSpec in `changes`."""
        spec = JobSpec(
            **_fresh(),
            kind=kind,
            sources=_sources(genome),
            digest=genome.digest,
            rng_seed=0,
            split="validation",
            timeout=self.timeout,
        )
        return replace(spec, **changes)

    def _take_training(self, ended: WorkerExit, spec: JobSpec, job: Job, probe: Probe) -> Future[Outcome]:
        report = self.read_report(ended, spec)
        if isinstance(report, Failed):
            return finished(report)
        if report.kind == "out of memory" and ended.shared:
            return self._train_alone(spec, job, probe)
        return finished(outcome_on(ended, self._read_training(report, spec, job, probe)))

    def _read_training(self, report: WorkerReport, spec: JobSpec, job: Job, probe: Probe) -> Outcome:
        if report.stage:
            return Failed(report.stage, report.kind, self._explained(report))
        if report.checkpoint:
            self.checkpoints.put(spec.digest, spec.rng_seed, report.checkpoint)
        if spec.weights:
            self.weights.put(job, report.weights)
        scorer = replace(self.scorer, feasibility=Feasibility()) if job.is_rung else self.scorer
        return scorer.outcome(report, spec.split, figures(probe.facts, report.facts))

    def _train_alone(self, spec: JobSpec, job: Job, probe: Probe) -> Future[Outcome]:
        """Once more with a GPU to itself: whose need was too much cannot be told while others train on it."""
        again = replace(spec, **_fresh(), alone=True)
        return then(self.executor.submit(again), lambda ended: self._take_training(ended, again, job, probe))

    def _read_probe(self, ended: WorkerExit, spec: JobSpec) -> Probe | Failed:
        try:
            return within(probe_of(self.read_report(ended, spec)), self.memory)
        except WorkerLost as error:
            return error.failed

    def read_report(self, ended: WorkerExit, spec: JobSpec) -> WorkerReport | Failed:
        """What a worker told of the job `spec`, or how it failed to."""
        return report_of(ended, spec, self._kills, self.health)

    def _explained(self, report: WorkerReport) -> str:
        if report.kind != "too slow":
            return report.error
        seed = f"{1000 * self._seed_step:.3g} ms"
        return (
            f"{report.error}; the seed model's takes {seed}, and {self.max_slowdown:g} times that is allowed"
        )


def _fresh() -> dict[str, Any]:
    """What no two jobs share."""
    return {"id": secrets.token_hex(8), "token": secrets.token_hex(16), "sent": time.monotonic()}


def _sources(genome: Genome) -> dict[str, str]:
    """The bytes of each file as a text."""
    return {name: source.decode("latin-1") for name, source in genome.sources.items()}
