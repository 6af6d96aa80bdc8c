"""Which trained weights a job begins with, and where those go that it ends with."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from ge_engine.config import RunConfig
from ge_engine.contracts import Job
from ge_engine.evaluation import parents
from ge_engine.evaluation.model_code import ModelCode
from ge_engine.evaluation.parents import ParentWeights, room_of_each
from ge_engine.evaluation.protocol.messages import JobSpec
from ge_engine.evaluation.weights import FOLDER, KeptWeights, Preprocessing, room_for_weights


@dataclass(frozen=True, slots=True)
class TrainedWeights:
    """`kept` are for people, `parents` for the trainings of children."""

    kept: KeptWeights
    parents: ParentWeights

    def asked_of(self, spec: JobSpec, job: Job, size_on_disk: float) -> JobSpec:
        """`spec` with the weights that it begins with, and room for those that it ends with."""
        wanted = self.kept.wants(job) or self.parents.wants(job)
        return replace(
            spec,
            inherits=bool(job.parent),
            parent=self.parents.path(job.parent) if job.parent else "",
            weights=room_for_weights(size_on_disk) if wanted else 0,
        )

    def put(self, job: Job, data: bytes) -> None:
        """Keep what `job` ended with where it is wanted."""
        for store in (self.kept, self.parents):
            if store.wants(job):
                store.put(job.key, job.genome.digest, data)


def trained_weights(
    scratch: Path, config: RunConfig, preprocessing: Preprocessing, code: ModelCode
) -> TrainedWeights:
    """Those of a run with this `config`, in its `scratch` folder."""
    room = room_of_each(config.elites, config.population) if config.inherit else 0
    return TrainedWeights(
        KeptWeights(scratch / FOLDER, config.keep_weights, config.random_seed, preprocessing, code),
        ParentWeights(scratch / parents.FOLDER, room, config.random_seed),
    )
