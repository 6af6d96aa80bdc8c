"""Addresses of servers as they may be stored and shown: without passwords and keys."""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import unquote

HIDDEN = "***"
OWNER = re.compile(r"(?<=://)[^/?#\s]*(?=@)")
QUERY = re.compile(r"(?<=[?&])([^=&#\s]*)=([^&#\s]*)")
OPEN = frozenset(("api-version", "version"))
"""Parts of a query that are no secret."""


def shown(address: str) -> str:
    """`address`, or a text with addresses, with three stars for who asks and for what a query says.

    >>> shown("openai:m@http://me:word@host:1/v1?key=abc")
    'openai:m@http://***@host:1/v1?key=***'
    """
    return QUERY.sub(_query, OWNER.sub(HIDDEN, address))


def secrets_of(address: str) -> list[str]:
    """Passwords and keys in an address, as they stand there and as they are meant."""
    found = [part for owner in OWNER.findall(address) for part in (owner, owner.partition(":")[2])]
    found += [value for name, value in QUERY.findall(address) if name.lower() not in OPEN]
    return list(dict.fromkeys(form for one in found if one for form in (one, unquote(one))))


def without(text: str, secrets: Iterable[str]) -> str:
    """`text` with three stars for each of `secrets`, the longest first."""
    for secret in secrets:
        text = text.replace(secret, HIDDEN)
    return text


def _query(found: re.Match[str]) -> str:
    return found[0] if found[1].lower() in OPEN else f"{found[1]}={HIDDEN}"
