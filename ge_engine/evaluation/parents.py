"""Trained weights that the trainings of children begin with."""

from __future__ import annotations

import sys
from collections.abc import Collection
from pathlib import Path

from ge_engine.atomic_file import write_whole
from ge_engine.contracts import Job
from ge_engine.errors import ConfigError
from ge_engine.evaluation.protocol.messages import CHECKPOINT_LIMIT
from ge_engine.evaluation.weights import SUFFIX, BadWeights, checked_weights

FOLDER = "parents"
"""In a run's scratch folder."""
ALL = 8 * 2**30
"""Bytes of the weights of all that may become parents."""


def room_of_each(elites: int, population: int) -> int:
    """The most bytes of one file, so that those of all that may become parents take no more than `ALL`: the
    seed model, the elites, the children of a generation and those of the next one. Which weights are kept
    follows from themselves and the run's settings, never from the order in which trainings end."""
    return min(CHECKPOINT_LIMIT, ALL // (1 + elites + 2 * population))


class ParentWeights:
    """Files in one folder, one for each genome, of at most `room` bytes (0: none are kept).

    They are written before the score is, so that whoever can become a parent has its file. A child whose
    parent has none, or one that is damaged, is trained from scratch, and its score says so.
    """

    def __init__(self, folder: Path, room: int, random_seed: int) -> None:
        self._folder = folder
        self._random_seed = random_seed
        self.room = room

    def wants(self, job: Job) -> bool:
        """Whether the weights that `job` ends with are kept: those behind the run's own score."""
        own = job.split == "validation" and not job.epochs and job.rng_seed == self._random_seed
        return self.room > 0 and own

    def path(self, digest: str) -> str:
        """The file of a genome's weights; "" where there is none."""
        path = self._folder / f"{digest}{SUFFIX}"
        return str(path.resolve()) if path.is_file() and not path.is_symlink() else ""

    def put(self, key: str, digest: str, data: bytes) -> None:
        """Keep the weights of a genome, a worker's word. What stands against that is said on standard error,
        where `key` names the individual."""
        path = self._folder / f"{digest}{SUFFIX}"
        try:
            path.unlink(missing_ok=True)
            if len(data) > self.room:
                raise BadWeights(f"they take more than {self.room / 2**20:.0f} MiB")
            self._folder.mkdir(parents=True, exist_ok=True)
            write_whole(path, checked_weights(data), "")
        except (BadWeights, ConfigError, OSError) as error:
            print(
                f"The weights of {key} are not kept, and its children begin from scratch: "
                f"{str(error).rstrip('.')}.",
                file=sys.stderr,
            )

    def keep(self, digests: Collection[str]) -> None:
        """Delete all others."""
        for path in self._folder.glob(f"*{SUFFIX}"):
            if path.name.removesuffix(SUFFIX) not in digests:
                path.unlink(missing_ok=True)
