"""A language model behind a server that speaks the OpenAI protocol.

Requests run side by side up to a limit. Only 429, 5xx, timeouts and broken answers are tried again, with
backoff or as Retry-After says, and never past a deadline. Keys come from the environment or a file, and are
cut out of every message.
"""

from __future__ import annotations

import math
import queue
import random
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

from ge_engine.contracts import LanguageModel, Reply, Request
from ge_engine.errors import ModelError
from ge_engine.llm.forms import Form, supported_form
from ge_engine.places import secrets_of, without

PARALLEL = 8
DEADLINE = 300.0
ATTEMPT_SECONDS = 120.0
CHECK_SECONDS = 10.0
FIRST_PAUSE = 1.0
LONGEST_PAUSE = 30.0
PROMPT_TOKENS = 16_000
FRAME = 256
"""Tokens of roles, of a chat template and of what a server puts before it, at most."""
CHARACTERS_A_TOKEN = 128
"""The longest tokens of today's vocabularies are runs of as many spaces."""
MOST_TOKENS = 10**9
RETRIED = frozenset((408, 409, 425, 429, 500, 502, 503, 504, 529))


@dataclass(frozen=True, slots=True)
class ServerLimits:
    """`parallel` requests at once; `deadline` seconds for one request, retries included; `attempt` seconds
    for one try; `pause` seconds before the second try, doubled each time."""

    parallel: int = PARALLEL
    deadline: float = DEADLINE
    attempt: float = ATTEMPT_SECONDS
    pause: float = FIRST_PAUSE


