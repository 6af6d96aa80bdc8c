"""A person or a program as the language model: each prompt is a file, and the answer is awaited as a file.

DIR/g0s3-0-1f2e3d.prompt.md holds the prompt, DIR/g0s3-0-1f2e3d.reply.md its answer. The name holds a digest
of the prompt, so an answer can never meet another prompt; one that is there already is taken at once, so that
an interrupted run goes on. DIR/WAITING.md lists what is still to be answered.
"""

from __future__ import annotations

import hashlib
import math
import os
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from ge_engine.contracts import LanguageModel, Reply, Request
from ge_engine.errors import ModelError

POLL_SECONDS = 0.25
CHARACTERS_PER_TOKEN = 4
PROMPT_TOKENS = 16_000
LONGEST_REPLY = 1_000_000
WAITING = "WAITING.md"
NOTHING = "Nothing waits for an answer.\n"


class ManualModel(LanguageModel):
    """Asks through the files of `folder`. Answers are taken in any order. What has none after `timeout`
    seconds is given up on; 0 waits as long as it takes.

    Raises:
        ModelError: the folder cannot be made or written to.
    """

    prompt_tokens = PROMPT_TOKENS

    def __init__(self, name: str, folder: Path, poll: float = POLL_SECONDS, timeout: float = 0.0) -> None:
        self.name = name
        self._folder = folder
        self._poll = poll
        self._timeout = timeout or math.inf
        self._closed = threading.Event()
        self._list({})

    def generate(self, requests: Sequence[Request]) -> Iterator[tuple[int, Reply]]:
        """Write every prompt, then yield each answer once its file has stopped growing."""
        started = time.monotonic()
        waiting = {index: self._write(request) for index, request in enumerate(requests)}
        sizes: dict[int, int] = {}
        self._list(waiting)
        while waiting and not self._closed.is_set() and time.monotonic() - started <= self._timeout:
            for index, stem in list(waiting.items()):
                size = self._size(stem)
                if size and sizes.get(index) == size:
                    del waiting[index]
                    self._list(waiting)
                    yield index, self._read(stem, requests[index], time.monotonic() - started)
                sizes[index] = size
            if waiting:
                self._closed.wait(self._poll)
        closed = self._closed.is_set()
        late = f"no answer came within {self._timeout:g} s (--manual-timeout)"
        for index in waiting:
            yield index, self._error("the run was closed before an answer came" if closed else late)
        if waiting and not closed:
            self._list({})

    def close(self) -> None:
        """Stop waiting. The files stay: the same run takes answers that come later."""
        self._closed.set()

    def _write(self, request: Request) -> str:
        text = as_text(request)
        digest = hashlib.sha256(text.encode()).hexdigest()[:6]
        stem = f"{request.key.replace('/', '-')}-{digest}"
        self._put(f"{stem}.prompt.md", text)
        return stem

    def _size(self, stem: str) -> int:
        try:
            return (self._folder / f"{stem}.reply.md").stat().st_size
        except FileNotFoundError:
            return 0

    def _read(self, stem: str, request: Request, seconds: float) -> Reply:
        file = self._folder / f"{stem}.reply.md"
        try:
            with file.open("rb") as opened:
                data = opened.read(LONGEST_REPLY + 1)
        except OSError as error:
            return self._error(f"{file.name} cannot be read: {error.strerror}")
        if len(data) > LONGEST_REPLY:
            return self._error(f"{file.name} holds more than {LONGEST_REPLY:,} bytes")
        text = data.decode("utf-8", "replace")
        asked = tokens(request.prompt.system) + tokens(request.prompt.user)
        return Reply(text, "stop", asked, tokens(text), seconds, self.name, "")

    def _error(self, reason: str) -> Reply:
        return Reply("", "error", 0, 0, 0.0, self.name, reason)

    def _list(self, waiting: Mapping[int, str]) -> None:
        lines = [f"- {stem}.prompt.md is answered by {stem}.reply.md" for stem in waiting.values()]
        head = f"{len(lines)} prompts wait for an answer:\n\n" if lines else NOTHING
        self._put(WAITING, head + "".join(f"{line}\n" for line in lines))

    def _put(self, name: str, text: str) -> None:
        """Write a file whole or not at all."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            part = self._folder / f".{name}.part"
            part.write_text(text, "utf-8")
            os.replace(part, self._folder / name)
        except OSError as error:
            raise ModelError(
                f"The folder {self._folder} cannot be written to: {error.strerror}.",
                "Give a folder of yours, --llm manual:DIR.",
            ) from error


def as_text(request: Request) -> str:
    """What a prompt's file holds: the frame, then what is asked."""
    return f"{request.prompt.system.strip()}\n\n{request.prompt.user.strip()}\n"


def tokens(text: str) -> int:
    """About how many tokens a text has; at least one."""
    return max(1, len(text) // CHARACTERS_PER_TOKEN)
