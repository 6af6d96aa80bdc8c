"""Servers that take requests in another form: found out once, remembered, and told."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from servers import Script, misbehaving, model_of

from ge_engine.config import RunConfig
from ge_engine.contracts import Prompt, Reply, Request, Sampling
from ge_engine.llm.connection import connect
from ge_engine.llm.server import ServerLimits

Refuse = Callable[[dict[str, Any]], tuple[int, Any] | None]


def openai_error(status: int, text: str) -> tuple[int, Any]:
    return status, {"error": {"message": text, "type": "invalid_request_error"}}


def forbidden(field: str) -> Refuse:
    """As FastAPI refuses a field."""
    detail = [{"type": "extra_forbidden", "loc": ["body", field], "msg": "Extra inputs are not permitted"}]
    return lambda body: (422, {"detail": detail}) if field in body else None


def named(field: str, text: str = "Unrecognized request argument") -> Refuse:
    return lambda body: openai_error(400, f"{text}: '{field}'") if field in body else None


def system_role(status: int, text: str) -> Refuse:
    return lambda body: openai_error(status, text) if len(body["messages"]) > 1 else None


def stream_only(text: str) -> Refuse:
    def refuse(body: dict[str, Any]) -> tuple[int, Any] | None:
        return None if body.get("stream") else openai_error(400, text)

    return refuse


def unthinking(body: dict[str, Any]) -> tuple[int, Any] | None:
    text = "parameter.enable_thinking must be set to false for non-streaming calls"
    return None if body.get("enable_thinking") is False else openai_error(400, text)


def no_limit(body: dict[str, Any]) -> tuple[int, Any] | None:
    text = "Unsupported parameter: 'max_tokens' is not supported. Use 'max_completion_tokens' instead."
    return openai_error(400, text) if "max_tokens" in body else None


def everything(body: dict[str, Any]) -> tuple[int, Any] | None:
    refusals = (no_limit, forbidden("seed"), named("temperature"), system_role(400, "no system message"))
    return next((refusal for refuse in refusals if (refusal := refuse(body))), None)


def ask(script: Script, count: int = 4, config: RunConfig | None = None) -> tuple[list[Reply], list[str]]:
    """Replies to requests one after the other, and what the model said."""
    said: list[str] = []
    requests = [Request(f"g0s{i}/0", Prompt("sys", f"user {i}"), Sampling(0.5, 64, 7)) for i in range(count)]
    with misbehaving(script) as url:
        (endpoint,) = connect(f"m@{url}", {}, config or RunConfig())
        model = model_of(endpoint, ServerLimits(1, 20.0, 5.0, 0.05))
        model.say = said.append
        replies = [reply for _, reply in sorted(model.generate(requests))]
        model.close()
    return replies, said


def picky(refuse: Refuse) -> Script:
    script = Script("picky")
    script.refuse = refuse
    return script


@pytest.mark.parametrize(
    ("refuse", "word"),
    [
        (forbidden("seed"), "no seed"),
        (named("seed"), "no seed"),
        (forbidden("temperature"), "no temperature"),
        (named("temperature", "Only the default is supported"), "no temperature"),
        (no_limit, "max_completion_tokens"),
        (unthinking, "enable_thinking"),
        (system_role(400, "System role not supported"), "system role"),
        (system_role(500, "Jinja error: Conversation roles must alternate user/assistant"), "system role"),
        (system_role(400, "Developer instruction is not enabled for models/gemma"), "system role"),
        (system_role(400, "'messages[0].role' does not support 'system' with this model"), "system role"),
    ],
)
def test_a_form_that_is_refused_each_time(refuse: Refuse, word: str) -> None:
    script = picky(refuse)
    replies, said = ask(script)
    assert [reply.text for reply in replies] == ["good"] * 4
    assert len(script.bodies) == 5, "the refusal was not remembered"
    assert len(said) == 1
    assert word in said[0]


def test_a_system_text_that_is_lost() -> None:
    script = picky(system_role(400, "System role not supported"))
    ask(script, count=1)
    assert script.bodies[-1]["messages"] == [{"role": "user", "content": "sys\n\nuser 0"}]


def test_a_server_that_refuses_one_thing_after_another() -> None:
    script = picky(everything)
    replies, said = ask(script)
    assert [reply.text for reply in replies] == ["good"] * 4
    assert len(script.bodies) == 4 + 4
    assert len(said) == 4


def test_requests_side_by_side_that_each_give_up() -> None:
    script = picky(everything)
    with misbehaving(script) as url:
        (endpoint,) = connect(f"m@{url}", {}, RunConfig())
        model = model_of(endpoint, ServerLimits(8, 20.0, 5.0, 0.05))
        requests = [Request(f"g0s{i}/0", Prompt("sys", "user"), Sampling(0.5, 64, 7)) for i in range(16)]
        assert {reply.text for _, reply in model.generate(requests)} == {"good"}
        model.close()


@pytest.mark.parametrize(
    "text",
    [
        "This model only support stream mode, please enable the stream parameter to access the model.",
        "Streaming is required: stream must be true",
        "'stream' must be set to true",
    ],
)
def test_a_server_that_only_streams(text: str) -> None:
    script = Script("picky", "raw 200")
    script.refuse = stream_only(text)
    part = {"choices": [{"delta": {"content": "good"}, "finish_reason": "stop"}]}
    script.raw = f"data: {json.dumps(part)}\n\ndata: [DONE]\n\n"
    replies, said = ask(script)
    assert [reply.text for reply in replies] == ["good"] * 4
    assert len(script.bodies) == 5
    assert len(said) == 2, "that it streams, and that it counts no tokens"
    assert script.bodies[1]["stream_options"] == {"include_usage": True}


def test_a_refusal_that_no_other_form_mends() -> None:
    script = picky(lambda _: openai_error(400, "the prompt is too long"))
    (reply,), said = ask(script, count=1)
    assert (reply.finish, reply.error) == ("error", "the server answered 400: the prompt is too long")
    assert len(script.bodies) == 1
    assert said == []


def test_a_field_that_is_refused_whatever_is_done() -> None:
    script = picky(lambda _: openai_error(400, "seed, temperature, stream must be true and enable_thinking"))
    (reply,), _ = ask(script, count=1)
    assert reply.finish == "error"
    assert len(script.bodies) == 5


@pytest.mark.parametrize(
    ("extra", "sent"),
    [
        ('{"top_p": 0.9}', {"top_p": 0.9, "seed": 7}),
        ('{"temperature": 1, "seed": null}', {"temperature": 1, "seed": None}),
        ('m={"reasoning": {"effort": "low"}}', {"reasoning": {"effort": "low"}}),
        ('openai:m={"top_k": 3}', {"top_k": 3}),
        ('other={"top_k": 3}', {"top_k": None}),
        ('{"max_tokens": 900}', {"max_tokens": 900}),
    ],
)
def test_a_users_own_fields_that_are_not_sent(extra: str, sent: dict[str, Any]) -> None:
    script = Script("good")
    ask(script, count=1, config=RunConfig(llm_extra=(extra,)))
    assert {name: script.bodies[0].get(name) for name in sent} == sent
    assert None not in script.bodies[0].values()
    assert script.bodies[0]["model"] == "m"
