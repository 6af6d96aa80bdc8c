"""Futures that follow other futures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from functools import partial
from typing import Any, TypeVar, overload

T = TypeVar("T")
U = TypeVar("U")


@overload
def then(first: Future[T], step: Callable[[T], Future[U]]) -> Future[U]: ...


@overload
def then(first: Future[T], step: Callable[[T], U]) -> Future[U]: ...


def then(first: Future[Any], step: Callable[[Any], Any]) -> Future[Any]:
    """A future of `step(result)`, or of the result of the future that `step` returns. To cancel it is to
    cancel the one that it waits for, while that can be."""
    following = _Following()
    following.follow(first, step)
    return following


def all_of(several: Sequence[Future[T]]) -> Future[tuple[T, ...]]:
    """A future of all their results, in their order, or of the error of the first that has one."""
    before: Future[tuple[T, ...]] = finished(())
    for one in several:
        before = then(before, partial(_with, one))
    return before


def _with(one: Future[T], before: tuple[T, ...]) -> Future[tuple[T, ...]]:
    return then(one, lambda result: (*before, result))


def finished(value: T) -> Future[T]:
    """A future that has its result already."""
    future: Future[T] = Future()
    future.set_result(value)
    return future


class _Following(Future[Any]):
    def cancel(self) -> bool:
        return self._source.cancel()

    def follow(self, source: Future[Any], step: Callable[[Any], Any]) -> None:
        self._source = source
        source.add_done_callback(partial(self._end, step))

    def _end(self, step: Callable[[Any], Any], ended: Future[Any]) -> None:
        if ended.cancelled():
            super().cancel()
            self.set_running_or_notify_cancel()
            return
        try:
            result = step(ended.result())
        except BaseException as error:
            self.set_exception(error)
        else:
            if isinstance(result, Future):
                self.follow(result, lambda same: same)
            else:
                self.set_result(result)
