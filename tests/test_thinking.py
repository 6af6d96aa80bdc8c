"""A thought before the code: bounded, kept in the run database, read by nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import doubles
import pytest
from llguidance import LLMatcher
from servers import Script, misbehaving, model_of
from test_grammar import FORMS, SEED, accepts, child, drawn, reply_of

from ge_engine import loop
from ge_engine.config import RunConfig, load_config
from ge_engine.contracts import Grammar, Prompt, Request, Sampling, Target
from ge_engine.errors import ConfigError
from ge_engine.grammar.reasoning_prefix import MARKS, UNFINISHED, Thinking, answer_of, room, thinking
from ge_engine.ledger.history import History
from ge_engine.llm import forms
from ge_engine.llm.connection import connect
from ge_engine.llm.local import LocalModel
from ge_engine.llm.server import ServerLimits
from ge_engine.llm.uniform import UniformModel, byte_tokenizer
from ge_engine.outcome import Rejected
from ge_engine.patch import Patch
from ge_engine.registry import load_registry
from ge_engine.runs.audit import check
from ge_plugins.grammars import Block, Edits

EACH_FORM = pytest.mark.parametrize("form", FORMS, ids=lambda form: form.name)
_DOUBLES = load_registry(["doubles"], blocked=[name for name in doubles.REPLACED if name != "models"])
REGISTRY = replace(_DOUBLES, grammars={form.name: form for form in FORMS})


def thoughtful(form: Grammar, tokens: int = 40) -> Thinking:
    return Thinking(form, tokens)


@EACH_FORM
def test_a_thought_that_changes_what_an_answer_means(form: Grammar) -> None:
    for seed in range(6):
        target = Target(SEED, "DW", seed=seed)
        reply = drawn(form, target, seed)
        told = reply_of(f"<think>\nReplace `x = 1`: a ```fence``` \n</think>\n{reply.text}")
        outer = thoughtful(form)
        assert outer.decode(told, target) == form.decode(reply, target)
        assert outer.canonical(told, target) == form.canonical(reply, target)
        assert outer.decode(reply, target) == form.decode(reply, target), "a model that did not think"


@EACH_FORM
def test_a_draw_whose_thought_runs_over_or_swallows_the_answer(form: Grammar) -> None:
    target = Target(SEED, "DW", seed=1)
    for seed in range(4):
        reply = drawn(thoughtful(form), target, seed)
        thought, closed, answer = reply.text.partition("</think>\n")
        assert thought.startswith("<think>\n")
        assert closed
        assert 1 <= len(thought) - len("<think>\n") <= 40
        assert answer.strip()
        if form.name != "diff":
            assert child(thoughtful(form), target, reply).digest != SEED.digest


@EACH_FORM
def test_a_server_that_is_given_another_grammar_than_a_local_model(form: Grammar) -> None:
    target = Target(SEED, "DW", seed=2)
    constraint = thoughtful(form).constraint(target)
    assert not isinstance(constraint, Rejected)
    answer = drawn(form, target, 3).text
    whole = constraint.whole()
    inner = form.constraint(target)
    assert not isinstance(inner, Rejected)
    if accepts(inner.whole(), answer):
        assert accepts(whole, f"<think>\nShort.\n</think>\n{answer}")
    assert not accepts(whole, answer)
    assert not accepts(whole, f"<think>\n</think>\n{answer}")
    assert not accepts(whole, f"<think>\n{'long ' * 9}\n</think>\n{answer}")
    assert not accepts(whole, f"<think>\na < b\n</think>\n{answer}")


def test_a_thought_at_its_limit_that_is_not_ended() -> None:
    constraint = thoughtful(Edits(), 5).constraint(Target(SEED, "DW"))
    assert not isinstance(constraint, Rejected)
    first = constraint.part("")
    assert first is not None
    matcher = LLMatcher(byte_tokenizer(), LLMatcher.grammar_from_lark(first))
    assert matcher.try_consume_tokens(list(b"<think>\nabcdefgh")) == len("<think>\nabcde")
    assert bytes(matcher.compute_ff_tokens()) == b"</think>\n"


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("3: x = 1", "3: x = 1"),
        ("<think>\na\n</think>\n3: x = 1", "3: x = 1"),
        ("  <THINK>a</THINK>\n\n3: x = 1", "3: x = 1"),
        ("<think>own</think>\n<think>\nasked\n</think>\n3: x = 1", "3: x = 1"),
        ("opened by the template</think>\n3: x = 1", "3: x = 1"),
        ("<think>\nnever ends", None),
        ("<think>a</think><think>b", None),
        ('<think>a</think>\nx = "<think></think>"', 'x = "<think></think>"'),
        ("    x = 1", "    x = 1"),
        ("", ""),
    ],
)
def test_a_thought_that_is_taken_for_the_answer(text: str, answer: str | None) -> None:
    assert answer_of(text) == answer


def test_a_thought_that_never_ends_is_said_and_not_excluded() -> None:
    target = Target(SEED, "DW")
    for form in FORMS:
        reply = reply_of("<think>\n" + SEED.blocks["DW"].code)
        assert thoughtful(form).decode(reply, target) is UNFINISHED
        assert thoughtful(form).canonical(reply, target) == ""


def test_without_a_thought_nothing_is_wrapped() -> None:
    grammars = {"block": Block()}
    assert thinking(grammars, 0) is grammars
    assert room(0) == 0
    assert room(100) == 100 + MARKS
    with pytest.raises(ConfigError, match="think must be 0"):
        load_config("demo", None, {"think": -1})


@pytest.mark.long
def test_the_embedded_model_thinks_within_the_limit_and_answers(smollm2: LocalModel) -> None:
    form, requests, targets = thoughtful(Edits(), 30), [], []
    for number in range(3):
        target = Target(SEED, "DFSEB", seed=number)
        constraint = form.constraint(target)
        assert not isinstance(constraint, Rejected)
        words = f"Improve this code.\n{SEED.blocks['DFSEB'].code}\n{form.instructions(target)}"
        sampling = Sampling(0.7, 200 + room(30), number)
        requests.append(Request(f"g0s{number}/0", Prompt("", words), sampling, constraint))
        targets.append(target)
    replies = dict(smollm2.generate(requests))
    for number, target in enumerate(targets):
        reply = replies[number]
        assert reply.finish == "stop", reply
        thought = reply.text.partition("</think>")[0].removeprefix("<think>\n")
        assert thought
        assert len(smollm2.tokenizer.encode(thought, add_special_tokens=False)) <= 30 + 2
        assert isinstance(form.decode(reply, target), Patch), reply.text


def evolved(folder: Path, **settings: Any) -> loop.Result:
    config = doubles.config(**{"llm": "uniform", "generations": 2, "temperature": (1.0, 1.0), **settings})
    return loop.run(doubles.seed(), config, REGISTRY, folder, lambda *_: None)


def test_a_ledger_that_loses_the_thought(tmp_path: Path) -> None:
    evolved(tmp_path / "run", think=50)
    with History(tmp_path / "run") as history:
        calls = [call for one in history.individuals() for call in history.calls(one.id) if call.grammar]
        admitted = [one for one in history.individuals(0) if one.slot >= 0 and one.genome is not None]
    assert calls
    assert admitted
    for call in calls:
        assert call.reply.text.startswith("<think>\n")
        assert "think in at most 37 words" in call.prompt.user
        assert "think" not in call.canonical
        assert call.sampling.max_tokens >= 600 + room(50)
    assert check(tmp_path / "run") == []


def test_a_server_that_is_not_told_to_think(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    script = Script("good")
    with misbehaving(script) as url:
        evolved(tmp_path / "run", llm=f"openai:m@{url}", think=80, generations=1, population=2)
    asked = script.bodies[1 + len(forms.FORMS) :]
    assert asked
    assert all(
        "between a line <think> and a line </think>" in body["messages"][1]["content"] for body in asked
    )


def test_a_server_that_follows_grammars_is_given_the_thought_in_its_own() -> None:
    script = Script("good")
    constraint = thoughtful(Edits()).constraint(Target(SEED, "DW"))
    assert not isinstance(constraint, Rejected)
    with misbehaving(script) as url:
        (endpoint,) = connect(f"m@{url}", {}, RunConfig())
        model = model_of(endpoint, ServerLimits(), forms.FORMS[0])
        list(model.generate([Request("g0s0/0", Prompt("", "x"), Sampling(0.5, 9, 0), constraint)]))
        model.close()
    sent = script.bodies[-1]["structured_outputs"]["grammar"]
    matcher = LLMatcher(byte_tokenizer(), LLMatcher.grammar_from_lark(sent))
    assert matcher.try_consume_tokens(list(b"<think>\nhm\n</think>\n")) == 20


def test_what_was_tried_is_excluded_whatever_was_thought() -> None:
    tried: set[str] = set()
    form = thoughtful(Edits())
    for seed in range(12):
        target = Target(SEED, "SELayerNorm.__init__", frozenset(tried), 3)
        constraint = form.constraint(target)
        if isinstance(constraint, Rejected):
            break
        request = Request("t", Prompt("", ""), Sampling(1.0, 900, seed), constraint)
        ((_, reply),) = UniformModel().generate([request])
        assert form.canonical(reply, target) not in tried
        tried.add(form.canonical(reply, target))
    assert len(tried) >= 5