class ServerModel(LanguageModel):
    """Answers through `client.chat.completions`. `form` is how the server takes a grammar, None for not."""

    prompt_tokens = PROMPT_TOKENS

    def __init__(
        self, model: str, client: Any, limits: ServerLimits, form: Form | None, *secrets: str
    ) -> None:
        """`secrets` are cut out of all that the server says."""
        self.name = f"openai:{model}"
        self.form = form
        self._model = model
        self._client = client
        self._limits = limits
        self._secrets = tuple(filter(None, secrets))

    def generate(self, requests: Sequence[Request]) -> Iterator[tuple[int, Reply]]:
        """Each index exactly once; a request that is not answered by its deadline ends in an error."""
        waiting: queue.SimpleQueue[tuple[int, Request]] = queue.SimpleQueue()
        answers: queue.SimpleQueue[tuple[int, Reply]] = queue.SimpleQueue()
        begun: dict[int, float] = {}
        for item in enumerate(requests):
            waiting.put(item)
        for _ in range(min(self._limits.parallel, len(requests))):
            self._start_worker(waiting, answers, begun)
        left = dict(enumerate(requests))
        while left:
            try:
                index, reply = answers.get(timeout=0.05)
            except queue.Empty:
                for index in [i for i in left if self._overdue(begun.get(i))]:
                    del left[index]
                    self._start_worker(waiting, answers, begun)
                    yield (
                        index,
                        self._failure("the server did not answer before the deadline", self._limits.deadline),
                    )
                continue
            if left.pop(index, None) is not None:
                yield index, reply

    def most_tokens(self, request: Request) -> tuple[int, int]:
        """What a request may read and write: a token has at least one byte, the messages' frame is small, and
        a grammar that is sent as a tool counts as part of the prompt."""
        sent = [request.prompt.system, request.prompt.user]
        if request.constraint is not None and self.form is not None and self.form.counted:
            sent.append(request.constraint.whole())
        return sum(len(text.encode("utf-8", "replace")) for text in sent) + FRAME, request.sampling.max_tokens

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _overdue(self, begin: float | None) -> bool:
        return begin is not None and time.monotonic() > begin + self._limits.deadline + 0.5

    def _start_worker(self, waiting: Any, answers: Any, begun: dict[int, float]) -> None:
        """A daemon: one that a server holds past its deadline must not hold the process."""

        def work() -> None:
            while True:
                try:
                    index, request = waiting.get_nowait()
                except queue.Empty:
                    return
                begun[index] = time.monotonic()
                answers.put((index, self._answer(request)))

        threading.Thread(target=work, name="ge-server", daemon=True).start()

    def _answer(self, request: Request) -> Reply:
        """Try until there is an answer, an error that trying cannot fix, or the deadline."""
        started = time.monotonic()
        pause, options = self._limits.pause, self._options(request)
        while True:
            left = self._limits.deadline - (time.monotonic() - started)
            if left <= 0:
                return self._failure(
                    "the server did not answer before the deadline", time.monotonic() - started
                )
            outcome = self._attempt(request, options, min(left, self._limits.attempt), started)
            if isinstance(outcome, Reply):
                return outcome
            if outcome.adapted is not None:
                options = outcome.adapted
                continue
            wait = outcome.wait if outcome.wait is not None else pause * random.uniform(0.75, 1.25)
            if outcome.final or time.monotonic() - started + wait >= self._limits.deadline:
                return self._failure(outcome.reason, time.monotonic() - started)
            time.sleep(wait)
            pause = min(2 * pause, LONGEST_PAUSE)

    def _attempt(
        self, request: Request, options: dict[str, Any], seconds: float, started: float
    ) -> Reply | Trouble:
        import openai

        try:
            answer = self._client.chat.completions.create(**options, timeout=seconds)
            return self._read(answer, started, CHARACTERS_A_TOKEN * request.sampling.max_tokens)
        except openai.APIStatusError as error:
            return self._refused(error, options)
        except openai.APIConnectionError as error:
            return Trouble(self._clean(f"{type(error).__name__}: {error.__cause__ or error}"))
        except (openai.APIError, ValueError, KeyError, TypeError, AttributeError) as error:
            return Trouble(self._clean(f"{type(error).__name__}: {error}"))

    def _read(self, answer: Any, started: float, most: int) -> Reply | Trouble:
        """The reply, of at most `most` characters: one that is longer than it may be is cut off."""
        choices = getattr(answer, "choices", None)
        if not choices:
            return Trouble("the server's answer holds no choice")
        message, usage = choices[0].message, getattr(answer, "usage", None)
        text = without(message.content or _tool_text(message), self._secrets)
        cut = choices[0].finish_reason == "length" or len(text) > most
        return Reply(
            text=text[:most],
            finish="length" if cut else "stop",
            prompt_tokens=_tokens(usage, "prompt_tokens"),
            completion_tokens=_tokens(usage, "completion_tokens"),
            seconds=time.monotonic() - started,
            model=self.name,
        )

    def _refused(self, error: Any, options: dict[str, Any]) -> Trouble:
        status, said = int(error.status_code), str(error)
        if status == 400 and "max_completion_tokens" in said and "max_tokens" in options:
            changed = {k: v for k, v in options.items() if k != "max_tokens"}
            return Trouble("", adapted={**changed, "max_completion_tokens": options["max_tokens"]})
        if status == 400 and "temperature" in said and "temperature" in options:
            return Trouble("", adapted={k: v for k, v in options.items() if k != "temperature"})
        reason = self._clean(f"the server answered {status}: {said}")
        return Trouble(reason, final=status not in RETRIED, wait=_retry_after(error.response.headers))

    def _options(self, request: Request) -> dict[str, Any]:
        messages = [{"role": "user", "content": request.prompt.user}]
        if request.prompt.system:
            messages.insert(0, {"role": "system", "content": request.prompt.system})
        options: dict[str, Any] = {
            "model": self._model,
            "messages": messages,
            "temperature": request.sampling.temperature,
            "max_tokens": request.sampling.max_tokens,
            "seed": request.sampling.seed & 0x7FFFFFFF,
        }
        if request.constraint is not None and self.form is not None:
            options |= self.form.options(request.constraint.whole())
        return options

    def _failure(self, reason: str, seconds: float) -> Reply:
        return Reply("", "error", 0, 0, seconds, self.name, reason)

    def _clean(self, message: str) -> str:
        return " ".join(without(message, self._secrets).split())[:300]


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why a try gave no reply. `final`: trying again cannot help. `wait`: the server's Retry-After."""

    reason: str
    final: bool = False
    wait: float | None = None
    adapted: dict[str, Any] | None = None


