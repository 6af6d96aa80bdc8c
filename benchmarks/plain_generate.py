"""The plain way, to compare with: transformers' `generate`, prompt by prompt, with the same grammar."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from llguidance import LLMatcher
from llguidance.hf import from_tokenizer
from transformers import LogitsProcessor, LogitsProcessorList

from ge_engine.contracts import LanguageModel, Reply, Request


class _Mask(LogitsProcessor):
    def __init__(self, matcher: LLMatcher, prompt: int) -> None:
        self._matcher = matcher
        self._read = prompt

    def __call__(self, input_ids: torch.LongTensor, scores: torch.FloatTensor) -> torch.FloatTensor:
        for token in input_ids[0, self._read :].tolist():
            self._matcher.consume_token(token)
        self._read = input_ids.shape[1]
        bits = np.unpackbits(np.frombuffer(self._matcher.compute_bitmask(), np.uint8), bitorder="little")
        allowed = torch.from_numpy(bits[: scores.shape[1]].astype(bool))
        return scores.masked_fill(~allowed, float("-inf"))  # type: ignore[return-value]


class PlainGenerate(LanguageModel):
    """Answers one request after the other with `model.generate`."""

    name = "plain generate"

    def __init__(self, local: Any) -> None:
        self._local = local
        self._matching = from_tokenizer(local.tokenizer, n_vocab=local.model.config.vocab_size)

    def generate(self, requests: Sequence[Request]) -> Iterator[tuple[int, Reply]]:
        for index, request in enumerate(requests):
            yield index, self._answer(request)

    def close(self) -> None:
        """The model belongs to someone else."""

    def _answer(self, request: Request) -> Reply:
        started = time.perf_counter()
        ids = torch.tensor([self._local.encode(request.prompt)])
        processors = LogitsProcessorList()
        if request.constraint is not None:
            grammar = LLMatcher.grammar_from_lark(request.constraint.whole())
            processors.append(_Mask(LLMatcher(self._matching, grammar), ids.shape[1]))
        torch.manual_seed(request.sampling.seed)
        answer = self._local.model.generate(
            ids,
            attention_mask=torch.ones_like(ids),
            max_new_tokens=request.sampling.max_tokens,
            do_sample=True,
            temperature=request.sampling.temperature,
            top_k=0,
            logits_processor=processors,
        )[0, ids.shape[1] :].tolist()
        finish: Any = "length" if len(answer) >= request.sampling.max_tokens else "stop"
        text = self._local.decode(answer)
        return Reply(text, finish, ids.shape[1], len(answer), time.perf_counter() - started, self.name)


def plain_generate(local: LanguageModel) -> LanguageModel:
    """The plain loop over the same weights."""
    return PlainGenerate(local)
