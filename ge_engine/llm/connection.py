"""The way to a server: its address, its key, proxies and certificates."""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, parse_qsl, urlsplit

from ge_engine.config import RunConfig
from ge_engine.config.per_model import own_value
from ge_engine.errors import ModelError
from ge_engine.llm.endpoint import Endpoint
from ge_engine.places import secrets_of, shown, split_addresses, split_place

KEY = "OPENAI_API_KEY"
ENDS = ("/chat/completions", "/completions", "/models")
"""Of addresses that name one service of an API."""
SENDABLE = re.compile(r"[!-~]+")
HOST = re.compile(r"[^\s\x00-\x20\ud800-\udfff]+")
QUOTES = "\"'`"


def connect(argument: str, environ: Mapping[str, str], config: RunConfig) -> list[Endpoint]:
    """The endpoints of "MODEL", "MODEL@URL" or "MODEL@URL,URL", one for each address. Without a URL,
    $OPENAI_BASE_URL or OpenAI itself is asked.

    The key is in the variable that `config.llm_key_env` names, else in $OPENAI_API_KEY, else in the file that
    $OPENAI_API_KEY_FILE names; servers of one's own need none. Environment variables name proxies, which are
    not used for loopback, and certificates.

    Raises:
        ModelError: the `openai` package is missing; key, address or proxy cannot be; or there is neither a
            key nor a URL.
    """
    model, url = split_place(argument)
    url = url or environ.get("OPENAI_BASE_URL", "")
    key = _key(environ, own_value(config.llm_key_env, model))
    extra = own_value(config.llm_extra, model)
    if not key and not url:
        raise ModelError(
            "There is no key for OpenAI.",
            f"Set {KEY} or OPENAI_API_KEY_FILE, or name your own server: --llm openai:MODEL@URL.",
        )
    places: list[SplitResult | None] = [_address(one) for one in split_addresses(url)]
    secrets = sorted({key, *secrets_of(url), *secrets_of(extra)}, key=len, reverse=True)
    fields = json.loads(extra) if extra else None
    clients = [_client(place, key, config.llm_timeout) for place in places or [None]]
    return [Endpoint(model, client, *secrets, extra=fields) for client in clients]


def _client(place: SplitResult | None, key: str, seconds: float) -> Any:
    try:
        import openai

        from ge_engine.llm.bounded import BoundedClient
    except ImportError as error:
        raise ModelError(
            "The package openai is needed to ask a server.", "pip install 'ge-engine[server]'"
        ) from error
    query = dict(parse_qsl(place.query, keep_blank_values=True)) if place else {}
    try:
        http = BoundedClient(timeout=seconds, mounts=_direct(place.hostname if place else None))
    except ImportError as error:
        raise ModelError(
            "The package socksio is needed for a SOCKS proxy.", "pip install 'ge-engine[server]'"
        ) from error
    except Exception as error:
        raise ModelError(
            f"The connection cannot be set up: {shown(str(error))}.",
            "Check the variables ALL_PROXY, HTTP_PROXY, HTTPS_PROXY and SSL_CERT_FILE.",
        ) from error
    return openai.OpenAI(
        api_key=key or "none",
        base_url=place._replace(query="", fragment="").geturl() if place else None,
        default_query=query,
        default_headers={"api-key": key} if key and "api-version" in query else None,
        max_retries=0,
        timeout=seconds,
        http_client=http,
    )


def _address(url: str) -> SplitResult:
    """The parts of a URL, without the name of one service at its end. Raises ModelError for one that cannot
    be."""
    try:
        place = urlsplit(url.strip())
        usable = (
            place.scheme in ("http", "https") and HOST.fullmatch(place.hostname or "") and place.port != 0
        )
    except ValueError:
        usable = False
    if not usable:
        raise ModelError(
            f"{shown(url)} is no address of a server.", "For example --llm-url http://localhost:8000/v1."
        )
    path = place.path.rstrip("/")
    return place._replace(path=next((path.removesuffix(end) for end in ENDS if path.endswith(end)), path))


def _direct(host: str | None) -> Mapping[str, None]:
    """No proxy for this machine itself."""
    if host is None or not _is_loopback(host):
        return {}
    return {f"all://{f'[{host}]' if ':' in host else host}": None}


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _key(environ: Mapping[str, str], variable: str) -> str:
    """The key, "" for none. Raises ModelError, which never tells it."""
    if variable:
        if not environ.get(variable, "").strip():
            raise ModelError(
                "The environment variable that --llm-key-env names is not set.", "Set it, or name another."
            )
        return _checked(environ[variable], "that --llm-key-env names")
    if environ.get(KEY, "").strip():
        return _checked(environ[KEY], f"in {KEY}")
    if not (file := environ.get("OPENAI_API_KEY_FILE", "")):
        return ""
    try:
        return _checked(Path(file).expanduser().read_text("utf-8"), "in the file of OPENAI_API_KEY_FILE")
    except (OSError, UnicodeDecodeError) as error:
        raise ModelError(
            "The file that OPENAI_API_KEY_FILE names cannot be read.", "Check its path."
        ) from error


def _checked(key: str, source: str) -> str:
    key = key.strip()
    if SENDABLE.fullmatch(key) and key[:1] not in QUOTES and key[-1:] not in QUOTES:
        return key
    raise ModelError(
        f"The key {source} has quotes, blanks or characters that no key has.",
        "Set it to the key alone, as the server's owner gave it.",
    )
