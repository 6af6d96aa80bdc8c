"""A whole run over simulated workers whose trainings take virtual time, while the engine's own work takes
real time: what `bench_scale` measures."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from unittest import mock

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

import doubles  # noqa: E402
import virtual  # noqa: E402

from ge_engine import loop  # noqa: E402
from ge_engine.config import RunConfig  # noqa: E402
from ge_engine.contracts import LanguageModel, LanguageModelFactory, Reply, Request  # noqa: E402
from ge_engine.ledger import History  # noqa: E402
from ge_engine.registry import Registry  # noqa: E402
from ge_engine.search import event_loop  # noqa: E402

POPULATION = 100
MIB = 2**20


class Clock(virtual.Clock):
    """Virtual seconds: the real ones that pass, and those that are skipped while nothing is left to do."""

    def __init__(self, workers: int) -> None:
        self._skipped = -time.perf_counter()
        super().__init__(workers)

    @property
    def now(self) -> float:
        return self._skipped + time.perf_counter()

    @now.setter
    def now(self, moment: float) -> None:
        self._skipped += max(0.0, moment - self.now)

    def done(self, moment: float) -> float:
        """Seconds that the workers have worked by a moment after which nothing was handed in."""
        return self.worked - sum(max(0.0, free - moment) for free in self.free)


class Model(doubles.Scripted):
    """Good replies that take no virtual time, and of which none is remembered."""

    def __init__(self) -> None:
        super().__init__("good", 0)

    def generate(self, requests: Sequence[Request]) -> Iterator[tuple[int, Reply]]:
        for index, request in enumerate(requests):
            yield index, self._reply(request)


class ModelFactory(LanguageModelFactory):
    name = "prompt"

    def open(self, _argument: str, _config: RunConfig) -> LanguageModel:
        return Model()


@dataclass(frozen=True)
class Simulated:
    """What a run of `children` over `workers` came to. Times in seconds, of the head alone; sizes in bytes.
    `early` and `late` are resident memory after a quarter of the children and after all."""

    workers: int
    children: int
    utilisation: float
    seconds: float
    processor: float
    early: int
    late: int
    peak: int
    database: int

    @property
    def rate(self) -> float:
        """Children in a second of the head."""
        return self.children / self.seconds

    @property
    def growth(self) -> float:
        return self.late / self.early - 1


@dataclass
class Watch:
    """Observes a run: when the first and the last child were handed in, how busy the workers were between,
    and memory after the first `quarter` of the children."""

    clock: Clock
    quarter: int
    born: int = 0
    early: int = 0
    began: float | None = None
    before: float = 0.0
    ended: float = 0.0
    utilisation: float = 0.0

    def __call__(self, name: str, data: Mapping[str, Any]) -> None:
        if name == "submitted" and data["split"] == "validation" and data["individual"] != "seed":
            self.ended = self.clock.now
            if self.began is None:
                self.began, self.before = self.ended, self.clock.done(self.ended)
        if name == "generation_started":
            self.born += data["size"]
        if name == "generation_finished" and self.born >= self.quarter and not self.early:
            self.early = resident()
        if name == "stopping" and self.began is not None:
            worked = self.clock.done(self.ended) - self.before
            self.utilisation = worked / (len(self.clock.free) * (self.ended - self.began))


def resident() -> int:
    """Bytes of resident memory of this process; its peak where the system tells no more."""
    if Path("/proc/self/statm").exists():
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return peak()


def peak() -> int:
    """The most bytes of resident memory that this process had."""
    return _in_bytes(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)


def _in_bytes(most: int) -> int:
    """What a system gives as the most memory: kilobytes, but on macOS."""
    return most if sys.platform == "darwin" else 1024 * most


def settings(workers: int, children: int) -> RunConfig:
    return doubles.config(
        llm="prompt",
        evaluator="virtual",
        workers=workers,
        schedule="steady",
        population=POPULATION,
        generations=-(-children // POPULATION),
        elites=POPULATION,
        eot_elites=10,
    )


def registry(clock: Clock) -> Registry:
    plain = virtual.registry(clock)
    return replace(plain, language_models={**plain.language_models, "prompt": ModelFactory()})


@contextmanager
def simulated(workers: int) -> Iterator[Clock]:
    """Within, the event loop lives by a clock of `workers`."""
    clock = Clock(workers)
    with mock.patch.object(event_loop, "SimpleQueue", return_value=virtual.Queue(clock)):
        yield clock


def simulate(folder: Path, workers: int, children: int) -> Simulated:
    """Run it in `folder`; call it in a process of its own, since memory is measured."""
    config = settings(workers, children)
    with simulated(workers) as clock:
        watch = Watch(clock, children // 4)
        began, worked = time.perf_counter(), time.process_time()
        loop.run(doubles.seed(), config, registry(clock), folder, watch)
        seconds, worked = time.perf_counter() - began, time.process_time() - worked
    return Simulated(
        workers=workers,
        children=watch.born,
        utilisation=watch.utilisation,
        seconds=seconds,
        processor=worked,
        early=watch.early,
        late=resident(),
        peak=peak(),
        database=sum(path.stat().st_size for path in folder.glob("ledger.sqlite*")),
    )


@dataclass(frozen=True)
class Asked:
    """What an answer took: seconds from the start of its process and of a processor, and the most bytes of
    memory that it had."""

    what: str
    seconds: float
    processor: float
    peak: int


class _Enough(Exception):
    """The first new child is there."""


def first_new_child(folder: Path, workers: int) -> Asked:
    """Resume the run in `folder` for another generation, until its first child passed the checks; call it in
    a process of its own."""
    began = time.perf_counter()
    with History(folder) as history:
        config = replace(history.config, generations=history.config.generations + 1)

    def watch(name: str, _data: Mapping[str, Any]) -> None:
        if name == "admitted":
            raise _Enough

    with simulated(workers) as clock, suppress(_Enough):
        loop.run(doubles.seed(), config, registry(clock), folder, watch)
    seconds = time.perf_counter() - began
    return Asked("resume, to the first new child", seconds, time.process_time(), peak())


def asked(what: str, *words: object) -> Asked:
    """The command `ge` with `words`, whose output goes nowhere. Raises CalledProcessError where it fails."""
    command = [sys.executable, "-m", "ge_engine.cli", *map(str, words)]
    began = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    seconds, processor = time.perf_counter() - began, used.ru_utime + used.ru_stime
    return Asked(what, seconds, processor, _in_bytes(used.ru_maxrss))


def answers(folder: Path) -> Iterator[Asked]:
    """What people ask of a run."""
    with History(folder) as history:
        latest = history.identities()[-1]
    yield asked("ge log", "log", folder)
    yield asked("ge log --stats", "log", folder, "--stats")
    yield asked("ge show RUN:ID", "show", f"{folder}:{latest}")
    yield asked("ge report", "report", folder, "--output", folder / "report.html")
