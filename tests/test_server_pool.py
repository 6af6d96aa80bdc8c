"""Several servers of one model: nothing is lost, asked twice, held by one that is down, or told wrongly."""

from __future__ import annotations

import hashlib
import re
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import doubles
import pytest
from conftest import Ge
from servers import GOOD, Script, misbehaving

from ge_engine import loop
from ge_engine.config import RunConfig
from ge_engine.contracts import Prompt, Reply, Request, Sampling
from ge_engine.errors import ConfigError, ModelError
from ge_engine.ledger.history import History
from ge_engine.llm.connection import connect
from ge_engine.llm.forms import FORMS
from ge_engine.llm.server import ServerModel, open_server
from ge_engine.llm.server_check import check_server
from ge_engine.llm.server_pool import Lease
from ge_engine.places import secrets_of, shown, split_addresses
from ge_engine.registry import load_registry
from ge_engine.runs.resuming import resumed_run
from tests.patience import PATIENT

KEY = "sk-very-secret-0123456789"
PROBES = ["good"] * len(FORMS)
REGISTRY = load_registry(["doubles"], blocked=[name for name in doubles.REPLACED if name != "models"])


def requests(count: int) -> list[Request]:
    return [Request(f"g0s{i}/0", Prompt("", f"user {i}"), Sampling(0.5, 64, i)) for i in range(count)]


@contextmanager
def opened(*scripts: Script, parallel: int = 1, **settings: Any) -> Iterator[tuple[ServerModel, list[str]]]:
    """A model that asks the scripts' servers, in their order, and what it said."""
    said: list[str] = []
    config = RunConfig(llm_parallel=parallel, llm_timeout=60.0, **settings)
    with ExitStack() as stack:
        urls = [stack.enter_context(misbehaving(script)) for script in scripts]
        model = open_server(f"m@{','.join(urls)}", {"OPENAI_API_KEY": KEY}, config, pause=0.05)
        stack.callback(model.close)
        for script in scripts:
            script.bodies.clear()
        model.say = said.append
        yield model, said


def users(script: Script) -> list[str]:
    return [body["messages"][-1]["content"] for body in script.bodies]


def wait_until_back(model: ServerModel, said: list[str]) -> None:
    """Until a server that was set aside is in service again."""
    until = time.monotonic() + PATIENT
    while not any(sentence.endswith("is back") for sentence in said):
        assert time.monotonic() < until
        list(model.generate([]))
        time.sleep(0.02)


def texts(answers: Sequence[tuple[int, Reply]], count: int) -> list[str]:
    assert sorted(index for index, _ in answers) == list(range(count)), "a slot was lost or answered twice"
    return [reply.text or reply.error for _, reply in sorted(answers)]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


# --- balance --------------------------------------------------------------------------------------


def test_a_slow_server_that_holds_what_another_could_answer() -> None:
    slow, quick = Script(*PROBES, "slow"), Script("good")
    with opened(slow, quick, parallel=2) as (model, _):
        answers = []
        for answer in model.generate(requests(12)):
            answers.append(answer)
            if len(quick.bodies) == 10:
                slow.released.set()
        assert texts(answers, 12) == ["good"] * 12
    assert len(slow.bodies) == 2, "the slow one got more than its places"
    assert sorted(users(slow) + users(quick)) == sorted(f"user {i}" for i in range(12))


def test_requests_at_once_that_are_more_than_a_server_was_to_get() -> None:
    """Also where the other one is down."""
    down, wordy = Script("good"), Script(*PROBES, "wordy")
    down.health = 503
    with opened(down, wordy, parallel=2) as (model, _):
        first, second, third = model.pool.lease(), model.pool.lease(), Lease(model.pool)
        assert first is not None
        assert not third.renew(0.0), "a third request at once"
        first.release()
        assert third.renew(0.0)
        third.release()
        assert not third.renew(0.0), "what was given back is taken again"
        assert second is not None
        second.release()
        assert texts(list(model.generate(requests(8))), 8) == ["good"] * 8
    assert wordy.most_at_once == 2
    assert not down.bodies


# --- failures -------------------------------------------------------------------------------------


