"""The event loop: one thread, in the order in which futures end, and no error of a task is lost."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import CancelledError, Future
from pathlib import Path

import doubles
import pytest

from ge_engine import loop
from ge_engine.search.event_loop import EventLoop, completion


def test_tasks_that_go_on_in_another_order_than_their_futures_ended() -> None:
    events, futures, seen = EventLoop(), [Future[int]() for _ in range(3)], list[int]()

    async def task(number: int) -> None:
        seen.append((await completion(futures[number])).result())

    for number in range(3):
        events.start(task(number))
    for number in (2, 0, 1):
        futures[number].set_result(number)
    assert seen == [], "a task goes on in a turn alone"
    events.until(lambda: len(seen) == 3)
    assert seen == [2, 0, 1]


def test_a_task_that_goes_on_in_the_thread_of_its_future() -> None:
    events, future, threads = EventLoop(), Future[None](), list[threading.Thread]()

    async def task() -> None:
        await completion(future)
        threads.append(threading.current_thread())

    events.start(task())
    threading.Thread(target=future.set_result, args=(None,)).start()
    events.turn()
    assert threads == [threading.current_thread()]


def test_an_error_of_a_task_or_of_a_future_that_nobody_hears_of() -> None:
    events, broken, cancelled = EventLoop(), Future[None](), Future[None]()

    async def task() -> None:
        (await completion(broken)).result()

    events.start(task())
    broken.set_exception(OSError("gone"))
    with pytest.raises(OSError, match="gone"):
        events.turn()
    assert cancelled.cancel()
    with pytest.raises(CancelledError):
        events.result(cancelled)


def test_a_result_that_comes_before_what_ended_earlier() -> None:
    events, first, last, seen = EventLoop(), Future[int](), Future[int](), list[int]()

    async def task() -> None:
        seen.append((await completion(first)).result())

    events.start(task())
    first.set_result(1)
    last.set_result(2)
    assert events.result(last) == 2
    assert seen == [1]


def test_a_run_that_a_notebooks_own_event_loop_forbids(tmp_path: Path) -> None:
    async def cell() -> str:
        config = doubles.config(generations=1, population=2)
        run = loop.run(doubles.seed(), config, doubles.registry(), tmp_path / "run", lambda *_: None)
        return run.stopped_because

    assert asyncio.run(cell()) == "finished: 1/1 generation"
