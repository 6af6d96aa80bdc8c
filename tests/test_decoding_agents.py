"""Faults between an engine and the agents that decode for it: a request that is never sent and waited for, a
machine that answers otherwise than the others, a file that a shared folder does not show for a moment."""

from __future__ import annotations

import asyncio
import json
import socket
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import pytest
from patience import PATIENT
from test_nodes import ByTest, NoPool, until

from ge_engine.agents import serving
from ge_engine.agents.address import Address, listening_on, read_address, write_address
from ge_engine.agents.door import Door
from ge_engine.agents.head import Listening
from ge_engine.agents.serving import Agent, Dismissed
from ge_engine.agents.versions import file_digest
from ge_engine.agents.wire import Connection, Stranger, introduce
from ge_engine.config import RunConfig
from ge_engine.contracts import AgentOrder, AgentPool, Constraint, Prompt, Reply, Request, Sampling
from ge_engine.errors import ConfigError, GeError
from ge_engine.grammar.blocks import Fenced
from ge_engine.grammar.lark_builder import Parts
from ge_engine.llm import remote
from ge_engine.llm.decode_agent import open_model
from ge_engine.llm.decoding_head import DecodingHead
from ge_engine.llm.machines import Machines
from ge_engine.llm.owed import Owed
from ge_engine.llm.remote import Source, open_remote
from ge_engine.llm.request_json import reply_from_json, reply_to_json, request_from_json, request_to_json

REPLY = Reply("text", "stop", 1, 1, 0.5, "played")


def request(constraint: Constraint | None = None) -> Request:
    return Request("g0s0/0", Prompt("You answer.", "one"), Sampling(0.5, 24, 0), constraint)


@contextmanager
def head(folder: Path, pool: AgentPool | None = None) -> Iterator[DecodingHead]:
    """An engine whose agents the test plays."""
    listening = Listening("127.0.0.1", folder / "agents.json", 30.0)
    opened = DecodingHead(listening, pool or NoPool(), {"name": "played"}, lambda sentence: None)
    try:
        yield opened
    finally:
        opened.close()


async def joined(
    folder: Path, host: str = "far", name: str = "played", precision: str = "float32"
) -> Connection:
    """A connection of an agent that has loaded the model `name`."""
    address = read_address(folder / "agents.json")
    connection = Connection(*await asyncio.open_connection(address.host, address.port))
    await introduce(connection, bytes.fromhex(address.token))
    await connection.send("hello", {"agent": f"agent on {host}", "host": host, "processor": "odd"})
    await connection.receive()
    await connection.send("ready", {"name": name, "prompt_tokens": 9, "precision": precision})
    return connection


async def heard(connection: Connection, kind: str) -> dict[str, Any]:
    """The next message of a kind."""
    async with asyncio.timeout(PATIENT):
        while (message := (await connection.receive())[0])["kind"] != kind:
            pass
    return message


# --- requests that are never answered -----------------------------------------------------------


@pytest.mark.parametrize("name", ["prompt_tokens", "completion_tokens"])
def test_a_reply_that_the_run_database_cannot_hold(name: str) -> None:
    held = reply_to_json(REPLY)
    assert reply_from_json({**held, name: 2**63 - 1})
    with pytest.raises(ValueError, match="a reply expected"):
        reply_from_json({**held, name: 2**63})


class Unsizable(Constraint):
    """Its length is that of nothing."""

    @property
    def longest(self) -> int:
        raise LookupError("its length is broken")

    def part(self, so_far: str) -> str | None:
        return None

    def whole(self) -> str:
        return ""


class Bytes(Unsizable):
    longest = 3  # type: ignore[assignment]

    def part(self, so_far: str) -> str | None:
        return b"start: /a/"  # type: ignore[return-value]


def test_a_prompt_that_cannot_be_sent_and_is_waited_for(tmp_path: Path) -> None:
    async def serve(answers: SimpleQueue[Any]) -> object:
        connection = await joined(tmp_path)
        answer = await asyncio.to_thread(answers.get, timeout=PATIENT)
        connection.abort()
        return answer

    with head(tmp_path) as opened:
        answer = asyncio.run(serve(opened.ask([request(Unsizable())])))
        assert isinstance(answer, LookupError)
        opened._thread.join(PATIENT)
        with pytest.raises(LookupError, match="its length is broken"):
            opened.ask([request()])


