"""A language model behind a server that speaks the OpenAI protocol.

Requests run side by side up to a limit. Only 429, 5xx, timeouts and broken answers are tried again: at
another server of the same model, or with backoff or as Retry-After says, and never past a deadline. Keys come
from the environment or a file, and are cut out of every message.
"""

from __future__ import annotations

import queue
import random
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ge_engine.config import RunConfig
from ge_engine.contracts import LanguageModel, Reply, Request
from ge_engine.llm.answers import Answer
from ge_engine.llm.connection import connect
from ge_engine.llm.server_pool import LONGEST_PAUSE, Lease, Server, ServerPool

PROBE_SECONDS = 30.0
FIRST_PAUSE = 1.0
PROMPT_TOKENS = 16_000
FRAME = 256
"""Tokens of roles, of a chat template and of what a server puts before it, at most."""
CHARACTERS_A_TOKEN = 128
"""The longest tokens of today's vocabularies are runs of as many spaces."""
LIMITS = ("max_tokens", "max_completion_tokens", "max_output_tokens")
"""Fields by which a user may let replies be longer."""
LATE = "the server did not answer before the deadline (--llm-deadline)"
UNCOUNTED = "the server does not count tokens: each call is charged the most that it may take"


@dataclass(frozen=True, slots=True)
class ServerLimits:
    """`parallel` requests at once for each server; `deadline` seconds for one request, retries included;
    `attempt` seconds for one try; `pause` seconds before the second try, doubled each time."""

    parallel: int = 8
    deadline: float = 300.0
    attempt: float = 120.0
    pause: float = FIRST_PAUSE


class ServerModel(LanguageModel):
    """Answers through the servers of `pool`, all of one model."""

    prompt_tokens = PROMPT_TOKENS

    def __init__(self, pool: ServerPool, limits: ServerLimits) -> None:
        self.name = f"openai:{pool.model}"
        self.pool = pool
        self._limits = limits
        self._told: dict[str, float] = {}

    def generate(self, requests: Sequence[Request]) -> Iterator[tuple[int, Reply]]:
        """Each index exactly once; a request that is not answered by its deadline ends in an error."""
        waiting: queue.SimpleQueue[tuple[int, Request]] = queue.SimpleQueue()
        answers: queue.SimpleQueue[tuple[int, Reply]] = queue.SimpleQueue()
        begun: dict[int, tuple[float, Lease]] = {}
        for item in enumerate(requests):
            waiting.put(item)
        for _ in range(min(self._limits.parallel * len(self.pool.servers), len(requests))):
            self._start_worker(waiting, answers, begun)
        left = dict(enumerate(requests))
        while left:
            self._tell_news()
            try:
                index, reply = answers.get(timeout=0.05)
            except queue.Empty:
                if self.pool.is_closed:
                    return
                for index in [i for i in left if self._overdue(begun.get(i))]:
                    del left[index]
                    begun[index][1].release()
                    self._start_worker(waiting, answers, begun)
                    yield index, self._failure(LATE, self._limits.deadline)
                continue
            if left.pop(index, None) is not None:
                yield index, reply
        self._tell_news()

    def most_tokens(self, request: Request) -> tuple[int, int]:
        """What a request may read and write: a token has at least one byte, the messages' frame is small, and
        a grammar that is sent as a tool counts as part of the prompt."""
        sent = [request.prompt.system, request.prompt.user]
        if request.constraint is not None and any(one.reads_grammar for one in self.pool.servers):
            sent.append(request.constraint.whole())
        extra = self.pool.servers[0].endpoint.extra
        given = [limit for name in LIMITS if isinstance(limit := extra.get(name), int)]
        read = sum(len(text.encode("utf-8", "replace")) for text in sent) + FRAME
        return read, max(given, default=request.sampling.max_tokens)

    def close(self) -> None:
        """Close the connections."""
        self.pool.close()

    def _overdue(self, begun: tuple[float, Lease] | None) -> bool:
        return begun is not None and time.monotonic() > begun[0] + self._limits.deadline + 0.5

    def _start_worker(self, waiting: Any, answers: Any, begun: dict[int, tuple[float, Lease]]) -> None:
        """A daemon: one that a server holds past its deadline must not hold the process."""

        def work() -> None:
            while lease := self.pool.lease():
                try:
                    index, request = waiting.get_nowait()
                except queue.Empty:
                    lease.release()
                    return
                begun[index] = time.monotonic(), lease
                answers.put((index, self._answer(request, lease)))
                lease.release()

        threading.Thread(target=work, name="ge-server", daemon=True).start()

    def _answer(self, request: Request, lease: Lease) -> Reply:
        """Try until there is an answer, an error that trying cannot fix, or the deadline."""
        started, pause = time.monotonic(), self._limits.pause
        while True:
            left = self._limits.deadline - (time.monotonic() - started)
            if left <= 0 or not lease.renew(left):
                return self._failure(LATE, time.monotonic() - started)
            outcome = lease.ask(request, min(left, self._limits.attempt))
            if isinstance(outcome, Answer):
                return self._reply(outcome, request, time.monotonic() - started)
            if self.pool.serves_after(outcome):
                continue
            wait = self.pool.pause_after(outcome, pause * random.uniform(0.75, 1.25))
            is_late = time.monotonic() - started + wait >= self._limits.deadline
            if is_late or self.pool.gives_up_after(outcome):
                return self._failure(outcome.reason, time.monotonic() - started)
            self._tell(f"{outcome.reason}; it is tried again", wait)
            self.pool.wait(wait)
            pause = min(2 * pause, LONGEST_PAUSE)

    def _tell_news(self) -> None:
        for sentence in self.pool.news():
            self.say(sentence)

    def _tell(self, sentence: str, seconds: float) -> None:
        """Say it once in so many seconds, however many requests meet it."""
        now = time.monotonic()
        if now >= self._told.get(sentence, now):
            self._told[sentence] = now + seconds
            self.say(sentence)

    def _reply(self, answer: Answer, request: Request, seconds: float) -> Reply:
        """The reply, cut off where it is longer than it may be. Tokens that the server does not tell count as
        the most that the request may take."""
        read, written = self.most_tokens(request)
        if answer.prompt_tokens is None or answer.completion_tokens is None:
            self._tell(UNCOUNTED, float("inf"))
        most = CHARACTERS_A_TOKEN * written
        cut = answer.cut or len(answer.text) > most
        return Reply(
            text=answer.text[:most],
            finish="error" if answer.error else "length" if cut else "stop",
            prompt_tokens=answer.prompt_tokens or read,
            completion_tokens=answer.completion_tokens or written,
            seconds=seconds,
            model=self.name,
            error=answer.error,
        )

    def _failure(self, reason: str, seconds: float) -> Reply:
        return Reply("", "error", 0, 0, seconds, self.name, reason)


def open_server(
    argument: str, environ: Mapping[str, str], config: RunConfig, pause: float = FIRST_PAUSE
) -> ServerModel:
    """Open "MODEL", "MODEL@URL" or "MODEL@URL,URL", and find out how each server takes a grammar. `pause` is
    in seconds.

    Raises:
        ModelError: as `connect`.
    """
    limits = ServerLimits(config.llm_parallel, config.llm_deadline, config.llm_timeout, pause)
    servers = [Server(endpoint, is_known=False) for endpoint in connect(argument, environ, config)]
    pool = ServerPool(servers, limits.parallel, pause)
    pool.get_to_know(min(PROBE_SECONDS, limits.attempt))
    return ServerModel(pool, limits)
