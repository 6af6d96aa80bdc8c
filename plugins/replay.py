"""Answers from another run's database: the same run again without a model, or new readings of old replies."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from ge_engine.contracts import LanguageModel, Reply, Request


class ReplayModel(LanguageModel):
    """Replies by a request's key ("g2s5/0"). A key that the other run never asked ends in an error."""

    def __init__(self, name: str, replies: Mapping[str, Reply], run: Path | None = None) -> None:
        self.name = name
        self.replays = run
        self._replies = replies

    def generate(self, requests: Sequence[Request]) -> Iterator[tuple[int, Reply]]:
        for index, request in enumerate(requests):
            yield index, self._replies.get(request.key) or self._missing(request.key)

    def most_tokens(self, request: Request) -> tuple[int, int]:
        """What the other run's reply took: it is known."""
        reply = self._replies.get(request.key) or self._missing(request.key)
        return reply.prompt_tokens, reply.completion_tokens

    def _missing(self, key: str) -> Reply:
        return Reply("", "error", 0, 0, 0.0, self.name, f"the replayed run holds no reply for {key}")