def test_a_server_that_dies_with_what_it_had_in_work() -> None:
    dying, other = Script(*PROBES, "hang"), Script("good")
    with ExitStack() as stack:
        url = stack.enter_context(misbehaving(other))
        first = ExitStack()
        dead = first.enter_context(misbehaving(dying))
        config = RunConfig(llm_parallel=1)
        model = open_server(f"m@{dead},{url}", {}, config, pause=0.05)
        stack.callback(model.close)
        said: list[str] = []
        model.say = said.append
        other.bodies.clear()
        answers = []
        for answer in model.generate(requests(9)):
            answers.append(answer)
            if len(answers) == 8:
                first.close()
    assert texts(answers, 9) == ["good"] * 9
    (held,) = users(dying)[len(FORMS) :]
    assert users(other)[-1] == held
    assert sorted(users(other)) == sorted(f"user {i}" for i in range(9))
    assert [sentence for sentence in said if "is set aside: the connection failed" in sentence], said


@pytest.mark.parametrize(
    "fault", ["status 500", "status 503", "status 429", "status 401", "status 404", "half", "empty", "html"]
)
def test_a_fault_of_one_server_that_costs_a_reply(fault: str) -> None:
    faulty, other = Script(*PROBES, fault), Script("good")
    with opened(faulty, other) as (model, said):
        assert texts(list(model.generate(requests(4))), 4) == ["good"] * 4
    assert any("is set aside: " in sentence for sentence in said)
    assert not any("tried again" in sentence for sentence in said), "it waited, though another was there"
    assert sorted(users(other)) == sorted(f"user {i}" for i in range(4))


@pytest.mark.parametrize("status", [400, 413, 422])
def test_a_fault_of_the_request_that_is_taken_round(status: int) -> None:
    first, second = Script(*PROBES, f"status {status}"), Script(*PROBES, f"status {status}")
    with opened(first, second) as (model, said):
        (error,) = texts(list(model.generate(requests(1))), 1)
    assert str(status) in error
    assert (len(first.bodies), len(second.bodies), said) == (1, 0, [])


def test_a_server_that_recovered_and_is_left_out_or_asked_before() -> None:
    first, second = Script(*PROBES, "status 503", "good"), Script("good")
    with opened(first, second) as (model, said):
        first.health = 503
        assert texts(list(model.generate(requests(6))), 6) == ["good"] * 6
        assert len(first.bodies) == 1, "it was asked before it said that it is well"
        first.health = 200
        wait_until_back(model, said)
        assert texts(list(model.generate(requests(4))), 4) == ["good"] * 4
    assert len(first.bodies) > 1
    assert {key for place, key in first.looks if place == "/health"} == {""}, "a key went to /health"


def test_a_server_that_was_down_at_the_start_and_never_learns_of_grammars() -> None:
    first, second = Script("say"), Script("say")
    first.health, first.text = 503, "qzx7"
    with opened(first, second) as (model, said):
        list(model.generate([]))
        assert [sentence.partition(" is set aside: ")[2][:30] for sentence in said] == [
            "the server answered 503: Servi"
        ]
        assert [server.form for server in model.pool.servers] == [None, None]
        first.health = 200
        wait_until_back(model, said)
        assert [server.form for server in model.pool.servers] == [FORMS[0], None]


def test_requests_that_wait_for_servers_that_nobody_asks_any_more() -> None:
    """A run that is left closes its servers while another thread still waits for them."""
    with opened(Script("good"), Script("good")) as (model, said):
        model.pool.close()
        left: list[object] = []
        waiting = threading.Thread(target=lambda: left.append(list(model.generate(requests(3)))), daemon=True)
        waiting.start()
        waiting.join(PATIENT)
        assert (left, said) == ([[]], [])


def test_servers_that_are_all_down_and_hold_the_run() -> None:
    scripts = Script(*PROBES, "status 503"), Script(*PROBES, "status 500")
    with opened(*scripts, parallel=2, llm_deadline=0.5) as (model, _):
        replies = [reply for _, reply in model.generate(requests(3))]
    assert all(reply.finish == "error" and "the server answered 50" in reply.error for reply in replies)


