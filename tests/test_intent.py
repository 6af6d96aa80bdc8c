"""What a prompt asks of a child's figures is held against the child before it is trained, and told."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import doubles

from ge_engine import loop
from ge_engine.contracts import Context, Goal, Operator, Probe, Prompt, Proposal, fenced
from ge_engine.ledger.history import History
from ge_engine.outcome import Rejected, Scored, Skipped
from ge_engine.patch import Patch
from ge_engine.population import SEED_ID, Individual
from ge_engine.registry import Registry, load_registry
from ge_engine.search.check_pipeline import CheckPipeline, Rewrite, nobody
from ge_plugins.probe_checks import ge_checks

SMALLER = Goal(parameters=(0.0, 0.95))
INTENT = [check for check in ge_checks() if check.name == "intent"]


class Smaller(Operator):
    """Asks for fewer parameters, whichever block is drawn."""

    name = "smaller"

    def __init__(self, goal: Goal | None) -> None:
        self._goal = goal

    def propose(self, context: Context) -> Proposal:
        if not context.addresses:
            return Skipped("no block")
        address = context.rng.choice(context.addresses)
        code = fenced(context.genome.blocks[address].code)
        prompt = Prompt("Answer with code.", code, address, "block", "smaller", goal=self._goal)
        reply = yield prompt
        return context.read(prompt, reply)


def registry(operator: Operator) -> Registry:
    blocked = [name for name in doubles.REPLACED if name not in ("probe_checks", "tasks")]
    return dataclasses.replace(load_registry(["doubles"], blocked), operators={operator.name: operator})


def evolved(folder: Path, goal: Goal | None, **settings: Any) -> History:
    config = doubles.config(
        llm="scripted:good",
        operators=("smaller",),
        checks=("seen", "intent"),
        generations=1,
        population=12,
        **settings,
    )
    loop.run(doubles.seed(), config, registry(Smaller(goal)), folder, lambda *_: None)
    return History(folder)


def share(one: Individual) -> float:
    """Its parameters as a share of the seed's."""
    assert one.genome is not None
    return doubles.figures(one.genome)["parameters"] / doubles.figures(doubles.seed().genome)["parameters"]


def test_a_child_that_is_trained_although_it_misses_what_was_asked(tmp_path: Path) -> None:
    with evolved(tmp_path / "run", SMALLER) as history:
        children = [one for one in history.individuals() if one.id != SEED_ID]
        scored = [one for one in children if isinstance(one.outcome, Scored)]
        refused = [
            one for one in children if isinstance(one.outcome, Rejected) and one.outcome.stage == "intent"
        ]
        assert scored
        assert refused
        assert all(share(one) <= 0.95 for one in scored)
        trained = history.scores()
        for one in refused:
            assert f"{share(one):.1%} of the parent's parameters" in str(one.outcome)
            assert one.genome is not None
            assert one.genome.digest not in trained
    with evolved(tmp_path / "unasked", None) as history:
        assert any(share(one) > 0.95 for one in history.individuals() if one.id != SEED_ID)


def test_a_repair_that_is_not_told_what_was_missed(tmp_path: Path) -> None:
    with evolved(tmp_path / "run", SMALLER, repairs=2) as history:
        children = [one for one in history.individuals() if one.id != SEED_ID]
        calls = [call for one in children for call in history.calls(one.id)]
        told = [call.prompt.user for call in calls if "It was rejected (intent)" in call.prompt.user]
        assert told
        assert all("of the parent's parameters, where at most 95% are asked for" in user for user in told)
        mended = [one for one in children if one.scored and "repaired intent" in one.steps[-1].note]
        assert mended
        assert all(share(one) <= 0.95 for one in mended)


def test_a_parent_that_is_not_the_one_of_the_trial() -> None:
    genome = doubles.seed().genome
    figures = {genome.digest: Probe(facts={"parameters": 100.0, "flops": 1.0})}
    pipeline = CheckPipeline(
        INTENT, Probe(facts={"parameters": 1e6, "flops": 1.0}), lambda name: name, figures.get
    )
    patch = Patch("Net", genome.blocks["Net"].code)
    grown = Probe(facts={"parameters": 120.0, "flops": 1.0})

    def judged(pipeline: CheckPipeline, goal: Goal | None) -> Rejected | None:
        return pipeline.probed(Rewrite(genome, genome, patch, goal=goal), grown, nobody, nobody)

    rejected = judged(pipeline, SMALLER)
    assert rejected is not None
    assert rejected.stage == "intent"
    assert judged(pipeline, Goal(parameters=(1.001, 2.0))) is None
    assert judged(pipeline, None) is None
    assert judged(CheckPipeline(INTENT, grown, lambda name: name), SMALLER) is None, (
        "the parent was never probed"
    )
