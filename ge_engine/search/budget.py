"""Tokens and money: what is spent, and what calls in flight may still take."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ge_engine.config import RunConfig
from ge_engine.contracts import Request
from ge_engine.ledger.history import History

Most = Callable[[Request], tuple[int, int]]


class Budget:
    """What a run may spend. Each call is sent only when all that it may take still fits.

    `most` gives the tokens that a request may read and write at most. They are set aside while the call is in
    flight; the run database's figures stand in their place when its reply is there.
    """

    def __init__(self, config: RunConfig, history: History) -> None:
        self._config = config
        self._history = history

    @property
    def _limited(self) -> bool:
        return bool(self._config.token_budget or self._config.cost_budget)

    def spent(self) -> str:
        """Why nothing more may be sent; "" while something is left."""
        return self._short(self._history.tokens(), 0, 0) if self._limited else ""

    def fitting(self, requests: Sequence[Request], most: Most) -> tuple[int, str]:
        """How many of the first `requests` may be in flight at once, and why not the next; "" for all."""
        if not self._limited:
            return len(requests), ""
        used, reading, writing = self._history.tokens(), 0, 0
        for count, request in enumerate(requests):
            read, written = most(request)
            reading, writing = reading + read, writing + written
            if reason := self._short(used, reading, writing):
                return count, reason
        return len(requests), ""

    def _short(self, tokens: tuple[int, int], reading: int, writing: int) -> str:
        """Which budget does not hold these tokens more than `tokens`, or is used up anyway; "" for none."""
        config = self._config
        used, more = sum(tokens), reading + writing
        limit = config.token_budget
        if limit and (used >= limit or used + more > limit):
            return f"{used} of {limit} tokens are used" + (f"; a call may take {more}" if more else "")
        cost, further = self._cost(*tokens), self._cost(reading, writing)
        money = config.cost_budget
        if money and (cost >= money or cost + further > money):
            told = f"{cost:.4g} of {money:g} are spent"
            return told + (f"; a call may cost {further:.2g}" if further else "")
        return ""

    def _cost(self, read: int, written: int) -> float:
        return (read * self._config.price_in + written * self._config.price_out) / 1e6
