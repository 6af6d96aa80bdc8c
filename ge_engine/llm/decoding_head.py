"""The engine's side of a language model on other machines: it lends requests, and takes each reply once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any

from ge_engine.agents.head import AgentHead, Heard, Listening
from ge_engine.agents.wire import LOST, Connection, well_formed
from ge_engine.contracts import AgentPool, Request
from ge_engine.errors import ModelError
from ge_engine.llm.owed import LOSSES, Owed, OwedReplies, Round
from ge_engine.llm.request_json import asked_of, reply_from_json, request_to_json


@dataclass(frozen=True, slots=True)
class Described:
    """What an agent says of the model that it has loaded."""

    name: str
    prompt_tokens: int
    precision: str

    def __str__(self) -> str:
        numbers = f" in {self.precision}" if self.precision else ""
        return f"the model {self.name}{numbers}, for prompts of {self.prompt_tokens} tokens"


class DecodingHead(AgentHead):
    """Has requests answered wherever agents serve this session. `model` is what they are told to open, and
    `hear` takes what their models say. `first` is the model of the first agent that has loaded it."""

    wanted = "a machine for the language model"

    def __init__(
        self,
        listening: Listening,
        pool: AgentPool,
        model: Mapping[str, Any],
        hear: Callable[[str], None],
    ) -> None:
        self._owed = OwedReplies()
        super().__init__(listening, pool, self._owed)
        self._model, self._hear_saying = model, hear
        self.first: Future[Described] = Future()
        self._begin()

    def ask(self, requests: Sequence[Request]) -> Round:
        """Have requests answered. Raises what has ended the work of agents."""
        answers: Round = SimpleQueue()
        with self._lock:
            if self._closing:
                raise self._gave_up or _closed()
            self._loop.call_soon_threadsafe(self._take, tuple(requests), answers)
        return answers

    def forget(self, answers: Round) -> None:
        """Nobody reads these any more."""
        with self._lock:
            if not self._closing:
                self._loop.call_soon_threadsafe(self._owed.forget, answers)

    def serving(self) -> int:
        """How many agents have the model."""
        return self._owed.serving()

    # --- everything below runs in the head's own thread ---

    def _opening(self) -> tuple[str, Mapping[str, Any]]:
        return "model", {"model": self._model}

    def _end_work(self) -> None:
        for answers in self._owed.rounds():
            answers.put(self._gave_up or _closed())
        if not self.first.done():
            self.first.set_exception(self._gave_up or _closed())

    def _take(self, requests: Sequence[Request], answers: Round) -> None:
        self._owed.submit(requests, answers)
        self._lend()

    async def _hear(self, heard: Heard) -> None:
        agent, message = heard.agent, heard.message
        match message.get("kind"):
            case "refused":
                self._watch.refuse(heard.place.host, str(message.get("reason")))
            case "ready":
                await self._join(heard)
            case "leaving":
                self._owed.leave(agent)
            case "say":
                self._hear_saying(str(message.get("sentence")))
            case "part":
                self._start(self._tell_part(agent, heard.connection, message))
            case "reply":
                with well_formed():
                    number, reply = int(message["number"]), reply_from_json(message["reply"])
                if one := self._owed.answered(agent, number):
                    one.round.put((one.index, reply))
            case "done":
                for one in self._owed.done(agent):
                    one.round.put((one.index, None))
            case "failed":
                error = ModelError(str(message.get("message")), str(message.get("hint")))
                self._end_rounds(self._owed.done(agent), error)
        self._lend()
        if self._owed.is_done(agent):
            await heard.connection.send("bye")

    async def _join(self, heard: Heard) -> None:
        """Have an agent answer, if it has the model that the first one had."""
        with well_formed():
            told = heard.message
            described = Described(str(told["name"]), int(told["prompt_tokens"]), str(told["precision"]))
        if self.first.done() and described != (first := self.first.result()):
            reason = (
                f"It has {described}, and another machine of this run {first}. "
                "Take machines of one kind, or give --llm-backend torch."
            )
            self._watch.refuse(heard.place.host, reason)
            await heard.connection.send("unfit", {"reason": reason})
            return
        self._watch.joined.add(heard.agent)
        self._lose(heard.agent)  # what it had, if it says so twice
        self._owed.join(heard.agent)
        if not self.first.done():
            self.first.set_result(described)

    async def _tell_part(self, agent: str, connection: Connection, message: Mapping[str, Any]) -> None:
        """Answer what an agent asks of a constraint. One that fails ends its round, as it would here."""
        with suppress(*LOST):  # it is seen by who receives
            with well_formed():
                number, so_far = int(message["number"]), message["so_far"]
            one = self._owed.held(agent, number)
            told: dict[str, Any] = {"call": message.get("call"), "text": None, "error": ""}
            if one is None or one.request.constraint is None:
                await connection.send("part", {**told, "error": "nobody wants the reply any more"})
                return
            try:
                told["text"] = await asyncio.to_thread(asked_of, one.request.constraint, so_far)
            except Exception as error:
                told["error"] = f"its constraint failed: {error!r}"
                one.round.put(error)
            await connection.send("part", told)

    def _lend(self) -> None:
        while lent := self._owed.lend():
            agent, batch = lent
            self._start(self._send(agent, batch))

    async def _send(self, agent: str, batch: Sequence[Owed]) -> None:
        if self._owed.held(agent, batch[0].number) is None:
            return  # it was lost before, and is perhaps there again
        content = {"requests": [request_to_json(one) for one in batch]}
        with suppress(KeyError, *LOST):  # an agent that is gone is seen to be, and its requests wait again
            await self._connections[agent].send("requests", content)

    def _lose(self, agent: str) -> None:
        if self._ending:
            return
        given_up = self._owed.lose(agent)
        self._end_rounds(
            given_up,
            ModelError(
                f"{LOSSES} machines were lost one after another while they decoded the same prompt.",
                "See what ends them: often too little memory for the model. Then go on with ge resume.",
            ),
        )
        self._lend()

    def _end_rounds(self, owed: Iterable[Owed], error: ModelError) -> None:
        for answers in {id(one.round): one.round for one in owed}.values():
            answers.put(error)
            self._owed.forget(answers)


def _closed() -> ModelError:
    return ModelError("The language model was closed before it answered.")
