"""How many processor cores this process may use: by affinity, by a container's quota, and by SLURM."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path


def cores(root: Path = Path("/")) -> int:
    """At least 1. `root` is the folder in which `proc` and `sys` lie."""
    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    asked = os.environ.get("SLURM_CPUS_PER_TASK", "")
    limits = [affinity, *([int(asked)] if asked.isdecimal() else []), *_quotas(root)]
    return max(1, int(min(limits)))


def _quotas(root: Path) -> Iterator[float]:
    """Cores by the control groups of this process and all above them (Linux, versions 1 and 2).
    https://docs.kernel.org/admin-guide/cgroup-v2.html#cpu-interface-files"""
    lines: list[str] = []
    with suppress(OSError):
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if not controllers:
            for folder in _upwards(root / "sys/fs/cgroup", path):
                yield from _share(folder / "cpu.max")
        elif "cpu" in controllers.split(","):
            for folder in _upwards(root / "sys/fs/cgroup" / controllers, path):
                yield from _share(folder / "cpu.cfs_quota_us", folder / "cpu.cfs_period_us")


def _upwards(mounted: Path, path: str) -> Iterator[Path]:
    """The group at `path` and those above it; a container sees its own group as the highest."""
    group = mounted / path.lstrip("/")
    yield from (one for one in (group, *group.parents) if one == mounted or mounted in one.parents)


def _share(*files: Path) -> Iterator[float]:
    """Quota by period, where there is a quota: "max" and -1 are none."""
    with suppress(OSError, ValueError):
        quota, period = map(int, " ".join(file.read_text() for file in files).split())
        if quota > 0 and period > 0:
            yield quota / period
