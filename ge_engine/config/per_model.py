"""Settings that each language model may have of its own: entries "[MODEL=]VALUE"."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any

DECIDED = frozenset(("messages", "model", "n"))
"""Fields of a request that the engine decides."""
WEIGHT = re.compile(r"^(?P<model>.+):(?P<weight>\d*\.\d+|[01])$")
VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def own_value(entries: Iterable[str], model: str) -> str:
    """What "[MODEL=]VALUE" say of `model`: the last entry that names it, else the last for all; "" for none.

    >>> own_value(["ALL", "gpt=MINE"], "gpt")
    'MINE'
    """
    given = dict(map(_split, entries))
    return given.get(model) or given.get(f"openai:{model}") or given.get("", "")


def split_weight(spec: str) -> tuple[str, str]:
    """Language model and weight of "MODEL:WEIGHT", one of several; "" for no weight.

    >>> split_weight("openai:m@http://host/v1:0.5")
    ('openai:m@http://host/v1', '0.5')
    """
    found = WEIGHT.match(spec)
    return (found["model"], found["weight"]) if found else (spec, "")


def are_variables(entries: Iterable[str]) -> bool:
    """Whether each value can name an environment variable."""
    return all(VARIABLE.fullmatch(_split(one)[1]) for one in entries)


def are_request_fields(entries: Iterable[str]) -> bool:
    """Whether each value is a JSON object of fields that a user may add to a request."""
    fields = [_object(_split(one)[1]) for one in entries]
    return all(one is not None and not DECIDED & set(one) for one in fields)


def _split(entry: str) -> tuple[str, str]:
    name, brace, rest = entry.partition("{")
    if brace:
        return name.strip().removesuffix("="), brace + rest
    name, _, value = entry.rpartition("=")
    return name, value


def _object(text: str) -> dict[str, Any] | None:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None
