"""An agent that decodes: `python -m ge_engine.llm.decode_agent FILE` has a run's language model here.

FILE is the run's `scratch/llm/agents.json`, on a folder that the machines share or copied here. It ends when
the run does, and its file is gone; where it loses the engine it keeps the model, and waits for one that
resumes the run.
"""

from __future__ import annotations

import asyncio
import importlib
import itertools
import os
import secrets
import signal
import socket
import sys
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from typing import Any

from ge_engine.agents.own_memory import hide_memory
from ge_engine.agents.serving import Agent, Dismissed, Refused, arguments_of, leaving, opened, or_refused
from ge_engine.agents.versions import module_digest, require_versions, versions_of
from ge_engine.agents.wire import LOST, Connection, signs_of_life
from ge_engine.config import config_from_dict
from ge_engine.contracts import LanguageModel, LanguageModelFactory, inheriting
from ge_engine.errors import ConfigError, GeError
from ge_engine.llm.request_json import reply_to_json, request_from_json


class EngineGone(Exception):
    """Nobody hears the replies any more."""


class Loaded:
    """The model that this agent has, from one engine to the next. One batch at a time has its `lock`."""

    def __init__(self) -> None:
        self._told: Mapping[str, Any] = {}
        self._model: LanguageModel | None = None
        self.lock = threading.Lock()

    def model(self, told: Mapping[str, Any]) -> LanguageModel:
        """The model that an engine tells of. Raises GeError, and what opening it raises."""
        wanted = told["versions"]
        require_versions(wanted, versions_of(name for name in wanted if name not in ("ge_engine", "python")))
        with self.lock:
            if self._model is None or told != self._told:
                if self._model is not None:
                    self._model.close()
                self._model = None
                self._model, self._told = open_model(told), told
            return self._model


def open_model(told: Mapping[str, Any]) -> LanguageModel:
    """Open a model as the engine would on its own machine, in its folder where that is here too.

    Raises:
        GeError: there is no such model here, or it cannot be loaded.
    """
    with suppress(OSError):
        os.chdir(told["folder"])
        if told["file"] and os.getcwd() not in sys.path:
            sys.path.append(os.getcwd())
    try:
        digest = module_digest(told["module"])
        found = importlib.import_module(told["module"]).ge_language_models()
    except ImportError as error:
        raise ConfigError(f"The plugin {told['module']} of the model cannot be imported: {error}.") from error
    if told["file"] not in ("", digest):
        raise ConfigError(
            f"The file of {told['module']}, the plugin of the model, is not the same here.",
            "All machines of a run must have the same; an agent that waited has the one that it began with.",
        )
    factories = {one.name: inheriting(LanguageModelFactory, one) for one in found}
    if told["name"] not in factories:
        raise ConfigError(f"The plugin {told['module']} has no language model {told['name']!r} here.")
    factory, config = factories[told["name"]], config_from_dict(told["config"])
    factory.check(told["argument"], config)
    return inheriting(LanguageModel, factory.open(told["argument"], config))


class Decoding:
    """One session with one engine, over one connection."""

    def __init__(self, connection: Connection, name: str, loaded: Loaded, leave: asyncio.Event) -> None:
        self._connection, self._name, self._loaded, self._leave = connection, name, loaded, leave
        self._loop = asyncio.get_running_loop()
        self._gone = threading.Event()
        self._calls: dict[int, Future[str | None]] = {}
        self._numbers = itertools.count()

    async def run(self) -> None:
        """Serve until the engine says that it is enough.

        Raises:
            Dismissed: it does. Refused: this machine cannot serve it. One of `LOST`: the engine is gone.
        """
        opening = await opened(self._connection, self._name, ("model",))
        async with signs_of_life(self._connection, float(opening["beat"]), float(opening["patience"])):
            model = await or_refused(self._connection, partial(self._loaded.model, opening["model"]))
            model.say = self._say
            told = {name: getattr(model, name) for name in ("name", "prompt_tokens", "precision")}
            await self._connection.send("ready", told)
            leaves = asyncio.create_task(leaving(self._connection, self._leave))
            try:
                while True:
                    self._hear(model, (await self._connection.receive())[0])
            finally:
                self._gone.set()
                for call in list(self._calls.values()):
                    call.set_exception(EngineGone())
                leaves.cancel()

    def _hear(self, model: LanguageModel, message: Mapping[str, Any]) -> None:
        match message["kind"]:
            case "bye":
                raise Dismissed
            case "unfit":
                raise Refused(str(message["reason"]))
            case "requests":
                # A daemon: a batch may take minutes, and an agent that is told to end does so at once.
                work = (model, message["requests"])
                threading.Thread(target=self._decode, args=work, daemon=True).start()
            case "part":
                if call := self._calls.pop(int(message["call"]), None):
                    if message["error"]:
                        call.set_exception(ConfigError(str(message["error"])))
                    else:
                        call.set_result(message["text"])

    # --- everything below runs in the thread that decodes ---

    def _decode(self, model: LanguageModel, requests: Sequence[Mapping[str, Any]]) -> None:
        """Answer a batch, each reply as soon as it is whole."""
        with suppress(EngineGone), self._loaded.lock:
            try:
                asked = [request_from_json(one, self._ask) for one in requests]
                for index, reply in model.generate([request for _, request in asked]):
                    self._tell("reply", {"number": asked[index][0], "reply": reply_to_json(reply)})
                self._tell("done", {})
            except EngineGone:
                raise
            except Exception as error:
                self._tell("failed", _failure(model, error))

    def _tell(self, kind: str, content: Mapping[str, Any]) -> None:
        """Raises EngineGone."""
        if self._gone.is_set():
            raise EngineGone
        sending = asyncio.run_coroutine_threadsafe(self._connection.send(kind, content), self._loop)
        try:
            sending.result()
        except LOST as error:
            raise EngineGone from error

    def _say(self, sentence: str) -> None:
        with suppress(EngineGone):
            self._tell("say", {"sentence": sentence})

    def _ask(self, number: int, so_far: str | None) -> str | None:
        """What the engine says of a constraint. Raises EngineGone, or ConfigError where it failed there."""
        call, answer = next(self._numbers), Future[str | None]()
        self._calls[call] = answer
        self._tell("part", {"call": call, "number": number, "so_far": so_far})
        return answer.result()


def _failure(model: LanguageModel, error: Exception) -> dict[str, str]:
    if isinstance(error, GeError):
        return {"message": error.message, "hint": error.hint}
    where = f"The language model {model.name} on {socket.gethostname()}"
    return {"message": f"{where} failed: {error!r}.", "hint": "Fix it and rerun; the run resumes."}


def main(arguments: Sequence[str] | None = None) -> int:
    parser = arguments_of("Decode a run's prompts on this machine.", "the run's scratch/llm/agents.json")
    given = parser.parse_args(arguments)
    if given.linger < 0:
        parser.error("--linger is 0 or more.")
    hide_memory(True)
    name, loaded = f"{given.name}-{secrets.token_hex(4)}", Loaded()

    async def serve_one(connection: Connection, leave: asyncio.Event) -> None:
        await Decoding(connection, name, loaded, leave).run()

    return asyncio.run(Agent(given.file.absolute(), given.linger, serve_one).serve())


def _ended(status: int) -> None:
    """End at once: a thread that decodes is not waited for."""
    with suppress(OSError, ValueError):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(status)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: _ended(128 + signal.SIGTERM))
    signal.signal(signal.SIGINT, lambda *_: _ended(128 + signal.SIGINT))
    try:
        _ended(main())
    except BaseException:
        sys.excepthook(*sys.exc_info())
        _ended(1)
