"""Whether a server will answer, found out by one short request before a seed model is trained."""

from __future__ import annotations

import re
import shlex
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

from ge_engine.config import RunConfig
from ge_engine.errors import ModelError
from ge_engine.llm.answers import Answer, Trouble
from ge_engine.llm.connection import connect
from ge_engine.llm.endpoint import Endpoint
from ge_engine.llm.forms import HELLO

SECONDS = 10.0
NAMES = 8
"""Names of models that a hint lists."""
NO_KEY = re.compile(r"\bapi[ _-]?key\b", re.IGNORECASE)
AGAIN = "and rerun the same command."
BROKEN = ("broken off", "malformed")
"""Kinds of trouble after which the first request is sent again."""
PAUSES = (0.2, 1.0)
"""Seconds between tries of the first request."""


class Unreached(ModelError):
    """Nothing answers at an address, or not to the end."""


def check_server(
    argument: str, environ: Mapping[str, str], config: RunConfig, seconds: float = SECONDS
) -> None:
    """Let "MODEL", "MODEL@URL" or each server of "MODEL@URL,URL" answer a request of a few tokens. A server
    that is slow or busy passes, unless it is to be left alone for longer than a prompt may wait; so does one
    of several that cannot be reached, while another can.

    Raises:
        ModelError: as `connect`; or nothing can be reached at the URL, it is no API, or the server refuses
            the key, the model or the request. The server's own reason is told. Of several servers, also those
            that say that they serve different models.
    """
    endpoints = connect(argument, environ, config)
    try:
        with ThreadPoolExecutor(len(endpoints)) as threads:
            found = list(threads.map(lambda one: _fault(one, seconds, config.llm_deadline), endpoints))
        refused = [one for one in found if one is not None and not isinstance(one, Unreached)]
        if first := next(iter(refused), None) or (all(found) and found[0]):
            raise first
        if len(endpoints) > 1:
            _require_one_model(endpoints, seconds)
    finally:
        for endpoint in endpoints:
            endpoint.close()


def _fault(endpoint: Endpoint, seconds: float, deadline: float) -> ModelError | None:
    """What stands in a server's way, None for nothing."""
    outcome = _first_whole(endpoint, seconds)
    try:
        if isinstance(outcome, Trouble):
            _judge(outcome, endpoint, seconds, deadline)
    except ModelError as error:
        return error
    return None


def _require_one_model(endpoints: Sequence[Endpoint], seconds: float) -> None:
    """Some servers answer as whatever model they are asked for: what they list tells them apart."""
    with ThreadPoolExecutor(len(endpoints)) as threads:
        lists = list(threads.map(lambda one: one.models(seconds), endpoints))
    served = [(one, _served(names or (), one.model)) for one, names in zip(endpoints, lists, strict=True)]
    known = [(endpoint, name) for endpoint, name in served if name]
    for endpoint, name in known[1:]:
        (first, other), *_ = known
        if name != other:
            raise ModelError(
                f"The servers at {first.place} and {endpoint.place} serve different models: "
                f"{other!r} and {name!r}.",
                f"Give servers of one model, or each as an --llm of its own, {AGAIN}",
            )


def _served(names: Sequence[str], asked: str) -> str:
    """Which of its models a server answers with, without the folder of a file; "" where that is not clear."""
    if asked in names or f"{asked}:latest" in names:
        return asked
    return names[0].rpartition("/")[2] if len(names) == 1 else ""


def _first_whole(endpoint: Endpoint, seconds: float) -> Answer | Trouble:
    """The answer to a short request, which is sent again where the connection or the answer broke."""
    for pause in PAUSES:
        outcome = endpoint.ask(*HELLO, seconds)
        if isinstance(outcome, Answer) or outcome.is_web_page or outcome.kind not in BROKEN:
            return outcome
        time.sleep(pause)
    return endpoint.ask(*HELLO, seconds)


def _judge(trouble: Trouble, endpoint: Endpoint, seconds: float, deadline: float) -> None:
    where = f"The server at {endpoint.place}"
    if trouble.kind == "unreachable":
        raise Unreached(
            f"No server can be reached at {endpoint.place}: {trouble.reason}.", _way_hint(trouble.reason)
        )
    if trouble.kind == "broken off":
        raise Unreached(
            f"{where} breaks off its answers: {trouble.reason}.",
            f"Look into its log; where it wants https://, write that in --llm-url, {AGAIN}",
        )
    if trouble.kind == "malformed":
        raise ModelError(f"{where} does not answer as an API: {trouble.reason}.", _url_hint(endpoint))
    if (trouble.wait or 0) >= deadline:
        raise ModelError(
            f"{where} is not to be asked for {trouble.wait:,.0f} s: {trouble.reason}.",
            f"Wait, or give a longer --llm-deadline, {AGAIN}",
        )
    if trouble.kind == "late" or not trouble.final:
        return
    if trouble.status in (401, 403) or NO_KEY.search(trouble.reason):
        raise ModelError(
            f"{where} refuses the key: {trouble.reason}.",
            f"Set OPENAI_API_KEY, or the variable of --llm-key-env, to a key that it takes, {AGAIN}",
        )
    if trouble.kind == "unpaid":
        raise ModelError(
            f"{where} is not paid: {trouble.reason}.", f"Add credit, or take another key, {AGAIN}"
        )
    if 300 <= trouble.status < 400:
        raise ModelError(
            f"{where} is not the API itself: {trouble.reason}.",
            "Give that as --llm-url, unless it is a page to sign in.",
        )
    names = endpoint.models(seconds) if trouble.status in (400, 404, 422) else None
    if names is not None and endpoint.model not in names:
        listed = ", ".join(names[:NAMES]) + (", ..." if len(names) > NAMES else "")
        raise ModelError(
            f"{where} does not answer as {endpoint.model!r}: {trouble.reason}.",
            f"It has: {listed or 'no model'}. Give one as --llm openai:MODEL.",
        )
    is_elsewhere = trouble.status in (404, 405, 501) or trouble.is_web_page
    hint = _url_hint(endpoint) if is_elsewhere else f"Fix what it names, {AGAIN}"
    raise ModelError(f"{where} refuses a short request: {trouble.reason}.", hint)


def _url_hint(endpoint: Endpoint) -> str:
    if re.search(r"/v\d|/openai\b", urlsplit(endpoint.url).path):
        return "Check the address of --llm-url."
    return f"The address of an API often ends in /v1: --llm-url {shlex.quote(f'{endpoint.url}/v1')}."


def _way_hint(reason: str) -> str:
    if "CERTIFICATE" in reason.upper():
        return "Name the file of your own certificates by SSL_CERT_FILE."
    if "WRONG_VERSION_NUMBER" in reason:
        return "Write http:// in place of https://."
    return f"Start it, or fix --llm-url, {AGAIN}"
