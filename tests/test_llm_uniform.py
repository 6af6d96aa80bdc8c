"""The control: draws are repeatable, varied, and need neither a model nor torch."""

from __future__ import annotations

import subprocess
import sys

import pytest

from ge_engine.config import RunConfig
from ge_engine.contracts import Prompt, Reply, Request, Sampling
from ge_engine.errors import ModelError
from ge_engine.grammar.lark_builder import Parts
from ge_engine.llm.uniform import UniformModel
from ge_plugins.models import ge_language_models
from ge_plugins.replay import ReplayModel


def draw(grammar: str, seed: int, limit: int = 50) -> Reply:
    constraint = Parts((grammar,))
    ((_, reply),) = UniformModel().generate(
        [Request("k", Prompt("", ""), Sampling(1.0, limit, seed), constraint)]
    )
    return reply


def test_a_draw_is_a_function_of_its_seed() -> None:
    grammar = "start: A\nA: /[a-f]{6}/\n"
    assert draw(grammar, 3).text == draw(grammar, 3).text
    assert len({draw(grammar, seed).text for seed in range(20)}) > 15


def test_every_alternative_is_drawn() -> None:
    texts = {draw('start: A\nA: "x" | "y" | "z"\n', seed).text for seed in range(40)}
    assert texts == {"x", "y", "z"}


@pytest.mark.parametrize("grammar", ['start: A\nA: "x" & "y"\n', "start: ("])
def test_a_grammar_without_an_answer_ends_in_an_error(grammar: str) -> None:
    reply = draw(grammar, 0)
    assert reply.finish == "error"
    assert reply.error


def test_an_endless_grammar_is_cut_off() -> None:
    assert draw("start: A\nA: /[a-z]{4000}/\n", 0, limit=10).finish == "length"


def test_drawing_needs_no_torch() -> None:
    modules = "ge_engine.llm.uniform, ge_plugins.models, ge_plugins.grammars"
    code = f"import sys, {modules}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_replay_answers_by_key_and_names_what_is_missing() -> None:
    kept = Reply("kept", "stop", 1, 2, 0.1, "other")
    model = ReplayModel("replay:run", {"g0s0/0": kept})
    asked = [Request(key, Prompt("", ""), Sampling(1, 10, 0)) for key in ("g0s0/0", "g0s1/0")]
    replies = dict(model.generate(asked))
    assert replies[0] == kept
    assert replies[1].finish == "error"
    assert "g0s1/0" in replies[1].error


@pytest.mark.parametrize(
    ("name", "argument"), [("smollm2", "x"), ("hf", ""), ("replay", ""), ("openai", ""), ("uniform", "x")]
)
def test_an_argument_too_many_or_too_few_is_one_sentence(name: str, argument: str) -> None:
    factory = next(model for model in ge_language_models() if model.name == name)
    with pytest.raises(ModelError) as caught:
        factory.open(argument, RunConfig())
    assert "--llm" in caught.value.hint
