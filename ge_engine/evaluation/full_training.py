"""One genome trained to the end, with checkpoints to go on from, and the weights that it ends with."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from ge_engine.contracts import Dataset, Probe, Split
from ge_engine.evaluation.checkpoints import room_for
from ge_engine.evaluation.costs import figures
from ge_engine.evaluation.exit_status import WorkerLost, failed_probe
from ge_engine.evaluation.protocol.messages import JobSpec, WorkerReport
from ge_engine.evaluation.train_evaluation import TrainEvaluation
from ge_engine.evaluation.weights import BadWeights, checked_weights, room_for_weights
from ge_engine.genome import Genome
from ge_engine.outcome import Failed, Outcome, Scored

ATTEMPTS = 3
CHECKPOINT_SECONDS = 60.0
"""Between two checkpoints, where an epoch takes less; what a kill costs."""
TOLD = frozenset(("loss", "accuracy", "lr"))
"""What a curve has of each epoch."""
Told = Callable[[str, Mapping[str, Any]], None]


@dataclass(frozen=True, slots=True)
class FullyTrained:
    """`weights` as safetensors; `score` by validation, with that by the test split as its detail "test"."""

    weights: bytes
    score: Scored


class FullTraining:
    """Trains `genome` for `epochs`, those of the evaluation's recipe. `told` gets the events "epochs" (epoch,
    epochs, loss, accuracy, lr, scored: by validation at that point), "retried" (attempt, reason) and
    "no_checkpoint" (its checkpoint is larger than one may be).

    The training pauses now and then for a checkpoint, from which another `run` goes on after a kill; on a CPU
    it ends as if there had been no break.
    """

    def __init__(
        self,
        evaluation: TrainEvaluation,
        genome: Genome,
        rng_seed: int,
        epochs: int,
        told: Told,
        checkpoint_seconds: float = CHECKPOINT_SECONDS,
    ) -> None:
        self._evaluation, self._genome, self._rng_seed = evaluation, genome, rng_seed
        self._epochs, self._told = epochs, told
        self._checkpoint_seconds = checkpoint_seconds

    def run(self) -> FullyTrained | Failed:
        """The trained weights, or how the training failed."""
        probe = self._probe()
        if isinstance(probe, Failed):
            return probe
        failed = self._to_the_last_checkpoint(probe)
        return failed or self._finish(probe)

    def _probe(self) -> Probe | Failed:
        try:
            probe = self._evaluation.probe(self._genome).result()
        except WorkerLost as error:
            return error.failed
        return failed_probe(probe) if probe.stage else probe

    def _to_the_last_checkpoint(self, probe: Probe) -> Failed | None:
        """Train from checkpoint to checkpoint while there is more to do than the next one is away."""
        done, length, begun_before = 0, 1, bool(self._checkpoint())
        while done + length < self._epochs:
            began, until = time.monotonic(), done + length
            report = self._trained(partial(self._spec, probe, epochs=until, keep=True))
            if isinstance(report, Failed):
                return report
            reached = len(report.curve)
            self._tell(report, self._scored(report, probe, "validation"))
            if not self._checkpoint():
                self._told("no_checkpoint", {})
                return None
            if reached < until:
                return None
            if not begun_before:
                length = self._epochs_between(time.monotonic() - began, reached - done)
            done, begun_before = reached, False
        return None

    def _epochs_between(self, seconds: float, epochs: int) -> int:
        """How many epochs lie between two checkpoints, where so many took so long."""
        return max(1, int(self._checkpoint_seconds * epochs / max(seconds, 1e-3)))

    def _finish(self, probe: Probe) -> FullyTrained | Failed:
        room = room_for_weights(probe.facts["size_on_disk"])
        report = self._trained(partial(self._spec, probe, split="both", weights=room))
        if isinstance(report, Failed):
            return report
        score = self._scored(report, probe, "both")
        if not isinstance(score, Scored):
            return score if isinstance(score, Failed) else Failed("score", "error", "it has no score")
        self._tell(report, score)
        try:
            return FullyTrained(checked_weights(report.weights), score)
        except BadWeights as error:
            return Failed("measure", "error", f"its weights cannot be had: {error}")

    def _spec(self, probe: Probe, **changes: Any) -> JobSpec:
        """A new job that goes on from the checkpoint."""
        spec = self._evaluation.job_spec("train", self._genome, rng_seed=self._rng_seed, **changes)
        room = room_for(probe.facts["size_on_disk"]) if spec.keep else 0
        layout = probe.facts["channels_last"]
        return replace(spec, room=room, checkpoint=self._checkpoint(), channels_last=layout)

    def _checkpoint(self) -> str:
        """The path of the file to go on from; "" where there is none."""
        known = self._evaluation.checkpoints.latest(self._genome.digest, self._rng_seed)
        return str(known.resolve()) if known else ""

    def _trained(self, job: Callable[[], JobSpec], attempt: int = 1) -> WorkerReport | Failed:
        """What a part of the training came to; tried again where the fault is not the candidate's."""
        spec = job()
        report = self._evaluation.read_report(self._evaluation.executor.submit(spec).result(), spec)
        if not isinstance(report, Failed):
            return self._taken(report, spec)
        if report.fault == "candidate" or attempt == ATTEMPTS:
            return report
        self._told("retried", {"attempt": attempt, "reason": report.reason})
        return self._trained(job, attempt + 1)

    def _taken(self, report: WorkerReport, spec: JobSpec) -> WorkerReport | Failed:
        """A report whose checkpoint is kept, or the failure that it tells."""
        if report.stage:
            return Failed(report.stage, report.kind, report.error)
        if not report.curve or not report.curve[-1].keys() >= TOLD:
            return Failed("train", "crash", "its report tells no curve")
        if report.checkpoint:
            self._evaluation.checkpoints.put(spec.digest, spec.rng_seed, report.checkpoint)
        return report

    def _scored(self, report: WorkerReport, probe: Probe, split: str) -> Outcome:
        return self._evaluation.scorer.outcome(report, split, figures(probe.facts, report.facts))

    def _tell(self, report: WorkerReport, score: Outcome) -> None:
        scored = dict(score.objectives) if isinstance(score, Scored) else {}
        last = {**report.curve[-1], "epoch": len(report.curve)}
        self._told("epochs", {**last, "epochs": self._epochs, "scored": scored})


def with_validation(data: Dataset) -> Dataset:
    """`data` whose validation images are trained on as well."""
    import torch

    parts = data.train, data.validation
    images, labels = (torch.cat([getattr(one, name) for one in parts]) for name in ("images", "labels"))
    return replace(data, train=Split(images, labels))
