"""Several servers of one model: requests go to the one with the fewest, what one fails is sent to another.

One that fails is set aside, and looked at again by its health path in a thread of its own. One server alone
is never set aside: there is nobody else to ask.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from ge_engine.contracts import Request
from ge_engine.llm.answers import Answer, Trouble
from ge_engine.llm.balance import balanced
from ge_engine.llm.endpoint import Endpoint
from ge_engine.llm.forms import Form, supported_form

HEALTH_SECONDS = 5.0
LONGEST_PAUSE = 30.0
"""Seconds for which a request waits at once, unless its only server says otherwise."""
SLICE = 1.0
"""Seconds between two looks at whether the pool is closed."""


@dataclass(slots=True)
class Server:
    """One server. `form` is how it takes a grammar, None for not; `is_known`: that was found out."""

    endpoint: Endpoint
    form: Form | None = None
    is_known: bool = True

    @property
    def reads_grammar(self) -> bool:
        """Whether the model reads a request's grammar, so that it is charged."""
        return self.form is not None and self.form.counted

    def ask(self, request: Request, seconds: float) -> Answer | Trouble:
        """One try of at most `seconds`, with the request's grammar where the server takes it."""
        constraint = request.constraint
        form = self.form.options(constraint.whole()) if self.form and constraint else {}
        return self.endpoint.ask(request.prompt, request.sampling, seconds, form)

    def get_to_know(self, seconds: float) -> None:
        """Find out how it takes a grammar, each question in `seconds` at most."""
        if not self.is_known:
            self.form = supported_form(self.endpoint, seconds)
            self.is_known = True


