"""Containers and batch systems that give fewer cores than the machine has."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ge_engine.evaluation.cores import cores

V2 = "0::/kubepods/pod1\n"
V1 = "4:memory:/docker/a\n3:cpu,cpuacct:/docker/a\n"
GROUPS: dict[str, tuple[str, dict[str, str], int]] = {
    "none": ("", {}, 64),
    "no quota": (V2, {"kubepods/pod1/cpu.max": "max 100000\n"}, 64),
    "version 2": (V2, {"kubepods/pod1/cpu.max": "400000 100000\n"}, 4),
    "version 2, above": (
        V2,
        {"kubepods/pod1/cpu.max": "max 100000\n", "kubepods/cpu.max": "200000 100000\n"},
        2,
    ),
    "version 2, in a namespace": ("0::/\n", {"cpu.max": "150000 100000\n"}, 1),
    "version 2, of a host's path": ("0::/system.slice/x\n", {"cpu.max": "300000 100000\n"}, 3),
    "less than one": (V2, {"kubepods/pod1/cpu.max": "50000 100000\n"}, 1),
    "version 1": (
        V1,
        {
            "cpu,cpuacct/docker/a/cpu.cfs_quota_us": "300000\n",
            "cpu,cpuacct/docker/a/cpu.cfs_period_us": "100000\n",
        },
        3,
    ),
    "version 1, in a container": (
        V1,
        {"cpu,cpuacct/cpu.cfs_quota_us": "500000\n", "cpu,cpuacct/cpu.cfs_period_us": "100000\n"},
        5,
    ),
    "version 1, no quota": (
        V1,
        {
            "cpu,cpuacct/docker/a/cpu.cfs_quota_us": "-1\n",
            "cpu,cpuacct/docker/a/cpu.cfs_period_us": "100000\n",
        },
        64,
    ),
    "not a number": (V2, {"kubepods/pod1/cpu.max": "some\n"}, 64),
}


@pytest.fixture(autouse=True)
def large(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine of 64 cores."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(64)), raising=False)
    monkeypatch.delenv("SLURM_CPUS_PER_TASK", raising=False)


@pytest.mark.parametrize("kind", GROUPS)
def test_a_quota_that_is_not_counted(kind: str, tmp_path: Path) -> None:
    group, files, wanted = GROUPS[kind]
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/cgroup").write_text(group)
    for name, text in files.items():
        file = tmp_path / "sys/fs/cgroup" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    assert cores(tmp_path) == wanted


def test_a_batch_system_that_gives_fewer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLURM_CPUS_PER_TASK", "6")
    assert cores(tmp_path) == 6
    monkeypatch.setenv("SLURM_CPUS_PER_TASK", "")
    assert cores(tmp_path) == 64