def test_a_server_that_refuses_and_ends_what_one_that_is_down_will_answer() -> None:
    down, refusing = Script(*PROBES, "status 503", "good"), Script(*PROBES, "status 401")
    with opened(down, refusing) as (model, _):
        down.health = refusing.health = 503

        def hear(sentence: str) -> None:
            if "tried again" in sentence:
                down.health = 200

        model.say = hear
        assert texts(list(model.generate(requests(1))), 1) == ["good"]


def test_servers_that_all_refuse_and_are_asked_until_the_deadline() -> None:
    scripts = Script(*PROBES, "status 401"), Script(*PROBES, "status 404")
    with opened(*scripts, llm_deadline=3600.0) as (model, _):
        (error,) = texts(list(model.generate(requests(1))), 1)
    assert re.search("the server answered 40[14]", error)


def test_what_one_server_wants_otherwise_that_is_told_of_none() -> None:
    other, picky = Script("good"), Script(*PROBES, "picky")
    picky.refuse = lambda body: (400, {"error": {"message": "no seed"}}) if "seed" in body else None
    with opened(picky, other) as (model, said):
        assert texts(list(model.generate(requests(1))), 1) == ["good"]
        place = model.pool.servers[0].endpoint.place
    assert said == [f"the server at {place}: the server takes no seed: it is left out"]


# --- a run ----------------------------------------------------------------------------------------


def changed(body: dict[str, Any]) -> tuple[int, Any]:
    """A reply that follows from the request alone: the first number of its last code is another."""
    prompt = body["messages"][-1]["content"]
    code = re.findall(r"```python\n(.*?)\n```", prompt, re.DOTALL)
    number = int(hashlib.sha256(f"{prompt}{body.get('seed')}".encode()).hexdigest(), 16) % 10**6
    text = re.sub(r"\b\d+\b", str(number), code[-1], count=1) if code else "good"
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    return 200, {**GOOD, "choices": [choice], "usage": {"prompt_tokens": 11, "completion_tokens": 7}}


def answering(*first: str) -> Script:
    script = Script(*first, "picky")
    script.refuse = changed
    return script


def content(folder: Path) -> dict[str, list[str]]:
    """All tables but times, and but where the servers were."""
    with History(folder) as history:
        rows = {name: sorted(map(repr, rows)) for name, rows in history.content().items()}
    return {
        name: [re.sub(r"openai:m@[^\"']*", "openai:m", row) for row in rows] for name, rows in rows.items()
    }


def evolved(folder: Path, *scripts: Script, generations: int = 3) -> None:
    with ExitStack() as stack:
        urls = [stack.enter_context(misbehaving(script)) for script in scripts]
        config = doubles.config(llm=f"openai:m@{','.join(urls)}", generations=generations, llm_parallel=2)
        loop.run(doubles.seed(), config, REGISTRY, folder, lambda *_: None)


def test_a_run_that_depends_on_which_server_answered(tmp_path: Path) -> None:
    ready = ["picky"] * (1 + len(FORMS))
    evolved(tmp_path / "one", answering())
    scripts = [answering(*ready, "status 503"), answering(*ready, "half"), answering()]
    evolved(tmp_path / "three", *scripts)
    assert content(tmp_path / "three") == content(tmp_path / "one")
    with History(tmp_path / "three") as history:
        replies = list(history.replies())
    assert len(replies) > 12
    assert [script.behaviours for script in scripts] == [["picky"]] * 3, "a fault was not met"


def test_a_run_that_cannot_go_on_with_other_servers(tmp_path: Path) -> None:
    evolved(tmp_path / "whole", answering())
    evolved(tmp_path / "cut", answering(), generations=1)
    with pytest.raises(ConfigError, match="is neither started nor reached") as caught:
        resumed_run(tmp_path / "cut", {"evaluator": "instant"}, REGISTRY)
    assert "--llm openai:m@http://" in caught.value.hint
    evolved(tmp_path / "cut", answering(), answering())
    assert content(tmp_path / "cut") == content(tmp_path / "whole")


# --- before a run ---------------------------------------------------------------------------------


def raw(status: int, text: str, models: list[str] | None = None) -> Script:
    script = Script(f"raw {status}")
    script.raw, script.models = text, models
    return script


