"""A language model without a model: draws from the grammar at random. The control, and a fast double.

Each next byte is drawn uniformly from those that the constraint allows; forced bytes cost nothing. A reply
depends on its constraint and `Sampling.seed` alone.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

import numpy as np
from llguidance import LLTokenizer, TokenizerWrapper
from llguidance.numpy import allocate_token_bitmask, fill_next_token_bitmask

from ge_engine.contracts import LanguageModel, Reply, Request
from ge_engine.llm.following import Follower

END = 256
BYTES = 4
"""Bytes of a large model's token, about: `max_tokens` counts such tokens."""
PROSE = "No reason is given: this reply was drawn at random."


class UniformModel(LanguageModel):
    """Uniform draws, byte by byte. A request without a constraint is answered with one fixed sentence."""

    name = "uniform"
    prompt_tokens = 0

    def generate(self, requests: Sequence[Request]) -> Iterator[tuple[int, Reply]]:
        for index, request in enumerate(requests):
            yield index, _answer(request)

    def most_tokens(self, request: Request) -> tuple[int, int]:
        """Its tokens are bytes."""
        return _prompt_bytes(request), max(BYTES * request.sampling.max_tokens, len(PROSE))


def _prompt_bytes(request: Request) -> int:
    return len(f"{request.prompt.system}{request.prompt.user}".encode())


def _answer(request: Request) -> Reply:
    started = time.perf_counter()
    prompt_tokens = _prompt_bytes(request)
    if request.constraint is None:
        return Reply(PROSE, "stop", prompt_tokens, len(PROSE), time.perf_counter() - started, "uniform")
    follower = Follower(request.constraint, byte_tokenizer(), _decode)
    rng = random.Random(request.sampling.seed)
    masks = allocate_token_bitmask(1, END + 1)
    follower.start()
    limit = BYTES * request.sampling.max_tokens
    while not follower.done and len(follower.tokens) < limit:
        assert follower.matcher is not None
        fill_next_token_bitmask(follower.matcher, masks)
        allowed = np.flatnonzero(np.unpackbits(masks.view(np.uint8), bitorder="little")[: END + 1])
        follower.take(int(rng.choice(allowed.tolist())))
    finish: Any = "error" if follower.error else "stop" if follower.done else "length"
    text = _decode(follower.tokens)
    seconds = time.perf_counter() - started
    return Reply(text, finish, prompt_tokens, len(follower.tokens), seconds, "uniform", follower.error)


class _Bytes:
    """The 256 bytes and an end, in the shape that llguidance asks of a tokenizer."""

    eos_token_id = END
    bos_token_id = None
    tokens = tuple([bytes([value]) for value in range(256)] + [b"<|end|>"])
    special_token_ids = (END,)

    def __call__(self, text: bytes) -> list[int]:
        return list(text)


@cache
def byte_tokenizer() -> LLTokenizer:
    """One token a byte; token 256 ends a reply."""
    return LLTokenizer(TokenizerWrapper(_Bytes()))


def _decode(tokens: Sequence[int]) -> str:
    return bytes(tokens).decode("utf-8", "replace")
