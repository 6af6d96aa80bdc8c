"""Faults of messages between machines: strangers who are let in, and what they can do to who listens."""

from __future__ import annotations

import asyncio
import json
import struct
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ge_engine.agents.address import Address, read_address, write_address
from ge_engine.agents.wire import LOST, Connection, Stranger, challenge, introduce
from ge_engine.errors import ConfigError
from ge_engine.evaluation.nodes.array_store import ArrayStore

TOKEN, OTHER = b"t" * 32, b"o" * 32
Side = Callable[[Connection], Awaitable[object]]


async def meet(engine: Side, agent: Side) -> tuple[object, object]:
    """What comes of both sides of one connection; exceptions are given back."""
    ended: asyncio.Future[object] = asyncio.get_running_loop().create_future()

    async def welcome(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = Connection(reader, writer)
        (result,) = await asyncio.gather(engine(connection), return_exceptions=True)
        connection.close()
        ended.set_result(result)

    server = await asyncio.start_server(welcome, "127.0.0.1", 0)
    async with server:
        host, port = server.sockets[0].getsockname()[:2]
        connection = Connection(*await asyncio.open_connection(host, port))
        (result,) = await asyncio.gather(agent(connection), return_exceptions=True)
        connection.close()
        return await ended, result


@pytest.mark.parametrize(("theirs", "strangers"), [(TOKEN, False), (OTHER, True)])
def test_an_agent_that_does_not_know_the_token_and_is_let_in(theirs: bytes, strangers: bool) -> None:
    engine, agent = asyncio.run(meet(lambda c: challenge(c, TOKEN), lambda c: introduce(c, theirs)))
    assert isinstance(engine, Stranger) == strangers
    assert isinstance(agent, LOST) == strangers


def test_an_engine_that_does_not_know_the_token_and_is_served() -> None:
    """It says welcome whatever it is answered."""

    async def pretend(connection: Connection) -> None:
        await connection.send("challenge", {"nonce": "1"})
        answer, _ = await connection.receive()
        await connection.send("welcome", {"proof": answer["proof"]})
        await connection.receive()

    _, agent = asyncio.run(meet(pretend, lambda c: introduce(c, TOKEN)))
    assert isinstance(agent, Stranger)


@pytest.mark.parametrize(
    "sent",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        struct.pack(">I", 2**31),
        struct.pack(">I", 4) + b"null",
        struct.pack(">I", 2) + b"{}",
        struct.pack(">I", 14) + b'{"blobs": "a"}',
        struct.pack(">I", 15) + b'{"blobs": [-1]}',
        struct.pack(">I", 1024) + b"[" * 1024,
        struct.pack(">I", 28) + b'{"blobs": [], "proof": "\xc3\xa4"}',
    ],
    ids=[
        "another protocol",
        "endless",
        "nothing",
        "empty",
        "no sizes",
        "a negative size",
        "deep",
        "no ASCII",
    ],
)
def test_bytes_that_are_no_message_and_stop_who_listens(sent: bytes) -> None:
    async def send(connection: Connection) -> None:
        connection._writer.write(sent)
        await connection._writer.drain()
        connection.close()

    engine, _ = asyncio.run(meet(lambda c: challenge(c, TOKEN), send))
    assert isinstance(engine, (Stranger, *LOST))


@given(st.lists(st.binary(max_size=2**12), max_size=4), st.dictionaries(st.text(), st.integers()))
def test_a_message_that_comes_otherwise_than_it_was_sent(blobs: list[bytes], content: dict[str, int]) -> None:
    async def send(connection: Connection) -> None:
        await connection.send("job", {"content": content}, *blobs)

    received, _ = asyncio.run(meet(lambda c: c.receive(), send))
    assert isinstance(received, tuple)
    message, brought = received
    assert (message["kind"], message["content"], brought) == ("job", content, blobs)


def test_an_address_that_others_read(tmp_path: Path) -> None:
    address, file = Address("here", 80, "ab" * 32), tmp_path / "agents.json"
    write_address(file, address)
    assert file.stat().st_mode & 0o777 == 0o600
    assert read_address(file) == address


@pytest.mark.parametrize("held", [None, "", "[]", json.dumps({"host": "x", "port": "y", "token": ""})])
def test_a_file_that_is_no_address_and_ends_in_a_traceback(tmp_path: Path, held: str | None) -> None:
    file = tmp_path / "agents.json"
    if held is not None:
        file.write_text(held)
    with pytest.raises(ConfigError, match="does not say where an engine listens"):
        read_address(file)


def test_a_kept_array_that_was_changed_and_is_trained_on(tmp_path: Path) -> None:
    store = ArrayStore(tmp_path / "arrays")
    digest = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
    store.put(digest, b"hello")
    assert store.get(digest) == b"hello"
    (tmp_path / "arrays" / digest).write_bytes(b"hallo")
    assert store.get(digest) is None
    with pytest.raises(ValueError, match="otherwise"):
        store.put(digest, b"hallo")
    with pytest.raises(ValueError, match="no digest"):
        store.get("../" + digest)


def test_arrays_that_fill_a_machine(tmp_path: Path) -> None:
    store = ArrayStore(tmp_path, limit=8)
    digests = [
        "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824",
        "486ea46224d1bb4fb680f34f7c9ad96a8f24ec88be73ea8e5a6c65260e9cb8a7",
    ]
    for digest, content in zip(digests, (b"hello", b"world"), strict=True):
        store.put(digest, content)
    assert [store.get(digest) for digest in digests] == [None, b"world"]
