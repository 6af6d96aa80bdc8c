"""Answers as servers give them: each is read, or costs its child with the server's own reason."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import doubles
import pytest
from servers import Script, misbehaving, model_of

from ge_engine import loop
from ge_engine.config import RunConfig
from ge_engine.contracts import Prompt, Reply, Request, Sampling
from ge_engine.ledger.history import History
from ge_engine.llm.answers import Answer, Trouble, read_answer, read_refusal, told
from ge_engine.llm.connection import connect
from ge_engine.llm.forms import FORMS
from ge_engine.llm.server import FRAME, UNCOUNTED, ServerLimits
from ge_engine.registry import load_registry

KEY = "sk-very-secret-0123456789"
REGISTRY = load_registry(["doubles"], blocked=[name for name in doubles.REPLACED if name != "models"])
THOUGHT = {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}
CALL = {"type": "function", "function": {"name": "run_code", "arguments": "{}"}}


def body(message: Any, finish: str = "stop", **more: Any) -> str:
    return json.dumps({"choices": [{"message": message, "finish_reason": finish}], **more})


@pytest.mark.parametrize(
    "content",
    [
        "x = 1",
        [{"type": "text", "text": "x = 1"}],
        [THOUGHT, {"type": "text", "text": "x ="}, {"type": "text", "text": " 1"}],
        ["x ", "= 1"],
        {"type": "text", "text": "x = 1"},
        {"type": "output_text", "text": "x = 1"},
        {"parts": [{"text": "x = 1"}]},
    ],
)
def test_a_reply_whose_text_comes_in_parts(content: Any) -> None:
    assert read_answer(body({"content": content})) == Answer("x = 1")
    assert read_answer("\ufeff\n" + body({"content": content})) == Answer("x = 1")


@pytest.mark.parametrize(
    ("message", "finish", "reason"),
    [
        ({"content": None}, "stop", "reply is empty"),
        ({"content": ""}, "stop", "reply is empty"),
        ({}, "stop", "reply is empty"),
        ({"content": 5}, "stop", "no text, only 5"),
        ({"content": {"image": "x"}}, "stop", "no text, only"),
        ({"content": [THOUGHT]}, "stop", "no text, only"),
        ({"content": None, "tool_calls": [CALL]}, "tool_calls", "called the tool 'run_code'"),
        ({"content": None, "function_call": CALL["function"]}, "stop", "called the tool 'run_code'"),
        ({"content": None, "tool_calls": ["odd", 3]}, "stop", "reply is empty"),
        ({"content": None, "reasoning_content": "hm"}, "stop", "reasoning and no answer"),
        ({"content": "", "reasoning": "hm"}, "stop", "reasoning and no answer"),
        ({"content": None, "refusal": "I cannot"}, "stop", "model refused: I cannot"),
        ({"content": "half of"}, "content_filter", "content filter withheld"),
    ],
)
def test_an_answer_without_a_text_that_says_why(message: Any, finish: str, reason: str) -> None:
    answer = read_answer(body(message, finish, usage={"prompt_tokens": 3, "completion_tokens": 2}))
    assert isinstance(answer, Answer)
    assert reason in answer.error
    assert (answer.text, answer.prompt_tokens, answer.completion_tokens) == ("", 3, 2)


FENCED = "```python\nx = 1\n```"


@pytest.mark.parametrize("name", ["reasoning_content", "reasoning"])
@pytest.mark.parametrize(
    ("said", "is_answer"),
    [
        (FENCED, True),
        (f"Here it is:\n\n{FENCED}\n", True),
        ("class Net(nn.Module):\n    pass", True),
        ("12: x = 1\n13: y = 2", True),
        (f"I could write {FENCED}\nBut is that wider? It may", False),
        ("the class Net could be wider", False),
        ("", False),
    ],
)
def test_an_answer_that_the_server_takes_for_reasoning(name: str, said: str, is_answer: bool) -> None:
    answer = read_answer(body({"content": None, name: said}))
    assert isinstance(answer, Answer)
    assert (answer.text, bool(answer.error)) == ((said.strip(), False) if is_answer else ("", True))
    halves = [{"choices": [{"delta": {name: half}}]} for half in (said[:5], said[5:])]
    streamed = stream(*halves, {"choices": [{"delta": {}, "finish_reason": "stop"}]})
    assert read_answer(streamed) == answer


@pytest.mark.parametrize("more", [{"content": "y = 2"}, {"refusal": "I cannot"}, {"tool_calls": [CALL]}])
def test_a_thought_that_is_taken_for_the_answer(more: dict[str, Any]) -> None:
    answer = read_answer(body({"content": None, "reasoning_content": FENCED, **more}))
    assert isinstance(answer, Answer)
    assert answer.text == more.get("content", "")
    cut = read_answer(body({"content": None, "reasoning_content": FENCED}, "length"))
    assert cut == Answer("", cut=True)


@pytest.mark.parametrize(
    ("said", "reason", "final"),
    [
        ({"error": {"message": "no such key", "code": "invalid_api_key"}}, "no such key", True),
        ({"error": {"message": "slow down", "code": 429}}, "slow down", False),
        ({"error": {"message": "broken", "code": "502"}}, "broken", False),
        ({"error": {"message": "Rate limit exceeded"}}, "Rate limit", False),
        ({"error": "insufficient_quota"}, "insufficient_quota", True),
        ({"error": {"code": 429, "type": "insufficient_quota", "message": "pay"}}, "pay", True),
        ({"choices": [{"error": {"message": "provider gone"}, "message": {}}]}, "provider gone", True),
    ],
)
def test_an_error_with_the_status_of_success(said: Any, reason: str, final: bool) -> None:
    trouble = read_answer(json.dumps(said))
    assert isinstance(trouble, Trouble)
    assert reason in trouble.reason
    assert trouble.kind in ("refused", "unpaid")
    assert trouble.final == final


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("<!DOCTYPE html><html><head><title>Log in</title>", 'web page, not an API ("Log in")'),
        ('<?xml version="1.0"?>\n<!-- proxy -->\n<html>no</html>', "web page, not an API"),
        (json.dumps("<html>Bad gateway</html>"), "web page, not an API"),
        ("Ollama is running", "Ollama is running"),
        ("", "empty"),
        ("[" * 100_000, "[[["),
        ('{"message": "wrong door"}', "wrong door"),
        ('{"choices": {}}', "no choice"),
        ('{"choices": [null]}', "no choice"),
        ('{"choices": [{"message": "x = 1"}]}', "no message"),
        ('data: {"choices": [{"delta": {"content": "half"}}]}\n\n', "half"),
    ],
)
def test_an_answer_that_is_none(text: str, reason: str) -> None:
    trouble = read_answer(text)
    assert isinstance(trouble, Trouble)
    assert trouble.kind == "malformed"
    assert reason in trouble.reason


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{"error": {"message": "context too long"}}', "context too long"),
        ('{"error": "model not found"}', "model not found"),
        ('{"object": "error", "message": "no such field"}', "no such field"),
        ('{"detail": "Not authenticated"}', "Not authenticated"),
        (
            '{"detail": [{"type": "extra_forbidden", "loc": ["body", "seed"], "msg": "not permitted"}]}',
            "body.seed: not permitted",
        ),
        ('[{"error": {"code": 400, "message": "API key not valid"}}]', "API key not valid"),
        ('{"error": {"message": "Provider error", "metadata": {"raw": "queue full"}}}', "error: queue full"),
        ('{"status": 7}', '{"status": 7}'),
        ("upstream is down\n", "upstream is down"),
    ],
)
def test_a_reason_that_is_not_told(text: str, reason: str) -> None:
    assert told(text).endswith(reason)
    trouble = read_refusal(500, text, {})
    assert isinstance(trouble, Trouble)
    assert trouble.reason == f"the server answered 500: {told(text)}"


def test_a_page_of_a_gateway_that_blames_the_url() -> None:
    trouble = read_refusal(502, "<html><title>502 Bad Gateway</title></html>", {})
    assert isinstance(trouble, Trouble)
    assert trouble.reason == "the server answered 502: 502 Bad Gateway"
    bare = read_refusal(503, "<html>later</html>", {})
    assert isinstance(bare, Trouble)
    assert bare.reason == "the server answered 503: Service Unavailable"


def test_a_refusal_that_is_an_answer() -> None:
    filtered = read_refusal(400, '{"error": {"code": "content_filter", "message": "violence"}}', {})
    assert isinstance(filtered, Answer)
    assert "filter refused the prompt: violence" in filtered.error
    short = "Could not finish the message because max_tokens or model output limit was reached."
    assert read_refusal(400, json.dumps({"error": {"message": short}}), {}) == Answer("", cut=True)


def stream(*events: Any) -> str:
    return "".join(f"data: {one if isinstance(one, str) else json.dumps(one)}\n\n" for one in events)


def test_a_stream_that_is_read_in_part() -> None:
    parts = [
        {"choices": [{"delta": {"role": "assistant", "reasoning_content": "hm"}}]},
        *({"choices": [{"delta": {"content": part}}]} for part in ("x ", "= ", "1\u2028")),
        {"choices": [{"delta": {}, "finish_reason": "length"}]},
        {"choices": [], "usage": {"prompt_tokens": 5, "completion_tokens": 4}},
    ]
    assert read_answer(": hello\n\n" + stream(*parts, "[DONE]")) == Answer("x = 1\u2028", True, "", 5, 4)
    late = read_answer(stream(*parts[:2], {"error": {"message": "died", "code": 500}}))
    assert isinstance(late, Trouble)
    assert "died" in late.reason
    assert not late.final


USAGES = [
    ({}, (None, None)),
    ({"usage": None}, (None, None)),
    ({"usage": {}}, (None, None)),
    ({"usage": {"prompt_tokens": 0, "completion_tokens": 0}}, (None, None)),
    ({"usage": {"prompt_tokens": "many", "completion_tokens": None}}, (None, None)),
    ({"usage": {"prompt_tokens": -4, "completion_tokens": float("nan")}}, (None, None)),
    ({"usage": {"prompt_tokens": 9}}, (9, None)),
    ({"usage": [1, 2]}, (None, None)),
]


@pytest.mark.parametrize(("more", "told"), USAGES)
def test_token_figures_that_are_none(more: Any, told: Any) -> None:
    answer = read_answer(body({"content": "x"}, **more))
    assert isinstance(answer, Answer)
    assert (answer.prompt_tokens, answer.completion_tokens) == told


def ask(script: Script, config: RunConfig | None = None) -> tuple[Reply, list[str]]:
    """A reply, and what the model said meanwhile."""
    said: list[str] = []
    with misbehaving(script) as url:
        (endpoint,) = connect(f"m@{url}", {"OPENAI_API_KEY": KEY}, config or RunConfig())
        model = model_of(endpoint, ServerLimits(deadline=20.0, attempt=5.0, pause=0.05))
        model.say = said.append
        ((_, reply),) = model.generate([Request("g0s0/0", Prompt("sys", "user"), Sampling(0.5, 64, 1))])
        model.close()
    return reply, said


def test_a_call_without_figures_that_is_charged_nothing() -> None:
    script = Script("raw 200")
    script.raw = body({"content": "x = 1"})
    reply, said = ask(script)
    assert (reply.prompt_tokens, reply.completion_tokens) == (len("sysuser") + FRAME, 64)
    assert said == [UNCOUNTED]
    longer, _ = ask(script, RunConfig(llm_extra=('{"max_completion_tokens": 5000}',)))
    assert longer.completion_tokens == 5000


def test_an_unusable_answer_that_is_charged_nothing() -> None:
    script = Script("raw 200")
    script.raw = body({"content": None}, "content_filter")
    reply, _ = ask(script)
    assert (reply.finish, reply.completion_tokens) == ("error", 64)
    assert reply.answered


def test_a_server_that_answers_by_its_reasoning_alone() -> None:
    script = Script("raw 200")
    script.raw = body({"content": "", "reasoning_content": FENCED})
    reply, _ = ask(script)
    assert (reply.text, reply.finish, reply.error) == (FENCED, "stop", "")


def test_a_retry_of_which_nobody_is_told() -> None:
    reply, said = ask(Script("status 503 retry-after=0.01", "status 429 retry-after=0.01", "good"))
    assert reply.text == "good"
    assert [line.partition(":")[0] for line in said] == ["the server answered 503", "the server answered 429"]
    assert all("*** is not welcome; it is tried again" in line and KEY not in line for line in said)


def run(url: str, folder: Path, observe: Any = lambda *_: None, **settings: Any) -> loop.Result:
    config = doubles.config(llm=f"openai:m@{url}", population=3, **{"generations": 1, **settings})
    return loop.run(doubles.seed(), config, REGISTRY, folder, observe)


OPENING = ["good"] * (1 + len(FORMS))


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (body({"content": None}, "content_filter"), "content filter"),
        (body({"content": None, "tool_calls": [CALL]}), "called the tool"),
        (body({"content": {"odd": 1}}), "no text"),
        (body({"content": None, "reasoning": "hm"}), "no answer"),
    ],
)
def test_an_unusable_answer_that_ends_the_run(tmp_path: Path, answer: str, reason: str) -> None:
    script = Script(*OPENING, "raw 200")
    script.raw = answer
    with misbehaving(script) as url:
        run(url, tmp_path / "run")
    with History(tmp_path / "run") as history:
        outcomes = [str(one.outcome) for one in history.individuals() if one.slot >= 0]
        assert len(outcomes) == 3
        assert all(reason in outcome for outcome in outcomes)
        assert sum(history.tokens()) > 0


def test_a_budget_that_a_server_without_figures_passes(tmp_path: Path) -> None:
    script = Script(*OPENING, "raw 200")
    script.raw = body({"content": "x = 1"})
    with misbehaving(script) as url:
        result = run(url, tmp_path / "run", generations=4, token_budget=6000, reply_tokens=(100, 200))
    with History(tmp_path / "run") as history:
        assert 0 < sum(history.tokens()) <= 6000
    assert "of 6000 tokens" in result.stopped_because


def test_a_watcher_who_is_not_told_of_a_retry(tmp_path: Path) -> None:
    script, observer = Script(*OPENING, "status 503 retry-after=0.01", "good"), doubles.Observer()
    with misbehaving(script) as url:
        run(url, tmp_path / "run", observer)
    assert any(data["model"] == "openai:m" and "503" in data["message"] for data in observer.of("remark")), (
        observer.events
    )
