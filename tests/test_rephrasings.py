"""Prompts that evolve: what is kept, what is dropped, and that a run with them repeats."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import doubles
import pytest

from ge_engine import loop
from ge_engine.contracts import Context, Memory, OperatorStats, Prompt, Reply, RunFacts
from ge_engine.ledger.history import History
from ge_engine.outcome import Scored
from ge_engine.patch import Patch
from ge_engine.population import Individual
from ge_engine.runs.audit import check
from ge_plugins.intents import INTENTS
from ge_plugins.rephrasings import TRIALS, Rephrasing, rephrased

REDUCE = next(intent for intent in INTENTS if intent.name == "reduce")
OTHER = "Shrink this part of the network and lose as little accuracy as you can."
NAMED = "reduce~"


def context(rng: int, prose: Sequence[str] = (), **trials: OperatorStats) -> Context:
    genome = doubles.seed().genome
    seed = Individual("seed", 0, -1, (), (), genome, Scored({"accuracy": 0.5}))
    return Context(
        genome=genome,
        addresses=genome.evolvable,
        rng=random.Random(rng),
        read=lambda prompt, reply: Patch(prompt.address, reply.text),
        parents=(seed,),
        run=RunFacts(generation=1, seed=seed, elites=(), directions={"accuracy": "max"}),
        memory=Memory(
            trials=lambda dimension, name: trials.get(name.partition("~")[1] or name, OperatorStats()),
            prose=lambda intent: tuple(prose) if intent == "rephrase:reduce" else (),
        ),
    )


def asked(context: Context, thought: str = OTHER) -> list[Prompt]:
    """The prompts of one proposal."""
    proposal = Rephrasing([REDUCE]).propose(context)
    prompts = [next(proposal)]
    try:
        while True:
            prompts.append(proposal.send(Reply(thought, "stop", 1, 1, 0.0, "test")))
    except StopIteration:
        return prompts


def test_a_new_wording_that_is_not_used_by_the_child_that_found_it() -> None:
    both = [prompts for rng in range(40) if len(prompts := asked(context(rng))) == 2]
    assert 3 < len(both) < 20
    for question, prompt in both:
        assert question.grammar is None
        assert REDUCE.text in question.user
        assert prompt.user.startswith(OTHER)
        assert prompt.intent.startswith(NAMED)
        assert prompt.grammar == REDUCE.grammar


@pytest.mark.parametrize(
    "thought", ["", "Shorter.", "x" * 401, "```python\nreturn 1\n```" * 2, REDUCE.text.upper()]
)
def test_a_wording_that_is_none(thought: str) -> None:
    assert rephrased(REDUCE, thought) is None
    for rng in range(20):
        assert asked(context(rng), thought)[-1].user.startswith(REDUCE.text)


def wordings(**trials: OperatorStats) -> set[str]:
    return {
        prompts[0].intent for rng in range(60) if len(prompts := asked(context(rng, [OTHER], **trials))) == 1
    }


def test_a_wording_on_trial_that_is_not_drawn() -> None:
    drawn = wordings(**{"~": OperatorStats(TRIALS - 1, 0), "reduce": OperatorStats(50, 40)})
    assert len(drawn) == 2


def test_a_wording_that_did_worse_and_stays() -> None:
    assert wordings(**{"~": OperatorStats(TRIALS, 1), "reduce": OperatorStats(50, 25)}) == {"reduce"}


def test_a_wording_that_did_better_and_goes() -> None:
    assert len(wordings(**{"~": OperatorStats(TRIALS, 3), "reduce": OperatorStats(50, 10)})) == 2


def run(folder: Path, **settings: Any) -> None:
    config = doubles.config(
        **{
            "generations": 5,
            "population": 12,
            "llm": "scripted:good",
            "operators": ("rephrasing", "mating"),
            **settings,
        }
    )
    loop.run(doubles.seed(), config, doubles.registry(), folder, lambda *_: None)


def test_a_run_whose_prompts_evolve_and_that_cannot_be_repeated(tmp_path: Path) -> None:
    run(tmp_path / "one")
    run(tmp_path / "two", evaluator="threaded", workers=2)
    with History(tmp_path / "one") as one, History(tmp_path / "two") as two:
        assert one.content() == two.content()
        intents = [step.intent for individual in one.individuals() for step in individual.steps]
    assert any("~" in intent for intent in intents)
    assert check(tmp_path / "one") == []


def test_a_wording_that_a_later_generation_has_forgotten(tmp_path: Path) -> None:
    run(tmp_path / "run")
    born: dict[str, int] = {}
    used_later = False
    with History(tmp_path / "run") as history:
        for individual in history.individuals():
            for step in individual.steps:
                first = born.setdefault(step.intent, individual.generation)
                used_later |= "~" in step.intent and individual.generation > first
    assert used_later


@pytest.mark.long
def test_the_embedded_model_words_an_intent_anew(smollm2: Any) -> None:
    from ge_engine.contracts import Request, Sampling

    question = next(prompts[0] for rng in range(40) if len(prompts := asked(context(rng))) == 2)
    requests = [Request(f"g1s{n}/0", question, Sampling(0.8, 60, n)) for n in range(4)]
    replies = [reply.text for _, reply in smollm2.generate(requests)]
    fresh = [rephrased(replace(REDUCE), text) for text in replies]
    assert any(intent is not None for intent in fresh), replies
