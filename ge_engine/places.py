"""Addresses of servers: where they begin, and as they may be stored and shown, without passwords and keys."""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import unquote

HIDDEN = "***"
OWNER = re.compile(r"(?<=://)[^/?#\s]*(?=@)")
NEXT = r",\s*(?=[a-z][a-z0-9+.-]*://)"
"""Between two addresses."""
QUERY = re.compile(rf"(?<=[?&])([^=&#\s]*)=((?:(?!{NEXT})[^&#\s])*)", re.IGNORECASE)
OPEN = frozenset(("api-version", "version"))
"""Parts of a query that are no secret."""
FIELD = re.compile(
    r'("[^"]*(?:key|secret|password|authorization|credential)[^"]*"|"[^"]*token")\s*:\s*"((?:[^"\\]|\\.)+)"',
    re.IGNORECASE,
)
"""A text in JSON under a name that a secret has."""
PLACE = re.compile(r"@(?=[a-z][a-z0-9+.-]*://|localhost\b|[\w.-]+:\d+(?:/|$))", re.IGNORECASE)


def split_place(argument: str) -> tuple[str, str]:
    """Model and address of "MODEL@URL", "" for no address. An @ before anything else is part of the name.

    >>> split_place("org/model@001@http://host/v1")
    ('org/model@001', 'http://host/v1')
    """
    model, *place = PLACE.split(argument, maxsplit=1)
    return model, "".join(place)


def split_addresses(text: str) -> list[str]:
    """The addresses of "URL,URL", each once; of one URL alone, it. A comma before anything but an address is
    part of a URL.

    >>> split_addresses("http://a/v1, http://b/v1?x=1,2")
    ['http://a/v1', 'http://b/v1?x=1,2']
    """
    return list(dict.fromkeys(filter(None, map(str.strip, re.split(NEXT, text, flags=re.IGNORECASE)))))


def shown(text: str) -> str:
    """A text with addresses and JSON, with three stars for who asks, for what a query says, and for a field
    of JSON that is named as a secret.

    >>> shown("openai:m@http://me:word@host:1/v1?key=abc")
    'openai:m@http://***@host:1/v1?key=***'
    """
    return FIELD.sub(rf'\1: "{HIDDEN}"', QUERY.sub(_query, OWNER.sub(HIDDEN, text)))


def secrets_of(text: str) -> list[str]:
    """Passwords and keys in a text with addresses and JSON, as they stand there and as they are meant."""
    found = [part for owner in OWNER.findall(text) for part in (owner, owner.partition(":")[2])]
    found += [value for name, value in QUERY.findall(text) if name.lower() not in OPEN]
    found += [value for _, value in FIELD.findall(text)]
    return list(dict.fromkeys(form for one in found if one for form in (one, unquote(one))))


def without(text: str, secrets: Iterable[str]) -> str:
    """`text` with three stars for each of `secrets`, the longest first."""
    for secret in secrets:
        text = text.replace(secret, HIDDEN)
    return text


def _query(found: re.Match[str]) -> str:
    return found[0] if found[1].lower() in OPEN else f"{found[1]}={HIDDEN}"
