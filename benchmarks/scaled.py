"""A whole run over simulated workers whose trainings take virtual time, while the engine's own work takes
real time: what `bench_scale` measures."""

from __future__ import annotations

import os
import resource
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
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

    @property
    def done(self) -> float:
        """Seconds that the workers have worked by now."""
        now = self.now
        return self.worked - sum(max(0.0, free - now) for free in self.free)


class Model(doubles.Scripted):
    """Good replies that take no virtual time, and of which none is remembered."""

    def __init__(self) -> None:
        super().__init__("good", 0)

    def generate(self, requests: Sequence[Request]) -> Iterator[tuple[int, Reply]]:
        for index, request in enumerate(requests):
            yield index, self._reply(request)


class ModelFactory(LanguageModelFactory):
    name = "prompt"

    def open(self, argument: str, config: RunConfig) -> LanguageModel:
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
    """Observes a run: how much the workers had done at the first and the last submission, and memory."""

    clock: Clock
    quarter: int
    born: int = 0
    early: int = 0
    marks: list[tuple[float, float]] = field(default_factory=list)

    def __call__(self, name: str, data: Mapping[str, Any]) -> None:
        if name == "submitted" and data["split"] == "validation" and data["individual"] != "seed":
            del self.marks[1:]
            self.marks.append((self.clock.now, self.clock.done))
        if name == "generation_started":
            self.born += data["size"]
        if name == "generation_finished" and self.born >= self.quarter and not self.early:
            self.early = resident()

    @property
    def utilisation(self) -> float:
        (began, before), (ended, after) = self.marks
        return (after - before) / (len(self.clock.free) * (ended - began))


def resident() -> int:
    """Bytes of resident memory of this process; its peak where the system tells no more."""
    if Path("/proc/self/statm").exists():
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return peak()


def peak() -> int:
    """The most bytes of resident memory that this process had."""
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
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
