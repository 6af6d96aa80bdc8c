"""A language model that is loaded and decodes on other machines, in agents that an executor starts."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from queue import Empty
from typing import Any

from ge_engine.agents.head import Listening
from ge_engine.agents.versions import module_digest, versions_of
from ge_engine.config import RunConfig, config_to_dict
from ge_engine.contracts import AgentOrder, LanguageModel, Reply, Request
from ge_engine.llm.decoding_head import DecodingHead
from ge_engine.llm.machines import Machines

AGENT = "ge_engine.llm.decode_agent"
ADDRESS = "agents.json"
LOOK_SECONDS = 0.5
"""Between two looks at whether a wait is to end."""
DECODING = ("torch", "numpy", "transformers", "tokenizers", "llguidance")
"""Distributions of which other versions may give other replies, beside those of `--llm-backend`."""


@dataclass(frozen=True, slots=True)
class Source:
    """A language model as `--llm NAME:ARGUMENT` says it, and where it is opened: by the plugin `module`, of a
    `distribution`, "" for a file at hand."""

    name: str
    argument: str
    module: str
    distribution: str


class RemoteModel(LanguageModel):
    """Answers through agents. What one that is lost owed, another answers, or one that takes its place."""

    def __init__(
        self, listening: Listening, machines: Machines, order: AgentOrder, opening: Mapping[str, Any]
    ) -> None:
        self._interrupted = machines.interrupted
        pool = machines.executor.open(machines.argument, order)
        self._head = DecodingHead(listening, pool, opening, lambda sentence: self.say(sentence))
        try:
            described = self._head.first.result()
        except BaseException:
            self._head.close()
            raise
        self.name, self.precision = described.name, described.precision
        self.prompt_tokens = described.prompt_tokens

    def generate(self, requests: Sequence[Request]) -> Iterator[tuple[int, Reply]]:
        """(index, reply) as each comes, over all agents.

        Raises:
            ModelError: the model failed there, or three agents were lost with the same request.
            GeError: no agent can be had.
            KeyboardInterrupt: the run is to end, and no agent is there that could answer.
        """
        if not requests:
            return
        answers = self._head.ask(requests)
        left = len(requests)
        try:
            while left:
                try:
                    answer = answers.get(timeout=LOOK_SECONDS)
                except Empty:
                    if self._interrupted() and not self._head.serving():
                        raise KeyboardInterrupt from None
                    continue
                if isinstance(answer, BaseException):
                    raise answer
                left -= 1
                index, reply = answer
                if reply is not None:
                    yield index, reply
        finally:
            self._head.forget(answers)

    def close(self) -> None:
        """Dismiss the agents, which give the memory back."""
        self._head.close()


def open_remote(source: Source, machines: Machines, config: RunConfig) -> RemoteModel:
    """The model, once the first agent has loaded it. Waits as long as machines take to come.

    Raises:
        GeError: as `AgentExecutor.open`; or agents end before they serve, whose reasons are told.
        KeyboardInterrupt: a signal has ended the wait.
    """
    machines.folder.mkdir(parents=True, exist_ok=True)
    file = (machines.folder / ADDRESS).resolve()
    host = machines.executor.host(machines.argument) or socket.gethostname()
    listening = Listening(host, file, machines.executor.patience)
    order = AgentOrder(
        command=(sys.executable, "-P", "-m", AGENT, str(file)),
        folder=machines.folder.resolve(),
        cores=1,
        gpus=1,
        seconds=config.llm_deadline,
    )
    backend = () if config.llm_backend == "torch" else ("openvino",)
    distributions = (*DECODING, *backend, *filter(None, [source.distribution]))
    opening = {
        "name": source.name,
        "argument": source.argument,
        "module": source.module,
        "file": "" if source.distribution else module_digest(source.module),
        "folder": os.getcwd(),
        "config": config_to_dict(config),
        "versions": versions_of(name for name in distributions if name != "ge-engine"),
    }
    return RemoteModel(listening, machines, order, opening)
