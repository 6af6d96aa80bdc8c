"""Machines whose disks are full, in mount namespaces of their own; `make world` runs these."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from agents import Started, StartedPool
from evaluation import genome
from patience import PATIENT
from test_nodes import figures, here, on_agents, until

from ge_engine.contracts import AgentOrder, AgentPool, Job

pytestmark = pytest.mark.world

WRITING = genome(forward="open('kept', 'wb').write(bytes(3 << 20)) if training else 0")
"""Writes 3 MiB while it trains."""


class OneFull(StartedPool):
    """The first agent has 6 MiB for its temporary files, which fill once `fill` is called."""

    def start(self) -> subprocess.Popen[bytes]:
        if self.agents:
            return super().start()
        self.disk = self.order.folder / "disk"
        self.disk.mkdir()
        script = (
            f'hostname full && mount -t tmpfs -o size=6m none {self.disk} && TMPDIR={self.disk} exec "$@"'
        )
        words = ["unshare", "-rmu", "sh", "-c", script, "sh", *self.order.command, "--name", "0"]
        with open(self.order.folder / "agent-0.log", "wb") as log:
            self.agents.append(subprocess.Popen(words, env=self.environment, stdout=log, stderr=log))
        return self.agents[0]

    def fill(self) -> None:
        """All but some hundred KiB, by the way into another process's namespace."""
        pad = Path(f"/proc/{self.agents[0].pid}/root{self.disk}/pad")
        pad.write_bytes(bytes(5 << 20))


class WithOneFull(Started):
    name = "full"

    def open(self, argument: str, order: AgentOrder) -> AgentPool:
        pool = OneFull(order, int(argument), self.cache)
        self.pools.append(pool)
        return pool


def test_a_full_disk_that_costs_candidates_or_takes_all_jobs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wanted = figures(here(tmp_path / "here", WRITING))
    executor = WithOneFull()
    with on_agents(tmp_path / "there", executor, 2) as evaluation:
        (pool,) = executor.pools
        assert isinstance(pool, OneFull)
        both = [evaluation.submit(Job(f"x{number}", WRITING, 0)) for number in range(4)]
        assert [figures(one.result(PATIENT)) for one in both] == [wanted] * 4
        until(lambda: evaluation.at_once() == 2)
        pool.fill()
        waiting = [evaluation.submit(Job(f"y{number}", WRITING, 0)) for number in range(8)]
        assert [figures(one.result(PATIENT)) for one in waiting] == [wanted] * 8
    assert (
        "full is left out from now on: jobs keep failing there (faults of its own)."
        in capsys.readouterr().err
    )
