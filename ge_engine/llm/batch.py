"""Decode many requests as one batch: rows enter and leave at any step, prompts that begin alike are read
once, whole prompts and forced tokens are read beside the draws of other rows, and the grammars' masks are
computed while the model's forward runs.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
from llguidance import LLExecutor, LLTokenizer
from llguidance.numpy import allocate_token_bitmask, fill_next_token_bitmask_par

from ge_engine.contracts import Request
from ge_engine.llm.packed import Packing, pack
from ge_engine.llm.rows import Array, Row, common_prefix, open_row
from ge_engine.llm.slots import Columns
from ge_engine.llm.torch_body import RowCache

SHARE_FROM = 24
STORED_TOKENS = 16384
STEP_TOKENS = 4096

Forward = Callable[[Packing, RowCache, torch.Tensor], torch.Tensor]


class PrefixStore:
    """The cache columns of recent prompts, up to `capacity` tokens, for later prompts that begin alike.
    Least recently used goes."""

    def __init__(self, capacity: int = STORED_TOKENS) -> None:
        self._capacity = capacity
        self._held = 0
        self._stored: OrderedDict[tuple[int, ...], Columns] = OrderedDict()

    def longest(self, prompt: list[int]) -> tuple[int, Columns | None]:
        best, columns, hit = 0, None, None
        for tokens, stored in self._stored.items():
            shared = common_prefix(list(tokens), prompt)
            if shared > best:
                best, columns, hit = shared, stored, tokens
        if hit is not None:
            self._stored.move_to_end(hit)
        return best, columns

    def has(self, prompt: list[int]) -> bool:
        return tuple(prompt) in self._stored

    def put(self, prompt: list[int], columns: Columns) -> None:
        self._stored[tuple(prompt)] = columns
        self._held += len(prompt)
        while self._held > self._capacity:
            self._held -= len(self._stored.popitem(last=False)[0])


class Batch:
    """The rows in flight over one model. Use it once for each list of requests."""

    def __init__(
        self,
        forward: Forward,
        new_cache: Callable[[int], RowCache],
        tokenizer: LLTokenizer,
        decode: Callable[[Sequence[int]], str],
        store: PrefixStore,
        capacity: int,
    ) -> None:
        self._forward = forward
        self._tokenizer = tokenizer
        self._decode = decode
        self._store = store
        self._capacity = capacity
        self._cache = new_cache(capacity)
        self._rows: list[Row] = []
        self._masks = allocate_token_bitmask(capacity, tokenizer.vocab_size)
        self._masker = LLExecutor(num_threads=1)

    def run(self, requests: Sequence[tuple[int, Request, list[int]]]) -> Iterator[Row]:
        """Yield each row when it is finished. `requests` are (index, request, prompt's tokens)."""
        waiting = list(requests)
        with ThreadPoolExecutor(max_workers=1, thread_name_prefix="ge-masks") as thread:
            while waiting or self._rows:
                yield from self._admit(waiting)
                if self._rows:
                    self._step(thread)
                    yield from self._release()

    def _admit(self, waiting: list[tuple[int, Request, list[int]]]) -> Iterator[Row]:
        """Give free slots to requests, except those whose prompt's beginning is being read just now."""
        position = 0
        while position < len(waiting) and len(self._rows) < self._capacity:
            index, request, prompt = waiting[position]
            shared, columns = self._store.longest(prompt)
            if self._being_read(prompt) >= max(shared, 1) + SHARE_FROM:
                position += 1
                continue
            waiting.pop(position)
            row = open_row(index, request, prompt, self._tokenizer, self._decode)
            if row.finish:
                yield row
                continue
            shared = min(shared, len(prompt) - 1)
            if columns is not None and shared >= SHARE_FROM:
                self._cache.write(len(self._rows), columns, shared)
                row.read = shared
                del row.pending[:shared]
            self._rows.append(row)

    def _being_read(self, prompt: list[int]) -> int:
        unread = (row.prompt for row in self._rows if row.read < len(row.prompt))
        return max((common_prefix(other, prompt) for other in unread), default=0)

    def _step(self, thread: ThreadPoolExecutor) -> None:
        """Read what is pending, as far as a step goes; rows with nothing left draw their next token."""
        lengths = _shares([len(row.pending) for row in self._rows])
        chunks = [row.pending[:length] for row, length in zip(self._rows, lengths, strict=True)]
        drawing = [i for i, row in enumerate(self._rows) if len(row.pending) == lengths[i]]
        masks = thread.submit(self._fill_masks, drawing)
        with torch.inference_mode():
            logits = self._read(chunks, drawing)
        self._settle_reading(chunks)
        self._draw(drawing, logits, masks)

    def _fill_masks(self, drawing: list[int]) -> None:
        held = [(row.matcher, i) for i in drawing if (row := self._rows[i]).matcher is not None]
        if held:
            fill_next_token_bitmask_par(self._masker, held, self._masks)

    def _read(self, chunks: list[list[int]], drawing: list[int]) -> Array:
        """Logits of the rows that draw, float32 (rows, vocabulary)."""
        packing = pack(chunks, [row.read for row in self._rows])
        self._cache.aim(packing.slots, packing.positions, packing.width)
        last = {slot: first + length - 1 for slot, first, length in packing.spans}
        drawn = torch.tensor([last[i] for i in drawing], dtype=torch.long)
        return self._forward(packing, self._cache, drawn).float().cpu().numpy()

    def _settle_reading(self, chunks: list[list[int]]) -> None:
        for slot, (row, chunk) in enumerate(zip(self._rows, chunks, strict=True)):
            before = row.read
            row.read += len(chunk)
            del row.pending[: len(chunk)]
            if before < len(row.prompt) <= row.read and not self._store.has(row.prompt):
                self._store.put(row.prompt, self._cache.read(slot, len(row.prompt)))

    def _draw(self, drawing: list[int], logits: Array, masks: Future[Any]) -> None:
        masks.result()
        for line, i in enumerate(drawing):
            row = self._rows[i]
            if row.matcher is None:
                row.draw(logits[line, : self._tokenizer.vocab_size], None)
                continue
            bits = np.unpackbits(self._masks[i].view(np.uint8), bitorder="little")
            allowed = np.flatnonzero(bits[: self._tokenizer.vocab_size])
            if not len(allowed):
                row.finish, row.error = "error", row.matcher.get_error() or "the grammar allows no token"
                continue
            row.draw(logits[line, allowed], allowed)

    def _release(self) -> Iterator[Row]:
        """Hand out finished rows; the last row moves into the slot that becomes free."""
        for slot in range(len(self._rows) - 1, -1, -1):
            row = self._rows[slot]
            if not row.finish:
                continue
            last = len(self._rows) - 1
            if slot != last:
                self._cache.move(last, slot, self._rows[last].read)
                self._rows[slot] = self._rows[last]
            self._rows.pop()
            yield row


def _shares(pending: list[int]) -> list[int]:
    """How many tokens each row reads in the next step: all, but the longest rows get what others leave of
    `STEP_TOKENS`."""
    left, shares = STEP_TOKENS, [0] * len(pending)
    for row in sorted(range(len(pending)), key=pending.__getitem__):
        shares[row] = min(pending[row], left)
        left -= shares[row]
    return shares