def test_a_part_of_a_constraint_that_cannot_be_sent_and_is_waited_for(tmp_path: Path) -> None:
    async def serve(answers: SimpleQueue[Any]) -> object:
        connection = await joined(tmp_path)
        (asked,) = (await heard(connection, "requests"))["requests"]
        await connection.send("part", {"call": 0, "number": asked["number"], "so_far": ""})
        return await asyncio.to_thread(answers.get, timeout=PATIENT)

    with head(tmp_path) as opened:
        assert isinstance(asyncio.run(serve(opened.ask([request(Bytes())]))), TypeError)


def test_a_pool_that_cannot_be_closed_and_prints_a_traceback(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    class Stuck(NoPool):
        def close(self) -> None:
            raise GeError("The cluster is gone.", "See what is left of it.")

    with head(tmp_path, Stuck()):
        pass
    error = capsys.readouterr().err
    assert error == "Agents may be left: The cluster is gone. See what is left of it.\n"


# --- replies that differ by machine -------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "precision"), [("played (8 bits)", "float32"), ("played", "bfloat16")], ids=["name", "precision"]
)
def test_a_machine_with_another_model_that_answers_beside_the_others(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, precision: str
) -> None:
    """As one on which OpenVINO computes it, and torch on the others; or on which bfloat16 is faster."""

    async def serve(opened: DecodingHead) -> str:
        first = await joined(tmp_path)
        await asyncio.to_thread(opened.first.result, PATIENT)
        other = await joined(tmp_path, "odd", name, precision)
        reason = str((await heard(other, "unfit"))["reason"])
        like = await joined(tmp_path, "like")
        await asyncio.to_thread(until, lambda: opened.serving() == 2)
        answers = opened.ask([request(), request()])
        for connection in (first, like):
            (asked,) = (await heard(connection, "requests"))["requests"]
            told = {"number": asked["number"], "reply": reply_to_json(REPLY)}
            await connection.send("reply", told)
        for _ in range(2):
            assert await asyncio.to_thread(answers.get, timeout=PATIENT) in ((0, REPLY), (1, REPLY))
        return reason

    with head(tmp_path) as opened:
        reason = asyncio.run(serve(opened))
    assert reason == (
        f"It has the model {name} in {precision}, for prompts of 9 tokens, and another machine of this run "
        "the model played in float32, for prompts of 9 tokens. "
        "Take machines of one kind, or give --llm-backend torch."
    )
    assert capsys.readouterr().err == f"odd cannot serve this run: {reason}\n"


@pytest.mark.parametrize("backend", ["auto", "openvino", "torch"])
def test_a_machine_without_openvino_that_answers_beside_those_with_it(
    tmp_path: Path, backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[dict[str, Any]] = []

    def opened(listening: Listening, machines: Machines, order: AgentOrder, opening: dict[str, Any]) -> None:
        told.append(opening)

    monkeypatch.setattr(remote, "RemoteModel", opened)
    machines = Machines(ByTest(), "", tmp_path / "llm", lambda: False)
    source = Source("smollm2", "", "ge_plugins.models", "ge-engine")
    open_remote(source, machines, RunConfig(llm_backend=backend))
    assert ("openvino" in told[0]["versions"]) == (backend != "torch")
    assert "transformers" in told[0]["versions"]


def test_a_plugin_that_is_another_file_over_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where that was changed while an agent waited, which has the one that it began with."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    file = tmp_path / "paced_at_hand.py"
    file.write_text("from paced import ge_language_models\n")
    told = {"folder": str(tmp_path), "module": file.stem, "name": "paced", "argument": "", "config": {}}
    assert open_model({**told, "file": file_digest(file)}).name == "paced"
    file.write_text("from paced import ge_language_models as ge_language_models\n")
    with pytest.raises(ConfigError, match=r"The file of paced_at_hand, .* is not the same here"):
        open_model({**told, "file": file_digest(file)})


class Twofold(Parts):
    """One text, and another behind it."""

    def part(self, so_far: str) -> str | None:
        return "start: /b/" if so_far == "a" else self.whole() if not so_far else None


@pytest.mark.parametrize("constraint", [Twofold(("start: /a/",)), Fenced(("start: /a/",), 12)])
def test_a_kind_of_parts_that_is_sent_as_its_first(constraint: Parts) -> None:
    owed = Owed(7, 0, request(constraint), SimpleQueue())
    sent = json.loads(json.dumps(request_to_json(owed)))
    _, there = request_from_json(sent, lambda number, so_far: constraint.part(so_far or ""))
    assert there.constraint
    assert there.constraint.longest == constraint.longest
    assert [there.constraint.part(one) for one in ("", "a")] == [constraint.part(one) for one in ("", "a")]


# --- agents that end too soon, or say nothing ---------------------------------------------------


@pytest.fixture
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "RETRY_SECONDS", 0.01)


