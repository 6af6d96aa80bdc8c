"""From how a worker ended to its report, or to whose fault it was that there is none."""

from __future__ import annotations

import signal
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from ge_engine.contracts import Probe, Size
from ge_engine.evaluation.executor import WorkerExit
from ge_engine.evaluation.machine_health import MachineHealth
from ge_engine.evaluation.protocol import claims
from ge_engine.evaluation.protocol.messages import BadReport, JobSpec, WorkerReport, after_mark, unpack_report
from ge_engine.evaluation.sandbox.limits import PROCESSES, TASKS
from ge_engine.outcome import Failed, Fault
from ge_engine.profile import MOST_MODULES, modules_of

_LOG_TAIL = 400
_FIGURES: dict[str, frozenset[str]] = {
    "probe": claims.PROBED,
    "again": claims.AGAIN,
    "train": claims.TRAINED,
    "size": frozenset(),
}
_LIMITS_EXCEEDED = {
    "disk": "it filled its scratch folder, or memory files",
    "processes": f"it started more than {PROCESSES} processes",
    "threads": f"it started more than {TASKS} threads",
    "result": "it sent more than the answers asked for",
    "fork server": "the process that started it died, twice; the second time it ran alone",
}

CANDIDATES_REASONS = frozenset(["timeout", *_LIMITS_EXCEEDED])
"""The reasons of `WorkerExit` that are a candidate's doing."""


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
    """How many processes this system has killed for lack of memory (Linux); 0 where it does not say."""
    try:
        lines = Path("/proc/vmstat").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("oom_kill ")), 0)


def report_of(
    ended: WorkerExit, spec: JobSpec, kills: Kills, surroundings: MachineHealth | None = None
) -> WorkerReport | Failed:
    """The worker's report, or how the worker failed to give one. That the surroundings are to blame is taken
    from a worker only before the candidate's code begins; after that, `surroundings` are looked at."""
    stage = spec.kind
    if ended.reason == "timeout":
        return Failed(stage, "timeout", f"still running after {spec.timeout:g} s")
    if ended.reason in _LIMITS_EXCEEDED:
        return Failed(stage, "crash", _LIMITS_EXCEEDED[ended.reason])
    if ended.reason:
        return Failed(stage, "crash", ended.reason, "infrastructure")
    if ended.status == -signal.SIGKILL:
        return kills.judge(stage, spec.digest)
    if ended.status < 0:
        return _killed(stage, -ended.status, ended)
    begun, result = after_mark(ended.result)
    try:
        report = unpack_report(result, bytes.fromhex(spec.token))
        _require_what_was_asked(report, spec)
    except BadReport as error:
        reason = f"exited with status {ended.status} and {error}" if result else _silent(ended)
        return Failed(stage, "crash", reason + _printed(ended))
    if report.stage == "worker":
        fault: Fault = "infrastructure" if report.kind == "infrastructure" else "engine"
        return Failed(stage, "crash", report.error, "candidate" if begun else fault)
    if report.kind == "infrastructure":
        shown = ended.faulty or (surroundings is not None and surroundings.at_fault(report.error))
        return Failed(report.stage, "error", report.error, "infrastructure" if shown else "candidate")
    return report


def _require_what_was_asked(report: WorkerReport, spec: JobSpec) -> None:
    """All figures of a job that went through, and no checkpoint or weights larger than there is room for.

    Raises:
        BadReport: not so.
    """
    if len(report.checkpoint) > spec.room:
        raise BadReport("it holds a checkpoint that nobody asked for")
    if len(report.weights) > spec.weights:
        raise BadReport("it holds weights that nobody asked for")
    if report.stage or report.kind:
        if not (report.stage and report.kind):
            raise BadReport("its report is malformed: it failed, and does not say where and how")
        return
    if not spec.inherits and report.facts.keys() & claims.INHERITED:
        raise BadReport("it tells of weights that it did not begin with")
    wanted = _FIGURES[spec.kind] | (claims.INHERITED if spec.inherits else frozenset())
    try:
        claims.require(report.facts, wanted)
    except ValueError as error:
        raise BadReport(f"its report is malformed: {error}") from error


def probe_of(report: WorkerReport | Failed) -> Probe:
    """The probe that a report holds; an ended worker is a probe that stopped at "run".

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
            output_shape=claims.shape(seen["output_shape"]),
            finite=claims.truth(seen["finite"]),
            without_gradient=claims.names(seen["without_gradient"]),
            unregistered=tuple(sorted(claims.names(seen["unregistered"]))),
            executed=claims.names(seen["executed"]),
            facts=dict(report.facts),
            class_parameters=claims.counts(seen["class_parameters"]),
            fingerprint=claims.digest(seen["fingerprint"]),
            graph=claims.digest(seen["graph"]),
            modules=modules_of(seen["modules"][:MOST_MODULES]),
        )
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        return Probe(stage="run", error=f"its report is malformed: {claims.text(repr(error), 200)}")


def sizes_in(report: WorkerReport | Failed, count: int) -> tuple[Size | None, ...]:
    """The `count` sizes that a report holds; all None where it holds something else or the worker died."""
    none: tuple[Size | None, ...] = (None,) * count
    if isinstance(report, Failed):
        return none
    try:
        sizes = tuple(_size(row) for row in report.probe["sizes"])
    except (KeyError, TypeError, ValueError, OverflowError):
        return none
    return sizes if len(sizes) == count else none


def _size(row: Sequence[object] | None) -> Size | None:
    if row is None:
        return None
    parameters, flops = row
    if claims.number(flops) < 0:
        raise ValueError(f"{flops!r} FLOPs")
    return Size(claims.count(parameters), claims.number(flops))


def failed_probe(probe: Probe) -> Failed:
    """What a training of a genome comes to whose probe did not go through."""
    kind = {"timeout": "timeout", "run": "crash"}.get(probe.stage, "error")
    if probe.error.startswith("MemoryError") or "allocate memory" in probe.error:
        kind = "out of memory"
    return Failed(probe.stage, kind, probe.error)


def _killed(stage: str, number: int, ended: WorkerExit) -> Failed:
    try:
        name = signal.Signals(number).name
    except ValueError:
        name = f"signal {number}"
    if number == signal.SIGXCPU:
        return Failed(stage, "timeout", "used more processor time than allowed (SIGXCPU)")
    return Failed(stage, "crash", f"killed by {name}{_printed(ended)}")


def _silent(ended: WorkerExit) -> str:
    return f"exited with status {ended.status} without a result"


def _printed(ended: WorkerExit) -> str:
    tail = " ".join(ended.log.split())[-_LOG_TAIL:]
    return f"; it printed: {tail}" if tail else ""
