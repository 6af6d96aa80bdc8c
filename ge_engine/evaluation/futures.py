"""Futures that follow other futures."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import CancelledError, Future
from typing import Any, TypeVar

T = TypeVar("T")
U = TypeVar("U")


class _Following(Future[Any]):
    """A future that can be cancelled for as long as the one that it follows can be."""

    def __init__(self, first: Future[Any]) -> None:
        super().__init__()
        self._first = first

    def cancel(self) -> bool:
        return self._first.cancel()


def chained(first: Future[T], finish: Callable[[T], U]) -> Future[U]:
    """A future of `finish(result)`; to cancel it is to cancel `first`, while that can be."""
    following = _Following(first)

    def end(ended: Future[T]) -> None:
        if ended.cancelled():
            Future.cancel(following)
            following.set_running_or_notify_cancel()
            return
        if not following.set_running_or_notify_cancel():
            return
        try:
            following.set_result(finish(ended.result()))
        except BaseException as error:
            following.set_exception(error)

    first.add_done_callback(end)
    return following


def finished(value: T) -> Future[T]:
    """A future that has its result already."""
    future: Future[T] = Future()
    future.set_result(value)
    return future


def forward(source: Future[T], target: Future[T]) -> None:
    """Let `target`, which runs, end as `source` does."""

    def end(ended: Future[T]) -> None:
        error = CancelledError() if ended.cancelled() else ended.exception()
        if error is not None:
            target.set_exception(error)
        else:
            target.set_result(ended.result())

    source.add_done_callback(end)
