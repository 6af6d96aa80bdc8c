"""One reply in the making: its tokens, what is still to be read into the cache, and its own random draw."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from llguidance import LLMatcher, LLTokenizer

from ge_engine.contracts import Reply, Request
from ge_engine.llm.following import Follower

Array = np.ndarray[Any, Any]


@dataclass(slots=True)
class Row:
    """`read` tokens of the row are in the cache; `pending` come next; `prompt` + `tokens` is the whole text.

    A draw depends on the request's own seed alone, never on the rows beside it.
    """

    index: int
    request: Request
    prompt: list[int]
    follower: Follower | None
    ends: frozenset[int]
    read: int = 0
    pending: list[int] = field(default_factory=list)
    tokens: list[int] = field(default_factory=list)
    finish: Literal["stop", "length", "error", ""] = ""
    error: str = ""
    drawn: int = 0
    started: float = field(default_factory=time.perf_counter)
    rng: np.random.Generator = field(init=False)

    def __post_init__(self) -> None:
        self.rng = np.random.default_rng(self.request.sampling.seed & 0xFFFFFFFFFFFFFFFF)
        self.pending = list(self.prompt)
        if self.follower is not None:
            self._append(self.follower.start())
            self._settle()

    @property
    def matcher(self) -> LLMatcher | None:
        return self.follower.matcher if self.follower else None

    def draw(self, logits: Array, allowed: Array | None) -> None:
        """Draw the next token from `logits` (float32; of the `allowed` ids, or of all) and append it."""
        token = int(_draw(logits, self.request.sampling.temperature, self.rng))
        if allowed is not None:
            token = int(allowed[token])
        self.drawn += 1
        if self.follower is not None:
            self._append(self.follower.take(token))
        elif token in self.ends:
            self.finish = "stop"
        else:
            self._append([token])
        self._settle()

    def _append(self, tokens: Sequence[int]) -> None:
        self.tokens.extend(tokens)
        self.pending.extend(tokens)

    def _settle(self) -> None:
        if self.follower is not None and self.follower.error:
            self.finish, self.error = "error", self.follower.error
        elif self.follower is not None and self.follower.done:
            self.finish = "stop"
        elif not self.finish and len(self.tokens) >= self.request.sampling.max_tokens:
            self.finish = "length"

    def reply(self, model: str, decode: Callable[[Sequence[int]], str]) -> Reply:
        return Reply(
            text=decode(self.tokens),
            finish=self.finish or "error",
            prompt_tokens=len(self.prompt),
            completion_tokens=len(self.tokens),
            seconds=time.perf_counter() - self.started,
            model=model,
            error=self.error,
        )


def open_row(
    index: int,
    request: Request,
    prompt: list[int],
    tokenizer: LLTokenizer,
    decode: Callable[[Sequence[int]], str],
) -> Row:
    """A row at its start; already finished when its constraint cannot be followed or forces all of it."""
    follower = Follower(request.constraint, tokenizer, decode) if request.constraint else None
    return Row(index, request, prompt, follower, frozenset(tokenizer.eos_tokens))


def _draw(logits: Array, temperature: float, rng: np.random.Generator) -> int:
    if temperature <= 0 or len(logits) == 1:
        return int(logits.argmax())
    weights = np.exp((logits - logits.max()).astype(np.float64) / temperature)
    total = np.cumsum(weights)
    return int(np.searchsorted(total, rng.random() * total[-1], side="right").clip(max=len(logits) - 1))


def common_prefix(a: Sequence[int], b: Sequence[int]) -> int:
    """How many leading tokens two sequences share."""
    limit = min(len(a), len(b))
    low, high = 0, limit
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if a[:middle] == b[:middle] else (low, middle - 1)
    return low
