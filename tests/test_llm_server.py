"""Servers: what must not hang, be lost, be asked twice without need, or leak."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import openai
import pytest
from servers import Script, misbehaving, model_of

from ge_engine.config import RunConfig
from ge_engine.contracts import Prompt, Reply, Request, Sampling
from ge_engine.errors import ModelError
from ge_engine.llm.embedded import embedded_model
from ge_engine.llm.endpoint import Endpoint
from ge_engine.llm.forms import FORMS
from ge_engine.llm.server import ServerLimits, open_server
from ge_engine.llm.server_pool import ServerPool
from tests import patience as waiting

KEY = "sk-very-secret-0123456789"
PATIENT = ServerLimits(parallel=4, deadline=300, attempt=60, pause=0.05)
QUICK = ServerLimits(parallel=4, deadline=1.5, attempt=0.6, pause=0.05)
"""For servers that never answer."""


def ask(
    script: Script, count: int = 1, limits: ServerLimits = PATIENT, form: int | None = None
) -> list[Reply]:
    requests = [
        Request(f"g0s{i}/0", Prompt("system", f"user {i}"), Sampling(0.5, 64, i)) for i in range(count)
    ]
    with misbehaving(script) as url:
        client = openai.OpenAI(api_key=KEY, base_url=url, max_retries=0)
        model = model_of(Endpoint("m", client, KEY), limits, None if form is None else FORMS[form])
        answers = list(model.generate(requests))
        model.close()
    assert sorted(index for index, _ in answers) == list(range(count)), "a slot was lost or answered twice"
    return [reply for _, reply in sorted(answers)]


def test_a_good_answer_carries_text_and_tokens() -> None:
    script = Script("good")
    (reply,) = ask(script)
    assert (reply.text, reply.finish, reply.prompt_tokens, reply.completion_tokens) == ("good", "stop", 11, 7)
    assert script.bodies[0]["messages"][0] == {"role": "system", "content": "system"}


@pytest.mark.parametrize(
    "trouble", ["status 500", "status 503", "status 429", "half", "empty", "null", "html", "hang"]
)
def test_a_passing_fault_is_tried_again_and_counted_once(trouble: str) -> None:
    script = Script(trouble, "good")
    (reply,) = ask(script, limits=replace(PATIENT, attempt=5) if trouble == "hang" else PATIENT)
    assert reply.text == "good"
    assert len(script.bodies) == 2
    assert (reply.prompt_tokens, reply.completion_tokens) == (11, 7)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 422])
def test_a_fault_of_ours_is_not_tried_again(status: int) -> None:
    script = Script(f"status {status}", "good")
    (reply,) = ask(script)
    assert reply.finish == "error"
    assert str(status) in reply.error
    assert len(script.bodies) == 1


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What the client waits between two tries, in seconds, told instead of waited."""
    told: list[float] = []
    monkeypatch.setattr(ServerPool, "wait", lambda _, seconds: told.append(seconds))
    return told


def test_retry_after_is_obeyed(waits: list[float]) -> None:
    (reply,) = ask(Script("status 429 retry-after=7.5", "good"))
    assert reply.text == "good"
    assert waits == [7.5]


def test_a_retry_after_that_is_a_date(waits: list[float]) -> None:
    ahead = datetime.now(UTC) + timedelta(seconds=250)
    when = format_datetime(ahead, usegmt=True).replace(" ", "_")
    (reply,) = ask(Script(f"status 503 retry-after={when}", "good"), limits=replace(PATIENT, deadline=900))
    assert reply.text == "good"
    assert len(waits) == 1
    assert 100 < waits[0] <= 250


def test_a_retry_after_past_the_deadline_is_not_waited_for(waits: list[float]) -> None:
    script = Script("status 429 retry-after=900")
    (reply,) = ask(script)
    assert reply.finish == "error"
    assert len(script.bodies) == 1
    assert waits == []


@pytest.mark.parametrize("trouble", ["hang", "trickle", "status 500", "empty"])
def test_nothing_passes_the_deadline(trouble: str) -> None:
    """What hangs does so until all replies are there."""
    replies = ask(Script(trouble), count=6, limits=QUICK)
    assert all(reply.finish == "error" and reply.error for reply in replies)


