"""Intents about size: asked of blocks that can reach them, with a goal, as moves where there are any."""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from ge_engine.config import load_config
from ge_engine.contracts import Context, Operator, Prompt
from ge_engine.genome import Seed
from ge_engine.outcome import Skipped
from ge_engine.profile import modules_of
from ge_engine.registry import load_registry
from ge_engine.testing import OperatorContract
from ge_plugins.intents import INTENTS
from ge_plugins.purposeful import GOALS, PURPOSEFUL, Purposeful

SOURCE = b"""
from torch import nn


class Norm(nn.Module):
    def __init__(self, c=48):
        super().__init__()
        self.norm = nn.Sequential(nn.BatchNorm2d(c), nn.Dropout(0.1), nn.GELU())

    def forward(self, x):
        return self.norm(x)


class Stage(nn.Module):
    def __init__(self, c=48):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(c, 96, 1), nn.GELU(), nn.Conv2d(96, c, 1))

    def forward(self, x):
        return x + self.body(x)


class Net(nn.Module):
    def __init__(self, num_classes=10):
        super().__init__()
        self.stages = nn.Sequential(nn.Conv2d(3, 48, 3), Stage(48), Norm(48), Stage(48))
        self.head = nn.Linear(48, num_classes)

    def forward(self, x):
        return self.head(self.stages(x).mean((2, 3)))
"""
GENOME = Seed.from_bytes(SOURCE).genome
FLAT = Seed.from_bytes(b"def act(x):\n    return x.relu()\n\n\ndef model(x):\n    return act(x)\n").genome


def profile(shares: dict[str, float]) -> Any:
    """A model of 1000 parameters and FLOPs in which blocks have these shares."""
    rows: list[list[Any]] = [["", "Net", "Net", [8, 3], [8, 4], 0, 1000, 1000.0, 1]]
    for name, share in shares.items():
        held = round(1000 * share)
        rows.append([name.lower(), name, name, [8, 3], [8, 4], held, held, float(held), 1])
    return modules_of(rows)


def context(number: int, shares: dict[str, float] | None = None, genome: Any = GENOME) -> Context:
    about = OperatorContract().context()
    return replace(
        about,
        rng=random.Random(number),
        genome=genome,
        addresses=genome.evolvable,
        profile=profile(shares) if shares is not None else (),
    )


def prompts(operator: Operator, contexts: Iterable[Context]) -> list[Prompt]:
    return [next(operator.propose(one)) for one in contexts]


SHARES = {"Stage": 0.9, "Norm": 0.01}


def test_an_intent_about_size_that_is_asked_without_figures() -> None:
    asked = prompts(Purposeful(), (context(number, SHARES) for number in range(120)))
    assert {prompt.intent for prompt in asked} == {intent.name for intent in INTENTS}
    for prompt in asked:
        assert prompt.goal == GOALS.get(prompt.intent)
        if prompt.goal is not None:
            assert prompt.grammar == "moves"
            assert "." not in prompt.address
            assert GENOME.blocks[prompt.address].code in prompt.user


def test_a_block_that_cannot_reach_the_goal_and_is_drawn_for_it() -> None:
    known = prompts(Purposeful(), (context(number, SHARES) for number in range(200)))
    reduced = [prompt.address for prompt in known if prompt.intent == "reduce"]
    assert set(reduced) == {"Stage", "Net"}
    unknown = prompts(Purposeful(), (context(number) for number in range(200)))
    assert "Norm" in {prompt.address for prompt in unknown if prompt.intent == "reduce"}


def test_an_intent_without_a_goal_that_is_asked_otherwise_than_the_papers() -> None:
    for mine, papers in zip(PURPOSEFUL, INTENTS, strict=True):
        assert replace(mine, goal=None) == papers
    free = [p for p in prompts(Purposeful(), map(context, range(120))) if p.goal is None]
    assert {prompt.address for prompt in free} == set(GENOME.evolvable)
    forms = {intent.name: intent.grammar for intent in INTENTS}
    assert all(prompt.grammar == forms[prompt.intent] for prompt in free)


def test_a_file_without_structure_that_is_asked_for_moves() -> None:
    asked = prompts(Purposeful(), (context(number, genome=FLAT) for number in range(120)))
    sized = [prompt for prompt in asked if prompt.goal is not None]
    assert {prompt.intent for prompt in sized} == set(GOALS)
    forms = {intent.name: intent.grammar for intent in INTENTS}
    assert all(prompt.grammar == forms[prompt.intent] for prompt in sized)


def test_a_goal_that_no_block_can_reach_and_is_asked_for() -> None:
    reasons = []
    for number in range(60):
        small = replace(context(number, SHARES), addresses=("Norm", "Norm.forward"))
        try:
            assert next(Purposeful().propose(small)).intent != "reduce"
        except StopIteration as end:
            reasons.append(end.value)
    assert reasons
    assert all(isinstance(reason, Skipped) and "reduce" in reason.reason for reason in reasons)


def test_a_preset_of_the_paper_with_goals() -> None:
    names = load_config("paper", None, {}).operators
    registry = load_registry()
    mutations = [registry.operators[name] for name in names if registry.operators[name].kind == "mutation"]
    assert [one.name for one in mutations] == ["mutation"]
    assert all(prompt.goal is None for prompt in prompts(mutations[0], map(context, range(60))))
    assert "purposeful" in load_config("demo", None, {}).operators
