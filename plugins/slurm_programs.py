"""SLURM's programs: sbatch, squeue and scancel, with bounded patience."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from ge_engine.errors import GeError

PROGRAMS = ("sbatch", "squeue", "scancel")
SECONDS = 30.0
"""What one of them may take."""
ENDED = {
    *("BOOT_FAIL", "CANCELLED", "COMPLETED", "COMPLETING", "DEADLINE", "FAILED", "NODE_FAIL"),
    *("OUT_OF_MEMORY", "PREEMPTED", "REVOKED", "TIMEOUT"),
}
"""States of jobs that use their node no more."""
KEPT = ("SLURM_CONF", "SLURM_CLUSTERS")
"""Of the variables of SLURM those that say which cluster; the others are of a job that the engine runs in."""
_PASSING = re.compile(r"unable to contact|timed out|connection refused|try again|temporarily|socket", re.I)
_SECRET = re.compile(r"KEY|TOKEN|SECRET|PASSW|CREDENTIAL", re.I)
_WHO = re.compile(r"^\w+: (?:error: |fatal: )?")


class Unreachable(Exception):
    """The controller does not answer now; what was asked may have been done."""


class Refused(Exception):
    """SLURM says no, in its own words."""


@dataclass(frozen=True, slots=True)
class SlurmJob:
    """A job as squeue tells it. `node` is "" while it waits, for what `reason` says."""

    id: str
    state: str
    reason: str
    node: str
    name: str

    @property
    def ended(self) -> bool:
        return self.state in ENDED

    @property
    def waits(self) -> bool:
        return self.state == "PENDING"


class Slurm:
    """The cluster, asked by its own programs. Each raises Unreachable, or GeError where a program is gone."""

    def jobs(self) -> list[SlurmJob]:
        """All jobs of this user that SLURM still knows of. Raises Refused."""
        fields = "--format=%i|%T|%r|%N|%j"
        told = _output(["squeue", "--noheader", "--states=all", f"--user={os.getuid()}", fields])
        rows = [line.split("|", 4) for line in told.splitlines()]
        return [SlurmJob(*row) for row in rows if len(row) == 5]

    def submit(self, options: Sequence[str], script: str) -> str:
        """The id of a new job. Raises Refused."""
        return _output(["sbatch", "--parsable", *options], script).strip().partition(";")[0]

    def cancel(self, jobs: Sequence[SlurmJob]) -> None:
        """End jobs, waiting and running ones; those that end by themselves meanwhile as well."""
        if jobs:
            with suppress(Refused):
                _output(["scancel", "--quiet", *(job.id for job in jobs)])


def _output(command: Sequence[str], script: str = "") -> str:
    try:
        done = subprocess.run(
            command, input=script, capture_output=True, text=True, errors="replace",
            timeout=SECONDS, check=False, env=_environment(os.environ),
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise Unreachable(f"{command[0]} took more than {SECONDS:g} seconds") from error
    except OSError as error:
        raise GeError(f"{command[0]} cannot be started: {error.strerror}.", "Is SLURM still here?") from error
    if done.returncode == 0:
        return done.stdout
    words = _words(done.stderr) or f"{command[0]} ended with status {done.returncode}"
    raise (Unreachable if _PASSING.search(words) else Refused)(words)


def _words(told: str) -> str:
    """What a program said on its standard error, without its name before each line."""
    lines = [_WHO.sub("", line.strip()) for line in told.splitlines()]
    return "; ".join(line.rstrip(".") for line in lines if line)


def _environment(ours: Mapping[str, str]) -> dict[str, str]:
    """What a job gets of our environment, which SLURM stores: nothing secret, nothing of another job."""
    return {
        name: value
        for name, value in ours.items()
        if name in KEPT or not (name.startswith("SLURM_") or _SECRET.search(name))
    }