def open_server(argument: str, environ: Mapping[str, str], limits: ServerLimits | None = None) -> ServerModel:
    """Open "MODEL" or "MODEL@URL". Without a URL, $OPENAI_BASE_URL or OpenAI itself is asked.

    The key is $OPENAI_API_KEY, or the text of the file that $OPENAI_API_KEY_FILE names; servers of one's
    own need none.

    Raises:
        ModelError: the `openai` package is missing, the key's file cannot be read, or there is neither
            a key nor a URL.
    """
    limits = limits or ServerLimits()
    model, client, secrets = _client(argument, environ, limits.attempt)
    form = supported_form(client, model, min(30.0, limits.attempt))
    return ServerModel(model, client, limits, form, *secrets)


def check_server(argument: str, environ: Mapping[str, str], seconds: float = CHECK_SECONDS) -> None:
    """Whether "MODEL" or "MODEL@URL" can be opened, and whether a server is there that takes the key.

    It is asked for its list of models, which costs nothing; one that has none, or is slow or busy, passes.

    Raises:
        ModelError: as `open_server`, or nothing can be reached at the URL, or the key is refused.
    """
    _, client, secrets = _client(argument, environ, seconds)
    import openai

    from ge_engine.llm.bounded import Unbounded

    where = client.base_url.netloc.decode()
    with client:
        try:
            client.models.list()
        except (openai.AuthenticationError, openai.PermissionDeniedError) as error:
            raise ModelError(
                f"The server at {where} refuses the key (status {error.status_code}).",
                "Set OPENAI_API_KEY or OPENAI_API_KEY_FILE to a key that it takes.",
            ) from error
        except openai.APITimeoutError:
            return
        except openai.APIConnectionError as error:
            if isinstance(error, Unbounded) or isinstance(error.__cause__, Unbounded):
                return
            said = without(str(error.__cause__ or error), secrets)
            raise ModelError(
                f"No server can be reached at {where}: {said}.",
                "Start it, or fix --llm-url, and give the same command again.",
            ) from error
        except (openai.APIError, ValueError):
            return


def _client(argument: str, environ: Mapping[str, str], seconds: float) -> tuple[str, Any, tuple[str, ...]]:
    """The model's name, a client for its server, and what nobody may read: the key and secrets of the URL."""
    try:
        import openai
    except ImportError as error:
        raise ModelError(
            "The package openai is needed to ask a server.", "pip install 'ge-engine[server]'"
        ) from error
    model, _, url = argument.partition("@")
    url = url or environ.get("OPENAI_BASE_URL", "")
    key = _key(environ)
    if not key and not url:
        raise ModelError(
            "There is no key for OpenAI.",
            "Set OPENAI_API_KEY or OPENAI_API_KEY_FILE, or name your own server: --llm openai:MODEL@URL.",
        )
    from ge_engine.llm.bounded import BoundedClient

    client = openai.OpenAI(
        api_key=key or "none",
        base_url=url or None,
        max_retries=0,
        timeout=seconds,
        http_client=BoundedClient(timeout=seconds),
    )
    secrets = (key, *secrets_of(url))
    return model, client, tuple(sorted(filter(None, secrets), key=len, reverse=True))


def _key(environ: Mapping[str, str]) -> str:
    if key := environ.get("OPENAI_API_KEY", "").strip():
        return key
    if not (file := environ.get("OPENAI_API_KEY_FILE", "")):
        return ""
    try:
        return Path(file).expanduser().read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ModelError(
            "The file that OPENAI_API_KEY_FILE names cannot be read.", "Check its path."
        ) from error


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds until another try is welcome, told as a number or as a date (RFC 9110, section 10.2.3)."""
    said = headers.get("retry-after", "")
    try:
        seconds = float(said)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(said).timestamp() - time.time()
        except ValueError:
            return None
    return max(0.0, seconds) if math.isfinite(seconds) else None


def _tokens(usage: Any, name: str) -> int:
    """A server's figure, within what a ledger counts in."""
    return min(max(int(getattr(usage, name, 0) or 0), 0), MOST_TOKENS)


def _tool_text(message: Any) -> str:
    """The input of a custom tool, which is how OpenAI gives text that follows a grammar."""
    for call in getattr(message, "tool_calls", None) or ():
        custom = getattr(call, "custom", None)
        if custom is not None:
            return str(custom.input)
    return ""