@pytest.mark.long
def test_a_hanging_request_does_not_hold_the_others() -> None:
    replies = ask(Script("trickle", "good"), count=8, limits=replace(PATIENT, deadline=8, attempt=8))
    assert [reply.finish for reply in replies].count("stop") == 7


def test_reasoning_without_an_answer_is_cut_off_not_an_answer() -> None:
    (reply,) = ask(Script("reasoning"))
    assert (reply.text, reply.finish, reply.completion_tokens) == ("", "length", 7)


def test_a_server_that_wants_another_limit_gets_it() -> None:
    script = Script("completion_tokens", "good")
    (reply,) = ask(script)
    assert reply.text == "good"
    assert script.bodies[1]["max_completion_tokens"] == 64
    assert "max_tokens" not in script.bodies[1]


def test_the_key_is_sent_and_never_said() -> None:
    script = Script("status 401")
    (reply,) = ask(script)
    assert KEY in script.keys[0]
    assert KEY not in repr(reply)
    assert "***" in reply.error


@pytest.mark.parametrize("padding", range(220, 300, 7))
def test_a_key_of_which_a_part_is_said(padding: int) -> None:
    """Where a long message is cut off within the key."""
    (reply,) = ask(Script(f"echo {padding}"))
    assert reply.finish == "error"
    assert KEY[:6] not in reply.error


def test_a_key_file_that_is_missing_is_one_sentence(tmp_path: object) -> None:
    with pytest.raises(ModelError, match="OPENAI_API_KEY_FILE"):
        open_server("m", {"OPENAI_API_KEY_FILE": f"{tmp_path}/none"}, RunConfig())


def test_no_key_and_no_server_is_one_sentence() -> None:
    with pytest.raises(ModelError, match="no key"):
        open_server("m", {}, RunConfig())


@pytest.mark.parametrize(("parallel", "behaviour"), [(1, "good"), (2, "wordy")])
def test_more_or_fewer_requests_at_once_than_were_allowed(parallel: int, behaviour: str) -> None:
    script = Script(*["good"] * len(FORMS), behaviour)
    requests = [Request(f"g0s{i}/0", Prompt("", "user"), Sampling(0.5, 64, i)) for i in range(6)]
    with misbehaving(script) as url:
        model = open_server(f"m@{url}", {}, RunConfig(llm_parallel=parallel))
        assert len(list(model.generate(requests))) == 6
        model.close()
    assert script.most_at_once == parallel


def test_a_server_that_ignores_grammars_is_given_none() -> None:
    script = Script("good")
    with misbehaving(script) as url:
        model = open_server(f"m@{url}", {"OPENAI_API_KEY": KEY}, RunConfig())
    assert [one.form for one in model.pool.servers] == [None]
    assert len(script.bodies) == len(FORMS)


@pytest.fixture(scope="module")
def real_server() -> Iterator[str]:
    """`transformers serve` with the embedded model on loopback."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    binary = str(Path(sys.executable).with_name("transformers"))
    command = [
        binary,
        "serve",
        str(embedded_model()),
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
        "--device",
        "cpu",
    ]
    environ = {**os.environ, "HF_HUB_OFFLINE": "1", "OMP_WAIT_POLICY": "PASSIVE"}
    with subprocess.Popen(
        command, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    ) as server:
        try:
            _wait_for(server, port)
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            os.killpg(server.pid, signal.SIGKILL)


def _wait_for(server: subprocess.Popen[bytes], port: int) -> None:
    until = time.monotonic() + waiting.PATIENT
    while time.monotonic() < until:
        assert server.poll() is None, "the server ended before it answered"
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=2):
                return
        except OSError:
            time.sleep(0.3)
    pytest.fail("the server did not come up")


def test_a_real_server_answers_several_prompts_at_once(real_server: str) -> None:
    client = openai.OpenAI(api_key="none", base_url=real_server, max_retries=0)
    limits = ServerLimits(parallel=2, deadline=90)
    model = model_of(Endpoint(str(embedded_model()), client), limits)
    requests = [Request(f"g0s{i}/0", Prompt("", "Say hello."), Sampling(0.7, 12, i)) for i in range(3)]
    replies = dict(model.generate(requests))
    model.close()
    assert sorted(replies) == [0, 1, 2]
    assert all(reply.text and reply.completion_tokens for reply in replies.values()), replies
    assert all(reply.prompt_tokens > 0 for reply in replies.values())
