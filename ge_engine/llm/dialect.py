"""What a server wants otherwise than other servers do: found out by a refusal, remembered, and told once."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

Fields = Mapping[str, Any]
NAMED = frozenset((400, 404, 415, 422, 500, 501))
"""Statuses of refusals that may name a field."""


@dataclass(frozen=True, slots=True)
class Change:
    """Another form of a request: `apply` makes it, where a refusal that `pattern` matches asks for it."""

    pattern: re.Pattern[str]
    sentence: str
    apply: Callable[[Fields], Fields]


class Dialect:
    """The changes of requests that one server needs. Requests may learn them side by side."""

    def __init__(self) -> None:
        self._learnt: list[Change] = []
        self._news: list[str] = []
        self._lock = threading.Lock()

    def applied(self, fields: Fields) -> tuple[Fields, int]:
        """`fields` as the server wants them, by so many changes."""
        learnt = list(self._learnt)
        for change in learnt:
            fields = change.apply(fields)
        return fields, len(learnt)

    def learn(self, said: str, fields: Fields, known: int) -> bool:
        """Whether `fields`, sent with `known` changes and refused as `said`, may be sent in another form."""
        with self._lock:
            if len(self._learnt) > known:
                return True
            for change in CHANGES:
                if change.pattern.search(said) and change.apply(fields) != fields:
                    self._learnt.append(change)
                    self._news.append(change.sentence)
                    return True
        return False

    def news(self) -> list[str]:
        """What was learnt since the last call, a sentence each."""
        with self._lock:
            told, self._news = self._news, []
        return told


def _unthinking(fields: Fields) -> Fields:
    return {**fields, "extra_body": {"enable_thinking": False, **fields.get("extra_body", {})}}


def _streaming(fields: Fields) -> Fields:
    if "stream" in fields:
        return fields
    return {**fields, "stream": True, "stream_options": {"include_usage": True}}


def _limited_anew(fields: Fields) -> Fields:
    renamed = {"max_tokens": "max_completion_tokens"}
    return {renamed.get(name, name): value for name, value in fields.items()}


def _without_system(fields: Fields) -> Fields:
    text = "\n\n".join(message["content"] for message in fields["messages"])
    return {**fields, "messages": [{"role": "user", "content": text}]}


def _left_out(name: str) -> Change:
    return Change(
        re.compile(rf"\b{name}\b"),
        f"the server takes no {name}: it is left out",
        lambda fields: {key: value for key, value in fields.items() if key != name},
    )


CHANGES = (
    Change(
        re.compile(r"\benable_thinking\b"), "the server wants enable_thinking to be false here", _unthinking
    ),
    _left_out("stream_options"),
    Change(
        re.compile(r"\bmax_completion_tokens\b"),
        "the server takes max_completion_tokens in place of max_tokens",
        _limited_anew,
    ),
    Change(
        re.compile(
            r"\b(system|developer)\b\W*(role|message|prompt|instruction)|\brole\b.{0,60}\bsystem\b|"
            r"roles must alternate",
            re.IGNORECASE,
        ),
        "the server has no system role: its text is put before the user's",
        _without_system,
    ),
    _left_out("seed"),
    _left_out("temperature"),
    Change(
        re.compile(
            r"\bstream(ing)?\b.{0,60}\b(true|only|must|required?|enabled?)\b|"
            r"\b(only|must|enable)\b.{0,60}\bstream",
            re.IGNORECASE,
        ),
        "the server only streams: it is asked to",
        _streaming,
    ),
)