def ended(file: Path, change: Sequence[Any] = (), linger: float = PATIENT) -> int:
    """The exit status of an agent that serves an engine until that dismisses it. Each of `change` is done
    when the agent has looked for the file that often."""

    async def serve_one(connection: Connection, leave: asyncio.Event) -> None:
        raise Dismissed

    agent, left = Agent(file, linger, serve_one), list(change)
    looks = agent._is_missing

    def look() -> bool:
        missing = looks()
        if left:
            left.pop(0)()
        return missing

    agent._is_missing = look  # type: ignore[method-assign]
    return asyncio.run(agent.serve())


@contextmanager
def engine(token: str = "") -> Iterator[Address]:
    """Lets in who knows its token, which is not `token`."""
    door, begun, stop = Door(), threading.Event(), asyncio.Event()
    found: list[tuple[Address, asyncio.AbstractEventLoop]] = []

    async def welcome(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = Connection(reader, writer)
        try:
            await door.admitted(connection)
        except (Stranger, OSError, EOFError):
            connection.abort()

    async def serve() -> None:
        listening = listening_on("127.0.0.1")
        async with await asyncio.start_server(welcome, sock=listening):
            known = door.address("127.0.0.1", listening)
            told = Address(known.host, known.port, token or known.token)
            found.append((told, asyncio.get_running_loop()))
            begun.set()
            await stop.wait()

    thread = threading.Thread(target=asyncio.run, args=[serve()])
    thread.start()
    assert begun.wait(PATIENT)
    address, loop = found[0]
    try:
        yield address
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()


@pytest.mark.usefixtures("_soon")
def test_a_file_that_a_shared_folder_shows_late(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "agents.json"
    with engine() as address:
        assert ended(file, [lambda: None, lambda: None, lambda: write_address(file, address)]) == 0
    said = f"{file} is not on {socket.gethostname()}: it is in the run's folder.\n"
    assert capsys.readouterr().err == said, "it is told once, and at once"


@pytest.mark.usefixtures("_soon")
def test_a_folder_that_cannot_be_read_for_a_moment_and_ends_an_agent(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, read = tmp_path / "agents.json", tmp_path / "read"
    file.symlink_to(file)
    with engine() as address:
        write_address(read, address)
        assert ended(file, [lambda: None, lambda: read.replace(file)]) == 0
    assert "does not say where an engine listens" in capsys.readouterr().err


@pytest.mark.usefixtures("_soon")
def test_an_agent_that_waits_for_a_run_that_has_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serving, "STALE_SECONDS", 0.05)
    file = tmp_path / "agents.json"
    assert ended(file) == 1
    file.write_text("{}")
    assert ended(file, [file.unlink]) == 0


@pytest.mark.usefixtures("_soon")
def test_an_agent_that_is_not_let_in_and_does_not_say_why(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "agents.json"
    with engine("ab" * 32) as address:
        write_address(file, address)
        ended(file, [lambda: None, file.unlink])
    said = capsys.readouterr().err
    there = f"127.0.0.1, port {address.port}"
    assert said.startswith(f"What listens at {there}, is not this run's engine: ")


NO_ADDRESSES = ["[" * 100_000, "[]", "3", '{"host": "a", "port": "x", "token": ""}', "\xff"]


@pytest.mark.parametrize("text", NO_ADDRESSES)
def test_an_address_that_is_none_and_ends_an_agent(text: str, tmp_path: Path) -> None:
    (tmp_path / "agents.json").write_text(text, "latin-1")
    with pytest.raises(ConfigError, match="does not say where an engine listens"):
        read_address(tmp_path / "agents.json")
