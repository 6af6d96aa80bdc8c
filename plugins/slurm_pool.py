"""The agents of one run as SLURM jobs: found by their name, submitted where they are missing, cancelled."""

from __future__ import annotations

import hashlib
import shlex
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ge_engine.contracts import AgentOrder, AgentPool, PoolState
from ge_engine.errors import GeError
from ge_plugins.slurm_programs import Refused, Slurm, SlurmJob, Unreachable

LOOK_SECONDS = 5.0
"""Between two looks at the queue."""
GRACE, GLANCE = 10.0, 0.5
"""Seconds that agents have to end by themselves, and between looks at whether they have."""


@dataclass(frozen=True, slots=True)
class Agents:
    """How many, what sbatch gets for each, and the nodes that none may run on, as sbatch takes them."""

    count: int
    flags: tuple[str, ...]
    exclude: str = ""


class SlurmPool(AgentPool):
    """Keeps as many jobs as `agents` says.

    Their name tells the run's folder and what they were asked with: a session that resumes the run takes
    over those of a session that was killed, and cancels those that were asked for otherwise.
    """

    def __init__(self, agents: Agents, order: AgentOrder, slurm: Slurm) -> None:
        self._agents, self._slurm, self._folder = agents, slurm, order.folder
        self._script = _script(order)
        self._prefix = f"ge-agent-{_digest(str(order.folder))}-"
        self._name = self._prefix + _digest(self._script, *agents.flags, agents.exclude)
        self._started: set[str] = set()
        self._believed: set[str] = set()
        self._nodes: set[str] = set()
        self._ill = ""
        self._look_at = 0.0
        self._state = PoolState(0, 0)

    def keep(self, avoid: Sequence[str]) -> PoolState:
        if time.monotonic() < self._look_at:
            return self._state
        try:
            self._state = self._kept(avoid)
        except Unreachable as error:
            self._state = replace(self._state, said=f"SLURM does not answer ({error})")
        except Refused as error:
            if not self._started:
                raise GeError(f"SLURM says: {error}.", "Go on with ge resume when it works.") from error
            self._state = replace(self._state, said=f"SLURM does not tell of its jobs ({error})")
        self._look_at = time.monotonic() + LOOK_SECONDS
        return self._state

    def close(self) -> None:
        try:
            self._slurm.cancel([job for job in self._alive() if job.waits])
            until = time.monotonic() + GRACE
            while (alive := self._alive()) and time.monotonic() < until:
                time.sleep(GLANCE)
            self._slurm.cancel(alive)
        except (Unreachable, Refused, GeError) as error:
            print(f"Jobs {self._name} may be left in SLURM's queue: {error}", file=sys.stderr)

    def _kept(self, avoid: Sequence[str]) -> PoolState:
        jobs = self._jobs()
        alive = sorted((job for job in jobs if not job.ended), key=lambda job: (job.waits, int(job.id)))
        kept = [job for job in alive if job.name == self._name][: self._agents.count]
        self._slurm.cancel([job for job in alive if job not in kept])
        self._nodes |= {job.node for job in jobs if job.node}
        self._notice_ends(self._believed - {job.id for job in kept}, jobs)
        self._believed = {job.id for job in kept}
        self._started |= self._believed
        refusal = self._fill(avoid)
        parts = (_counted(kept, self._agents.count), self._heard(kept), refusal, self._ill)
        return PoolState(len(self._started), len(self._believed), "; ".join(filter(None, parts)))

    def _fill(self, avoid: Sequence[str]) -> str:
        """Submit what is missing; what SLURM has against more of them. Raises GeError where there is none."""
        try:
            while len(self._believed) < self._agents.count:
                new = self._slurm.submit(self._options(avoid), self._script)
                self._believed.add(new)
                self._started.add(new)
        except Refused as error:
            if self._believed:
                return f"SLURM takes no more ({error})"
            raise GeError(
                f"SLURM takes no agent: {error}.{self._left_out(avoid)}",
                "Change the options of --executor slurm, and go on with ge resume.",
            ) from error
        return ""

    def _options(self, avoid: Sequence[str]) -> list[str]:
        folder = str(self._folder).replace("%", "%%")
        exclude = [*filter(None, [self._agents.exclude]), *self._nodes_of(avoid)]
        return [
            f"--job-name={self._name}",
            f"--output={folder}/slurm-%j.out",
            f"--chdir={self._folder}",
            "--nodes=1",
            "--ntasks=1",
            "--no-requeue",
            "--propagate=NONE",
            *self._agents.flags,
            *([f"--exclude={','.join(exclude)}"] if exclude else []),
        ]

    def _nodes_of(self, hosts: Sequence[str]) -> list[str]:
        """The nodes of `hosts`: sbatch refuses the name of a host that is no node's."""
        short = {host.partition(".")[0] for host in hosts}
        return sorted(node for node in self._nodes if node.partition(".")[0] in short)

    def _left_out(self, avoid: Sequence[str]) -> str:
        nodes = self._nodes_of(avoid)
        return f" Left out, because they cannot serve the run: {', '.join(nodes)}." if nodes else ""

    def _heard(self, jobs: Iterable[SlurmJob]) -> str:
        """What an agent that runs said last; "" where none said anything."""
        words = (_last_line(self._output(job.id)) for job in jobs if not job.waits)
        return next(filter(None, words), "")

    def _output(self, number: str) -> Path:
        return self._folder / f"slurm-{number}.out"

    def _notice_ends(self, ids: Iterable[str], jobs: Iterable[SlurmJob]) -> None:
        """Keep how the last of `ids` ended, unless it ended well."""
        known = {job.id: job for job in jobs}
        for number in sorted(ids, key=int):
            job = known.get(number)
            if job is None or job.state != "COMPLETED":
                where = f" on {job.node}" if job and job.node else ""
                state = f" ({job.state})" if job else ""
                words = _last_line(self._output(number))
                self._ill = f"job {number}{where} ended{state}{words and f': {words}'}"

    def _alive(self) -> list[SlurmJob]:
        return [job for job in self._jobs() if not job.ended]

    def _jobs(self) -> list[SlurmJob]:
        """The jobs of this run's folder, also those that ended a short while ago."""
        return [job for job in self._slurm.jobs() if job.name.startswith(self._prefix)]


def _script(order: AgentOrder) -> str:
    """What a job runs: the agent in place of the shell, so that signals reach it."""
    return f'#!/bin/sh\nexec {shlex.join(order.command)} --name "slurm-$SLURM_JOB_ID"\n'


def _digest(*texts: str) -> str:
    return hashlib.sha256("\0".join(texts).encode("utf-8", "surrogateescape")).hexdigest()[:8]


def _counted(jobs: Sequence[SlurmJob], count: int) -> str:
    """ "2 of 4 agents run, 2 wait (Resources)"."""
    waiting = [job for job in jobs if job.waits]
    running = f"{len(jobs) - len(waiting)} of {count} agents run"
    reasons = ", ".join(sorted({job.reason for job in waiting}))
    return f"{running}, {len(waiting)} wait ({reasons})" if waiting else running


def _last_line(path: Path) -> str:
    """The last words of a job; "" where it left none."""
    try:
        lines = path.read_text("utf-8", "replace").split("\n")
    except OSError:
        return ""
    return next((line.strip() for line in reversed(lines) if line.strip()), "")
