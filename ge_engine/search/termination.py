"""Why a run ends: its generations, an interruption, a budget, a target, no more progress."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from types import FrameType, TracebackType
from typing import Any

from ge_engine.conditions import Condition, parse_condition
from ge_engine.config import RunConfig
from ge_engine.ledger.hand_made import drawn_before, generations_before
from ge_engine.ledger.history import History
from ge_engine.pareto import Direction, box, losses, normalised
from ge_engine.search.budget import Budget

PROGRESS = 1e-9


INTERRUPTED = "interrupted"
"""How the reason of a run begins that a signal ended."""
STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1)
"""A user, a system that ends, a terminal that is gone, a batch job whose time will be over."""


class Interrupts:
    """While entered, the first of `STOPPING` asks for a clean stop and the second ends at once.
    `act` is called at the first one, within the signal handler. A SIGHUP that is ignored (`nohup`) stays so;
    one that comes because the terminal is gone has what is printed go nowhere.

    Outside the main thread, where Python delivers no signals, it changes nothing.
    """

    def __init__(self) -> None:
        self.reason = ""
        self.act: Callable[[], object] = lambda: None
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Interrupts:
        if threading.current_thread() is threading.main_thread():
            for number in STOPPING:
                if number == signal.SIGHUP and signal.getsignal(number) is signal.SIG_IGN:
                    continue
                self._before[number] = signal.signal(number, self._on_signal)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _on_signal(self, number: int, _: FrameType | None) -> None:
        if number == signal.SIGHUP:
            _leave_closed_terminal()
        if self.reason:
            raise KeyboardInterrupt
        self.reason = f"{INTERRUPTED} by {signal.Signals(number).name}"
        self.act()


def _leave_closed_terminal() -> None:
    for descriptor in (0, 1, 2):
        try:
            os.write(descriptor, b"")
        except OSError:
            nowhere = os.open(os.devnull, os.O_RDWR)
            os.dup2(nowhere, descriptor)
            os.close(nowhere)


class StopConditions:
    """Says why a run should end. Every condition but the clock's follows from settings and run database
    alone.

    Raises:
        ConfigError: `stop_when` cannot be read.
    """

    def __init__(
        self,
        config: RunConfig,
        directions: Mapping[str, Direction],
        history: History,
        interrupts: Interrupts,
    ) -> None:
        self._config = config
        self._directions = directions
        self._history = history
        self._interrupts = interrupts
        self.budget = Budget(config, history)
        self._began = time.monotonic()
        self._target: Condition | None = None
        if config.stop_when:
            self._target = parse_condition(config.stop_when, config.objective_names)

    def when_interrupted(self, act: Callable[[], object]) -> Callable[[], object]:
        """Have `act` called within the handler of the first signal, in place of what is given back; it may
        set a flag, put into a queue, or raise KeyboardInterrupt."""
        before, self._interrupts.act = self._interrupts.act, act
        return before

    @property
    def interruption(self) -> str:
        """The reason of a run that a signal ended; "" without a signal."""
        return self._interrupts.reason

    @property
    def interrupted(self) -> bool:
        return bool(self.interruption)

    def now(self) -> str:
        """Asked between rounds of prompts, also in the middle of a generation; "" to go on."""
        config = self._config
        if self.interrupted:
            return self.interruption
        if config.max_seconds and time.monotonic() - self._began >= config.max_seconds:
            return f"the session has used its {config.max_seconds:g} seconds"
        return self.budget.spent()

    def before(self, generation: int) -> str:
        """Asked before `generation` is begun; "" to go on."""
        config = self._config
        if self.interrupted:
            return self.interruption
        if self._bred_before(generation) >= config.generations:
            noun = "generation" if config.generations == 1 else "generations"
            return f"finished: {config.generations}/{config.generations} {noun}"
        if reason := self.now():
            return reason
        if config.max_evaluations and self.evaluations_left() <= 0:
            return f"all {config.max_evaluations} evaluations are used"
        if self._target and (found := self._on_target()):
            return f"{found} reached {config.stop_when}"
        if config.stall and self._stalled(generation):
            return f"no more hypervolume in {config.stall} generations"
        return ""

    def _bred_before(self, generation: int) -> int:
        """How many of the run's generations are complete; what was made by hand counts as none of them."""
        if self._config.schedule == "steady":
            return drawn_before(self._history, generation) // (self._config.population * self._config.screen)
        return generations_before(self._history, generation)

    def evaluations_left(self) -> int:
        return self._config.max_evaluations - self._history.evaluations()

    def slots(self, wanted: int, running: int = 0) -> int:
        """How many children may be trained: never more than evaluations are left, `running` ones counted."""
        return (
            max(1, min(wanted, self.evaluations_left() - running)) if self._config.max_evaluations else wanted
        )

    def _on_target(self) -> str:
        assert self._target is not None
        return next((i for i, _, values in self._history.scored_points() if self._target(values)), "")

    def _stalled(self, generation: int) -> bool:
        """Whether the children of `stall` generations before this one added no hypervolume. In the schedule
        "steady", where the run database's generations are small batches, those are as many batches as it
        takes."""
        stall = self._config.stall * self._config.population * self._config.screen
        wanted = self._history.slots_before(generation) - stall
        begun = generation
        while begun and self._history.slots_before(begun) > wanted:
            begun -= 1
        if not begun:
            return False
        points = [(born, losses(o, self._directions)) for _, born, o in self._history.scored_points()]
        return gain_after(points, begun - 1) <= PROGRESS


def gain_after(points: Iterable[tuple[int, tuple[float, ...]]], generation: int) -> float:
    """Normalised hypervolume that the points born after `generation` added to those born until then."""
    everybody = list(points)
    ideal, reference = box([point for _, point in everybody])
    before = [point for born, point in everybody if born <= generation]
    after = [point for _, point in everybody]
    return normalised(after, ideal, reference) - normalised(before, ideal, reference)
