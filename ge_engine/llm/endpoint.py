"""One model of one server: a request in, and its answer or why there is none."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

from ge_engine.contracts import Prompt, Sampling
from ge_engine.llm.answers import Answer, Kind, Trouble, read_answer, read_refusal
from ge_engine.llm.dialect import NAMED, Dialect, Fields
from ge_engine.places import without

LONGEST_REASON = 300
VERSION = re.compile(r"/v\d+$")
"""The end of an address that names the version of an API."""
BROKEN_OFF = ("RemoteProtocolError", "ReadError", "WriteError", "CloseError")
"""httpx's errors of a connection that was there."""


class Endpoint:
    """Asks `model` through `client.chat.completions`. `extra` are a user's own fields of each request; one
    that is None is left out. `secrets` are cut out of all that the server says."""

    def __init__(
        self, model: str, client: Any, *secrets: str, extra: Mapping[str, Any] | None = None
    ) -> None:
        self.model = model
        self.extra = extra or {}
        self.dialect = Dialect()
        self._client = client
        self._secrets = tuple(filter(None, secrets))

    @property
    def url(self) -> str:
        """Where the server's API begins, without a query and a password."""
        base = urlsplit(str(self._client.base_url))
        return f"{base.scheme}://{self._host}{base.path}".rstrip("/")

    @property
    def place(self) -> str:
        """The server's host and port, and what tells it from others there."""
        return VERSION.sub("", self.url.partition("://")[2])

    @property
    def _host(self) -> str:
        return str(self._client.base_url.netloc.decode())

    def ask(
        self, prompt: Prompt, sampling: Sampling, seconds: float, more: Fields | None = None
    ) -> Answer | Trouble:
        """One try of at most `seconds`, besides those in which a field that the server refuses is changed.
        `more` are fields of the request besides prompt and sampling."""
        fields = {**_fields(prompt, sampling), **(more or {}), "model": self.model}
        while True:
            adapted, known = self.dialect.applied(fields)
            outcome = self._try(self._completed(adapted), seconds)
            if isinstance(outcome, Answer):
                text = without(outcome.text, self._secrets)
                return replace(outcome, text=text, error=self.clean(outcome.error))
            if outcome.status not in NAMED or not self.dialect.learn(outcome.reason, adapted, known):
                return replace(outcome, reason=self.clean(outcome.reason))

    def models(self, seconds: float) -> Sequence[str] | None:
        """The names of the server's models; None where it does not tell them."""
        import openai

        try:
            answer = self._client.models.with_raw_response.list(timeout=seconds)
            return [self.clean(str(one["id"])) for one in json.loads(answer.text)["data"]]
        except (openai.APIError, ValueError, LookupError, TypeError, RecursionError):
            return None

    def why_unwell(self, seconds: float) -> str:
        """Why the server cannot answer now, "" where it can: by /health, where it has that (vLLM and SGLang
        know there whether their engine lives; vllm-project/vllm#24897), else by its models. No key is sent to
        the first: servers that want one for it (LiteLLM) would ask their models."""
        import openai

        omitted = {name: openai.Omit() for name in ("Authorization", "api-key")}
        found = self._look(f"{VERSION.sub('', self.url)}/health", seconds, omitted)
        if found is None or found.kind != "refused" or found.status >= 500:
            return found.reason if found else ""
        found = self._look("/models", seconds, {})
        is_there = found is None or (found.kind == "refused" and found.status < 500)
        return found.reason if found and (not is_there or found.status in (401, 403)) else ""

    def _look(self, url: str, seconds: float, headers: Mapping[str, Any]) -> Trouble | None:
        """None where an answer of success came."""
        import openai

        try:
            self._client.get(url, cast_to=str, options={"timeout": seconds, "headers": headers})
        except openai.APIStatusError as error:
            response = error.response
            found = read_refusal(int(error.status_code), response.text, response.headers)
        except openai.APIConnectionError as error:
            found = _no_answer(error, seconds)
        except (openai.APIError, ValueError) as error:
            found = Trouble(f"{type(error).__name__}: {error}", "malformed")
        else:
            return None
        return replace(found, reason=self.clean(found.reason)) if isinstance(found, Trouble) else None

    def clean(self, message: str) -> str:
        """A message of the server on one line, without secrets."""
        words = " ".join(without(message, self._secrets).split()).rstrip(".")
        return words if len(words) <= LONGEST_REASON else words[:LONGEST_REASON] + " [...]"

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _completed(self, fields: Fields) -> Fields:
        """With the user's own fields, which win."""
        kept = {name: value for name, value in fields.items() if self.extra.get(name, ...) is not None}
        own = {name: value for name, value in self.extra.items() if value is not None}
        return {**kept, "extra_body": {**fields.get("extra_body", {}), **own}}

    def _try(self, fields: Fields, seconds: float) -> Answer | Trouble:
        import openai

        try:
            answer = self._client.chat.completions.with_raw_response.create(**fields, timeout=seconds)
            return read_answer(answer.text)
        except openai.APIStatusError as error:
            response = error.response
            return read_refusal(int(error.status_code), response.text, response.headers)
        except openai.APIConnectionError as error:
            return _no_answer(error, seconds)
        except (openai.APIError, ValueError) as error:
            return Trouble(f"{type(error).__name__}: {error}", "malformed")


def _fields(prompt: Prompt, sampling: Sampling) -> dict[str, Any]:
    messages = [{"role": "user", "content": prompt.user}]
    if prompt.system:
        messages.insert(0, {"role": "system", "content": prompt.system})
    return {
        "messages": messages,
        "temperature": sampling.temperature,
        "max_tokens": sampling.max_tokens,
        "seed": sampling.seed & 0x7FFFFFFF,
    }


def _no_answer(error: Any, seconds: float) -> Trouble:
    """What a broken connection means. Whatever was bounded in size or time was there, but is no use."""
    import openai

    from ge_engine.llm.bounded import Unbounded

    for one in (error, error.__cause__):
        if isinstance(one, Unbounded):
            return Trouble(str(one), "late")
    if isinstance(error, openai.APITimeoutError):
        return Trouble(f"the server's answer was not there after {seconds:g} s", "late")
    cause = error.__cause__ or error
    kind: Kind = "broken off" if type(cause).__name__ in BROKEN_OFF else "unreachable"
    return Trouble(f"the connection failed: {cause}", kind)