@pytest.mark.parametrize(
    ("second", "message", "hint"),
    [
        (raw(401, '{"error": {"message": "Incorrect"}}'), "refuses the key: .*Incorrect", "API_KEY"),
        (raw(404, '{"error": {"message": "no m"}}', ["other"]), "not answer as 'm': .*no m", "It has: other"),
        (raw(200, "<html><title>Log in</title></html>"), "web page", "--llm-url"),
    ],
)
def test_one_of_several_servers_that_refuses_and_is_found_out_late(
    second: Script, message: str, hint: str
) -> None:
    with misbehaving(Script("good")) as first, misbehaving(second) as url:
        place = url.removeprefix("http://").removesuffix("/v1")
        with pytest.raises(ModelError, match=f"The server at {place} .*{message}") as caught:
            check_server(f"m@{first},{url}", {}, RunConfig())
    assert hint in caught.value.hint


@pytest.mark.parametrize(
    ("models", "others", "fits"),
    [
        (["m", "n"], ["other"], False),
        (["m"], ["m:latest"], True),
        (["/a/x.gguf"], ["/b/y.gguf"], False),
        (["/a/x.gguf"], ["/b/x.gguf"], True),
        (["other"], None, True),
        (["other", "more"], ["m"], True),
    ],
)
def test_servers_of_different_models_that_answer_as_any(
    models: list[str], others: list[str] | None, fits: bool
) -> None:
    first, second = Script("good"), Script("good")
    first.models, second.models = models, others
    with misbehaving(first) as one, misbehaving(second) as two:
        if fits:
            check_server(f"m@{one},{two}", {}, RunConfig())
            return
        with pytest.raises(ModelError, match=r"serve different models: '.*' and '.*'") as caught:
            check_server(f"m@{one},{two}", {}, RunConfig())
    assert two.removeprefix("http://").removesuffix("/v1") in caught.value.message


def test_one_server_out_of_reach_that_keeps_a_run_from_the_others() -> None:
    nobody = f"http://127.0.0.1:{free_port()}/v1"
    with misbehaving(Script("good")) as url:
        check_server(f"m@{nobody},{url}", {}, RunConfig())
    with pytest.raises(ModelError, match="No server can be reached"):
        check_server(f"m@{nobody},{nobody}/v1", {}, RunConfig())


def test_a_server_that_is_down_and_not_told(ge: Ge) -> None:
    nobody = f"http://me:{KEY}@127.0.0.1:{free_port()}/v1"
    with misbehaving(Script("good")) as url:
        code, out, _ = ge("doctor", "--llm-url", url, "--llm-url", nobody)
    place = url.removeprefix("http://").removesuffix("/v1")
    told = " ".join(out.split())
    assert f"ok server {place} is well" in told
    assert re.search(r"missing server 127.0.0.1:\d+ cannot answer: the connection failed: .*refused", told)
    assert code == 1
    assert KEY not in out


# --- addresses ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("", []),
        ("http://a/v1", ["http://a/v1"]),
        ("http://a/v1,http://b/v1", ["http://a/v1", "http://b/v1"]),
        ("http://a/v1, https://b/v1,http://a/v1", ["http://a/v1", "https://b/v1"]),
        ("http://a/v1?api-version=1,2,http://b", ["http://a/v1?api-version=1,2", "http://b"]),
    ],
)
def test_addresses_that_are_cut_wrongly(text: str, parts: list[str]) -> None:
    assert split_addresses(text) == parts


def test_a_secret_of_one_of_several_addresses_that_is_shown_or_said() -> None:
    text = f"openai:m@http://me:{KEY}@a:1/v1?key=abc{KEY},http://you:xyz{KEY}@b/v1"
    assert shown(text) == "openai:m@http://***@a:1/v1?key=***,http://***@b/v1"
    assert {KEY, f"abc{KEY}", f"xyz{KEY}"} <= set(secrets_of(text))
    first, second = connect(text.removeprefix("openai:"), {}, RunConfig())
    assert (first.place, second.place) == ("a:1", "b")
    assert first.clean(f"no xyz{KEY}") == second.clean(f"no abc{KEY}") == "no ***"


def test_two_servers_behind_one_gateway_that_are_told_by_one_name() -> None:
    places = [one.place for one in connect("m@http://gate/one/v1,http://gate/two/v1", {}, RunConfig())]
    assert places == ["gate/one", "gate/two"]
