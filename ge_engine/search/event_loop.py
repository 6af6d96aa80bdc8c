"""Coroutines of one thread that await concurrent futures: an event loop of one page.

It is not asyncio's: `evolve` is called in notebooks, where a loop of asyncio runs already and allows no
other; an evaluator gives concurrent futures; and an exception of any task ends the run at once.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Coroutine, Generator
from concurrent.futures import Future
from functools import partial
from queue import SimpleQueue
from typing import Any, TypeVar

T = TypeVar("T")
Task = Coroutine[Future[Any], "Future[Any] | None", None]


class EventLoop:
    """Runs tasks in turns. Futures may end in any thread; tasks go on in the thread that calls `turn`."""

    def __init__(self) -> None:
        self._due: SimpleQueue[Callable[[], None]] = SimpleQueue()

    def start(self, task: Task) -> None:
        """Run `task` until it awaits something. Raises what the task raises."""
        self._resume(task, None)

    def call(self, action: Callable[[], None]) -> None:
        """Let `action` have a turn. Any thread may call this."""
        self._due.put(action)

    def turn(self) -> None:
        """Wait until a future has ended and let its task go on, or for an action. Raises what it raises."""
        self._due.get()()

    def until(self, condition: Callable[[], bool]) -> None:
        """Take turns until `condition` holds."""
        while not condition():
            self.turn()

    def result(self, future: Future[T]) -> T:
        """Take turns until `future` has ended; its result. What ended before it has gone on by then."""
        seen: list[Future[T]] = []

        async def watch() -> None:
            seen.append(await completion(future))

        self.start(watch())
        self.until(lambda: bool(seen))
        return future.result()

    def _resume(self, task: Task, ended: Future[Any] | None) -> None:
        try:
            awaited = task.send(ended)
        except StopIteration:
            return
        awaited.add_done_callback(lambda future: self.call(partial(self._resume, task, future)))


@types.coroutine
def completion(future: Future[T]) -> Generator[Future[T], Future[T], Future[T]]:
    """`await completion(future)` gives `future` once it has a result, has failed or was cancelled."""
    return (yield future)
