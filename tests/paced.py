"""A language model for tests of agents that decode: it answers when a test lets it, and asks its constraints.

`paced:FOLDER` waits with each reply until FOLDER/go is there, and leaves FOLDER/PID.asked when it begins.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from ge_engine.config import RunConfig
from ge_engine.contracts import LanguageModel, LanguageModelFactory, Reply, Request
from ge_engine.errors import ModelError
from ge_engine.hookspecs import hookimpl


class Paced(LanguageModel):
    prompt_tokens = 321
    precision = "paces"

    def __init__(self, folder: str) -> None:
        self.name = "paced"
        self._folder = Path(folder) if folder else None

    def generate(self, requests: Sequence[Request]) -> Iterator[tuple[int, Reply]]:
        """The first half of the replies at once, the others when they may come."""
        if self._folder:
            self.say("it begins")
            (self._folder / f"{os.getpid()}.asked").touch()
        for index, request in enumerate(requests):
            while self._folder and index >= len(requests) // 2 and not (self._folder / "go").exists():
                time.sleep(0.01)
            yield index, self._reply(request)

    def _reply(self, request: Request) -> Reply:
        user = request.prompt.user
        if user == "fail":
            raise ModelError("It will not.", "Ask otherwise.")
        if user == "fault":
            raise ValueError("its own fault")
        text = "".join(self._parts(request)) or f"{request.prompt.system}|{user}|{request.sampling.seed}"
        return Reply(text, "stop", len(user), len(text), 0.5, self.name)

    def _parts(self, request: Request) -> Iterator[str]:
        """What the constraint says of each part, as the answer."""
        so_far = ""
        while request.constraint and (part := request.constraint.part(so_far)) is not None:
            so_far += part
            yield part


class PacedFactory(LanguageModelFactory):
    name = "paced"
    opens_elsewhere = True

    def check(self, argument: str, config: RunConfig) -> None:
        if argument and not Path(argument).is_dir():
            raise ModelError(f"The language model paced cannot be loaded: there is no folder {argument}.")

    def open(self, argument: str, config: RunConfig) -> LanguageModel:
        return Paced(argument)


@hookimpl
def ge_language_models() -> Iterable[LanguageModelFactory]:
    yield PacedFactory()
