"""Servers that send bombs, endless answers, redirects, and the key itself: each costs one prompt at most."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from servers import Script, misbehaving

from ge_engine.config import RunConfig, config_from_dict, config_to_dict
from ge_engine.contracts import Prompt, Reply, Request, Sampling
from ge_engine.errors import ModelError
from ge_engine.genome import Seed
from ge_engine.ledger import Ledger
from ge_engine.llm.answers import MOST_TOKENS
from ge_engine.llm.bounded import LARGEST_ANSWER
from ge_engine.llm.forms import FORMS
from ge_engine.llm.server import CHARACTERS_A_TOKEN, FRAME, open_server
from ge_engine.llm.server_check import check_server
from ge_engine.places import secrets_of, shown, without
from ge_engine.views.live import heading_line

KEY = "sk-very-secret-0123456789"
CONFIG = RunConfig(llm_parallel=2, llm_deadline=2.0, llm_timeout=1.0)
PROBES = ["status 400"] * len(FORMS)
PLAIN = Path(__file__).resolve().parent.parent / "examples" / "plain_cnn.py"


def ask(*behaviours: str, config: RunConfig = CONFIG, pause: float = 0.05) -> Reply:
    """The reply of a server that is opened as a run opens it."""
    with misbehaving(Script(*PROBES, *behaviours)) as url:
        model = open_server(f"m@{url}", {"OPENAI_API_KEY": KEY}, config, pause)
        request = Request("g0s0/0", Prompt("system", "user"), Sampling(0.5, 64, 1))
        ((_, reply),) = model.generate([request])
        model.close()
    return reply


@pytest.mark.parametrize(
    ("attack", "words"),
    [
        ("bomb gzip", "is longer than 8 MiB"),
        ("bomb zstd", "is packed as 'zstd'"),
        ("bomb br", "is packed as 'br'"),
        (f"long {LARGEST_ANSWER + 1}", "is longer than 8 MiB"),
        ("endless", "is longer than 8 MiB"),
    ],
)
def test_an_answer_that_fills_the_memory(attack: str, words: str) -> None:
    reply = ask(attack, config=RunConfig(llm_deadline=30.0, llm_timeout=30.0), pause=60.0)
    assert reply.finish == "error"
    assert words in reply.error


def test_an_answer_that_is_packed_and_honest() -> None:
    assert ask("packed").text == "good"


def test_a_reply_that_is_longer_than_it_may_be() -> None:
    reply = ask("long 5000000")
    assert len(reply.text) == 64 * CHARACTERS_A_TOKEN
    assert reply.finish == "length"


def test_a_server_that_counts_more_tokens_than_a_ledger_can() -> None:
    assert ask(f"tokens {10**40}").prompt_tokens == MOST_TOKENS
    assert ask("tokens -5").prompt_tokens == len("systemuser") + FRAME


@pytest.mark.parametrize("attack", ["loris", "trickle", "hang"])
def test_an_answer_that_comes_byte_by_byte(attack: str) -> None:
    reply = ask(attack)
    assert reply.finish == "error"
    assert reply.text == ""


@pytest.mark.parametrize("attack", ["loris", "trickle", "hang"])
def test_a_start_that_a_server_holds(attack: str) -> None:
    with misbehaving(Script(attack)) as url:
        started = time.monotonic()
        model = open_server(f"m@{url}", {"OPENAI_API_KEY": KEY}, RunConfig(llm_timeout=0.5))
        model.close()
        assert [one.form for one in model.pool.servers] == [None]
        assert time.monotonic() - started < 3 * len(FORMS) * 3


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_server_that_sends_the_key_elsewhere(status: int) -> None:
    elsewhere = Script("good")
    with misbehaving(elsewhere) as other:
        reply = ask(f"redirect {status} {other}/chat/completions")
    assert elsewhere.keys == []
    assert reply.finish == "error"
    assert str(status) in reply.error


def test_an_api_that_is_elsewhere() -> None:
    elsewhere = Script("good")
    with (
        misbehaving(elsewhere) as other,
        misbehaving(Script(f"redirect 307 {other}/models")) as url,
        pytest.raises(ModelError, match=f"sends on to {other}/models"),
    ):
        check_server(f"m@{url}", {"OPENAI_API_KEY": KEY}, CONFIG)
    assert elsewhere.keys == []


def test_a_key_that_the_server_gives_as_its_reply() -> None:
    reply = ask("say-key")
    assert reply.text == "you are Bearer ***"
    assert KEY not in repr(reply)


ADDRESSES = [
    "http://me:hunter2@host:1/v1",
    "https://hunter2@host/v1",
    "http://host/v1?api-key=hunter2",
    "http://host/v1?api-version=2024-01-01&token=hunter2#x",
    "http://me:hun%74er2@host/v1?sig=hunter2",
    "openai:m@http://me:hunter2@host/v1:0.5",
    "no such place http://me:p@hunter2@host",
]


@pytest.mark.parametrize("address", ADDRESSES)
def test_a_password_that_an_address_shows(address: str) -> None:
    assert "hunter2" not in shown(address)
    assert "host" in shown(address)
    assert shown(shown(address)) == shown(address)
    secrets = secrets_of(address)
    assert any("hunter2" in secret for secret in secrets)
    assert "hunter2" not in without(f"no: {address}", secrets) or "%74" in address


@pytest.mark.parametrize(
    "address", ["http://host:8000/v1", "https://x/v1?api-version=3", "smollm2", "hf:a/b", "A:0.8"]
)
def test_an_address_that_is_changed_for_nothing(address: str) -> None:
    assert shown(address) == address
    assert secrets_of(address) == []


@given(st.text(max_size=80), st.text(alphabet="abc:1%&=", min_size=1, max_size=20))
def test_a_text_that_cannot_be_shown(text: str, owner: str) -> None:
    assert isinstance(shown(text), str)
    assert shown(f"http://{owner}@host/") == "http://***@host/"


def test_a_password_in_a_runs_folder(tmp_path: Path) -> None:
    spec = "openai:m@http://me:hunter2@host/v1?key=hunter3"
    islands = [{"llm": [spec]}, {"llm": ["uniform"]}]
    config = config_from_dict({"llm": [spec], "island": islands})
    assert "hunter" not in json.dumps(config_to_dict(config))
    with Ledger.create(tmp_path / "run", Seed.load(PLAIN), config) as ledger:
        ledger.set_config(config, {"accuracy": "max", "parameters": "min"})
    held = b"".join(file.read_bytes() for file in (tmp_path / "run").iterdir())
    assert b"hunter" not in held
    assert "hunter" not in heading_line(tmp_path, config).plain


def test_a_password_that_the_server_gives_as_its_reply() -> None:
    with misbehaving(Script(*PROBES, "say-back")) as url:
        place = url.replace("http://", "http://me:hunter2@") + "?token=hunter3"
        model = open_server(f"m@{place}", {}, CONFIG)
        ((_, reply),) = model.generate([Request("g0s0/0", Prompt("", "user"), Sampling(0.5, 64, 1))])
        model.close()
    assert reply.finish == "stop"
    assert "me:hunter2 and hunter3".replace("me:hunter2", "***").replace("hunter3", "***") in reply.text