class ServerPool:
    """Shares requests among `servers`, `most` at once for each. `pause` seconds are a server's first rest."""

    def __init__(self, servers: Sequence[Server], most: int, pause: float) -> None:
        self.servers = tuple(servers)
        self._balance = balanced(len(self.servers), most, pause)
        self._changed = threading.Condition()
        self._watched: set[int] = set()
        self._closed = threading.Event()
        self._news: list[str] = []
        self._has_others = len(self.servers) > 1

    @property
    def model(self) -> str:
        """The name of the model that all of them serve."""
        return self.servers[0].endpoint.model

    def get_to_know(self, seconds: float) -> None:
        """Find out side by side how the servers take a grammar. Of several, those that are not well are set
        aside until they are."""
        with ThreadPoolExecutor(len(self.servers)) as threads:
            list(threads.map(lambda number: self._first_look(number, seconds), range(len(self.servers))))

    @property
    def is_closed(self) -> bool:
        """Whether nobody is asked any more."""
        return self._closed.is_set()

    def lease(self) -> Lease | None:
        """A place at a server, as soon as there is one; None when the pool is closed."""
        lease = Lease(self)
        while not self._closed.is_set():
            if lease.renew(SLICE):
                return lease
        return None

    def serves_after(self, trouble: Trouble) -> bool:
        """Whether another server is there for a request that ended in `trouble`, which was one server's."""
        return self._has_others and trouble.is_servers_own and self._balance.has_service

    def gives_up_after(self, trouble: Trouble) -> bool:
        """Whether `trouble` is final on each server."""
        others_may = self._has_others and trouble.is_servers_own and not self._balance.is_hopeless
        return trouble.final and not others_may

    def pause_after(self, trouble: Trouble, pause: float) -> float:
        """Seconds until the next try: `pause`, or what the server asks for. Of several, another may be back
        before that."""
        if self._has_others:
            return min(trouble.wait or pause, LONGEST_PAUSE)
        return pause if trouble.wait is None else trouble.wait

    def wait(self, seconds: float) -> None:
        """Wait, at most until one of several servers is back in service."""
        with self._changed:
            self._changed.wait_for(lambda: self._has_others and self._balance.has_service, seconds)

    def news(self) -> list[str]:
        """Since the last call: which servers were set aside or are back, and what each wants otherwise than
        others, a sentence each."""
        with self._changed:
            told, self._news = self._news, []
        for number, server in enumerate(self.servers):
            where = f"{self._named(number)}: " if self._has_others else ""
            told += [where + sentence for sentence in server.endpoint.dialect.news()]
        return told

    def close(self) -> None:
        """Close the connections, and look after no server any more."""
        self._closed.set()
        for server in self.servers:
            server.endpoint.close()

    def _first_look(self, number: int, seconds: float) -> None:
        server = self.servers[number]
        why = server.endpoint.why_unwell(min(seconds, HEALTH_SECONDS)) if self._has_others else ""
        if why:
            self._set_aside(number, Trouble(why, "unreachable"), time.monotonic())
        else:
            server.get_to_know(seconds)

    def _set_aside(self, number: int, trouble: Trouble, sent_at: float) -> None:
        if not self._has_others or self.is_closed:
            return
        with self._changed:
            before = self._balance
            least = trouble.wait or 0.0
            self._balance = before.failed(number, sent_at, time.monotonic(), least, trouble.final)
            if self._balance is before:
                return
            self._news.append(f"{self._named(number)} is set aside: {trouble.reason}")
            if number in self._watched:
                return
            self._watched.add(number)
        threading.Thread(target=self._watch, args=(number,), name="ge-server-health", daemon=True).start()

    def _watch(self, number: int) -> None:
        """Look at a server that was set aside each time that it is due, until it is back."""
        try:
            while not self._closed.wait(self._until_due(number)):
                if self._is_back(number):
                    return
        except RuntimeError:  # of a client that was closed meanwhile
            if not self._closed.is_set():
                raise

    def _is_back(self, number: int) -> bool:
        server, begun = self.servers[number], time.monotonic()
        why = server.endpoint.why_unwell(HEALTH_SECONDS)
        if not why:
            server.get_to_know(HEALTH_SECONDS)
        with self._changed:
            standing, now = self._balance.standings[number], time.monotonic()
            if not standing.in_service and standing.aside_at < begun:
                again = self._balance.failed(number, begun, now, refuses=standing.refuses)
                self._balance = again if why else self._balance.back(number)
            if not self._balance.standings[number].in_service:
                return False
            self._watched.discard(number)
            self._news.append(f"{self._named(number)} is back")
            self._changed.notify_all()
            return True

    def _until_due(self, number: int) -> float:
        return max(0.0, self._balance.standings[number].due - time.monotonic())

    def _named(self, number: int) -> str:
        return f"the server at {self.servers[number].endpoint.place}"

    def _asked(self, number: int, request: Request, seconds: float) -> Answer | Trouble:
        """Let a server try once, and remember how that went."""
        sent_at = time.monotonic()
        outcome = self.servers[number].ask(request, seconds)
        if isinstance(outcome, Answer):
            with self._changed:
                self._balance = self._balance.answered(number)
                self._changed.notify_all()
        elif outcome.is_servers_own:
            self._set_aside(number, outcome, sent_at)
        return outcome


class Lease:
    """A request's place at one of a pool's servers. Whoever waits gets it when it is released, which another
    thread than the one that uses it may do."""

    def __init__(self, pool: ServerPool) -> None:
        self._pool = pool
        self._number: int | None = None
        self._ended = False

    def renew(self, seconds: float) -> bool:
        """Change the place for one at the server that is the best now. False: there is no room within
        `seconds`, or the lease was released; then there is no place."""
        pool = self._pool
        with pool._changed:
            self._give_back()
            pool._changed.wait_for(lambda: self._ended or pool._balance.chosen() is not None, seconds)
            number = None if self._ended else pool._balance.chosen()
            if number is not None:
                pool._balance = pool._balance.taken(number)
            self._number = number
            return number is not None

    def ask(self, request: Request, seconds: float) -> Answer | Trouble:
        """One try at the server, of at most `seconds`."""
        assert self._number is not None
        return self._pool._asked(self._number, request, seconds)

    def release(self) -> None:
        """Give the place back, for good."""
        with self._pool._changed:
            self._ended = True
            self._give_back()

    def _give_back(self) -> None:
        if self._number is not None:
            self._pool._balance = self._pool._balance.released(self._number)
            self._pool._changed.notify_all()
        self._number = None
