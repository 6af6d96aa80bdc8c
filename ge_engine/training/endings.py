"""How a worker ended and whose fault it was."""

from __future__ import annotations

import math
import signal
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ge_engine.contracts import Probe, Size
from ge_engine.outcome import Failed, Fault
from ge_engine.profile import MOST_MODULES, modules_of
from ge_engine.training.executor import Ending
from ge_engine.training.limits import PROCESSES
from ge_engine.training.orders import BadReport, Order, Report, unpack_report

_LOG_TAIL = 400


class WorkerLost(Exception):
    """A worker ended by a fault that is not the candidate's; `failed` says how."""

    def __init__(self, failed: Failed) -> None:
        super().__init__(failed.reason)
        self.failed = failed


class Kills:
    """Who is to blame for a SIGKILL, which the system sends where memory runs out, people do, and a candidate
    can do to itself. `counted` gives how many processes the system has killed for memory since it started."""

    def __init__(self, counted: Callable[[], int] | None = None) -> None:
        self._counted = counted or killed_for_memory
        self._known = self._counted()
        self._times: Counter[str] = Counter()

    def judge(self, stage: str, digest: str) -> Failed:
        """A kill of the genome `digest`: of the surroundings where the system has just killed for memory, and
        once in any case; a further one is the candidate's."""
        count = self._counted()
        memory, self._known = count > self._known, count
        if memory:
            return Failed(stage, "out of memory", "killed by the system (SIGKILL)", "infrastructure")
        self._times[digest] += 1
        if self._times[digest] == 1:
            return Failed(stage, "crash", "killed from outside (SIGKILL)", "infrastructure")
        reason = "killed by SIGKILL again, and the system did not run out of memory: it did so itself"
        return Failed(stage, "crash", reason)


def killed_for_memory() -> int:
    """How many processes this system has killed for want of memory (Linux); 0 where it does not say."""
    try:
        lines = Path("/proc/vmstat").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("oom_kill ")), 0)


def report_of(ending: Ending, order: Order, kills: Kills) -> Report | Failed:
    """The worker's report, or how the worker failed to give one."""
    stage = order.kind
    if ending.reason == "timeout":
        return Failed(stage, "timeout", f"still running after {order.timeout:g} s")
    if ending.reason == "disk":
        return Failed(stage, "crash", "it filled its scratch folder, or memory files")
    if ending.reason == "processes":
        return Failed(stage, "crash", f"it started more than {PROCESSES} processes")
    if ending.reason == "result":
        return Failed(stage, "crash", "it sent more than the answers asked for")
    if ending.reason == "nursery":
        return Failed(stage, "crash", "the process that started it died, twice; the second time it ran alone")
    if ending.reason:
        return Failed(stage, "crash", ending.reason, "infrastructure")
    if ending.status == -signal.SIGKILL:
        return kills.judge(stage, order.digest)
    if ending.status < 0:
        return _killed(stage, -ending.status, ending)
    try:
        report = unpack_report(ending.result, bytes.fromhex(order.token))
    except BadReport as error:
        reason = f"exited with status {ending.status} and {error}" if ending.result else _silent(ending)
        return Failed(stage, "crash", reason + _printed(ending))
    if report.stage == "worker":
        fault: Fault = "infrastructure" if report.kind == "infrastructure" else "engine"
        return Failed(stage, "crash", report.error, fault)
    if report.kind == "infrastructure":
        return Failed(report.stage, "error", report.error, "infrastructure")
    return report


def probe_of(report: Report | Failed) -> Probe:
    """The probe that a report holds; a dead worker is a probe that stopped at "run".

    Raises:
        WorkerLost: the fault is not the candidate's.
    """
    if isinstance(report, Failed):
        if report.fault != "candidate":
            raise WorkerLost(report)
        return Probe(stage=report.kind if report.kind == "timeout" else "run", error=report.reason)
    seen = report.probe
    try:
        return Probe(
            stage=report.stage,
            error=report.error,
            output_shape=tuple(int(side) for side in seen["output_shape"]),
            finite=seen["finite"] is True,
            without_gradient=_names(seen, "without_gradient"),
            unregistered=tuple(sorted(_names(seen, "unregistered"))),
            executed=_names(seen, "executed"),
            facts=dict(report.facts),
            class_parameters={str(name): int(n) for name, n in seen["class_parameters"].items()},
            fingerprint=str(seen["fingerprint"])[:64],
            graph=str(seen["graph"])[:64],
            modules=modules_of(seen["modules"][:MOST_MODULES]),
        )
    except (KeyError, TypeError, ValueError, OverflowError, AttributeError) as error:
        return Probe(stage="run", error=f"its report is malformed: {error!r}")


def sizes_in(report: Report | Failed, count: int) -> tuple[Size | None, ...]:
    """The `count` sizes that a report holds; all None where it holds something else or the worker died."""
    none: tuple[Size | None, ...] = (None,) * count
    if isinstance(report, Failed):
        return none
    try:
        sizes = tuple(_size(row) for row in report.probe["sizes"])
    except (KeyError, TypeError, ValueError, OverflowError):
        return none
    return sizes if len(sizes) == count else none


def _size(row: Any) -> Size | None:
    if row is None:
        return None
    parameters, flops = row
    if type(parameters) is not int or not 0 <= parameters < 2**63:
        raise ValueError(f"{parameters!r} parameters")
    if isinstance(flops, bool) or not math.isfinite(flops) or flops < 0:
        raise ValueError(f"{flops!r} FLOPs")
    return Size(parameters, float(flops))


def failed_probe(probe: Probe) -> Failed:
    """What a training of a genome comes to whose probe did not go through."""
    kind = {"timeout": "timeout", "run": "crash"}.get(probe.stage, "error")
    if probe.error.startswith("MemoryError") or "allocate memory" in probe.error:
        kind = "out of memory"
    return Failed(probe.stage, kind, probe.error)


def _names(seen: Mapping[str, Any], key: str) -> frozenset[str]:
    return frozenset(str(name)[:300] for name in seen[key][:100_000])


def _killed(stage: str, number: int, ending: Ending) -> Failed:
    try:
        name = signal.Signals(number).name
    except ValueError:
        name = f"signal {number}"
    if number == signal.SIGXCPU:
        return Failed(stage, "timeout", "used more processor time than allowed (SIGXCPU)")
    return Failed(stage, "crash", f"killed by {name}{_printed(ending)}")


def _silent(ending: Ending) -> str:
    return f"exited with status {ending.status} without a result"


def _printed(ending: Ending) -> str:
    tail = " ".join(ending.log.split())[-_LOG_TAIL:]
    return f"; it printed: {tail}" if tail else ""
