"""What comes out of one worker: its report and what it printed, read from pipes as it comes."""

from __future__ import annotations

import os
import selectors

from ge_engine.evaluation.executor import WorkerExit

LOG_BYTES = 16 * 1024
_PART, _PARTS = 2**16, 16


class WorkerOutput:
    """The two pipes of a worker, registered in `selector`; `theirs` are the worker's ends, of the result and
    of the log. Of more than `limit` bytes of a result the rest is not read."""

    def __init__(self, selector: selectors.BaseSelector, limit: int) -> None:
        self._selector, self._limit = selector, limit
        self._result_end, result = os.pipe()
        self._log_end, log = os.pipe()
        self.theirs = (result, log)
        self._open = {self._result_end, self._log_end}
        self._result, self._head, self._tail = bytearray(), bytearray(), bytearray()
        for end in self._open:
            os.set_blocking(end, False)
            selector.register(end, selectors.EVENT_READ, self)

    def read(self, end: int) -> None:
        """Take what there is at `end`, up to 1 MiB at a time."""
        for _ in range(_PARTS):
            if end not in self._open:
                return
            try:
                part = os.read(end, _PART)
            except BlockingIOError:
                return
            if end == self._log_end:
                self._keep(part)
            else:
                self._result += part
            if not part or self._too_much:
                self._close(end)

    def ended(self, status: int, reason: str) -> WorkerExit:
        """Read what an ended worker has left in its pipes, which hold less than 1 MiB, and close them."""
        self.drain()
        gap = b"\n[...]\n" if len(self._tail) == LOG_BYTES else b""
        log = (self._head + gap + self._tail).decode("utf-8", "replace")
        return WorkerExit(status, "result" if self._too_much else reason, bytes(self._result), log)

    def drain(self) -> None:
        """Read what is left, and close both pipes."""
        for end in tuple(self._open):
            self.read(end)
        for end in tuple(self._open):
            self._close(end)

    @property
    def _too_much(self) -> bool:
        return len(self._result) > self._limit

    def _close(self, end: int) -> None:
        self._open.discard(end)
        self._selector.unregister(end)
        os.close(end)

    def _keep(self, part: bytes) -> None:
        room = max(LOG_BYTES - len(self._head), 0)
        self._head += part[:room]
        self._tail += part[room:]
        del self._tail[:-LOG_BYTES]
