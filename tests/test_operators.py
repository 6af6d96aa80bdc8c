"""The operators ask for what the method says, with the right evidence, and touch no code on the way."""

from __future__ import annotations

import random
from collections.abc import Generator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ge_engine.contracts import Context, Operator, Prompt, Reply, RunFacts
from ge_engine.genome import Seed, differing
from ge_engine.noise import Ties
from ge_engine.outcome import Rejected, Scored, Skipped
from ge_engine.patch import Patch, apply, parse_patch, transplant
from ge_engine.population import Individual
from ge_engine.registry import load_registry
from ge_plugins.intents import INTENTS
from ge_plugins.operators import EvolutionOfThought, Mating, Mutation

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
DIRECTIONS = {"accuracy": "max", "parameters": "min"}
REPLY = Reply("answer {x} %s", "stop", 1, 1, 0.0, "test")


@pytest.fixture(scope="module")
def seed() -> Seed:
    return Seed.load(EXAMPLES / "exquisitenet_v2.py")


def scored(identity: str, genome: Any, accuracy: float, parameters: int) -> Individual:
    return Individual(
        identity, 0, 0, (), (), genome, Scored({"accuracy": accuracy, "parameters": parameters})
    )


def changed(seed: Seed, address: str, old: str, new: str) -> Any:
    code = seed.genome.blocks[address].code
    assert old in code
    patch = parse_patch(seed.genome, address, code.replace(old, new))
    assert isinstance(patch, Patch)
    genome = apply(seed.genome, patch)
    assert not isinstance(genome, Rejected)
    return genome


def context(seed: Seed, *parents: Individual, elites: tuple[Individual, ...] = (), rng: int = 0) -> Context:
    first = parents[0].genome
    assert first is not None
    return Context(
        genome=first,
        addresses=first.evolvable,
        rng=random.Random(rng),
        read=lambda prompt, reply: Patch(prompt.address, reply.text),
        parents=parents,
        run=RunFacts(1, scored("seed", seed.genome, 0.90, 518_230), elites, DIRECTIONS),  # type: ignore[arg-type]
    )


def converse(operator: Operator, about: Context, *replies: Reply) -> tuple[list[Prompt], Any]:
    """All prompts of a proposal and what it returned."""
    proposal: Generator[Prompt, Reply, Any] = operator.propose(about)
    prompts: list[Prompt] = []
    try:
        prompts.append(next(proposal))
        for reply in replies:
            prompts.append(proposal.send(reply))
    except StopIteration as end:
        return prompts, end.value
    raise AssertionError(f"asked {len(prompts)} times and did not end")


def test_a_mutation_that_asks_for_a_block_it_does_not_show(seed: Seed) -> None:
    asked = {}
    for rng in range(200):
        prompts, result = converse(
            Mutation(), context(seed, scored("seed", seed.genome, 0.9, 1), rng=rng), REPLY
        )
        assert len(prompts) == 1
        assert seed.genome.blocks[prompts[0].address].code in prompts[0].user
        assert result == Patch(prompts[0].address, REPLY.text)
        asked[prompts[0].address, prompts[0].intent] = prompts[0].grammar
    assert {intent for _, intent in asked} == {intent.name for intent in INTENTS}
    assert {address for address, _ in asked} == set(seed.genome.evolvable)


def test_fewer_prompts_than_the_papers_twenty_four(seed: Seed) -> None:
    personas = load_registry().personas.values()
    about = context(seed, scored("seed", seed.genome, 0.9, 1))
    framed = set()
    for intent in INTENTS:
        prompts, _ = converse(Mutation([intent]), replace(about, rng=random.Random(5)), REPLY)
        framed |= {(persona.frame(prompts[0]).system, persona.frame(prompts[0]).user) for persona in personas}
    assert len(framed) == 24


def test_a_template_that_eats_braces_of_the_code() -> None:
    code = 'def f(x):\n    return f"{x!r:>{3}} {{}} %s {0}" % x\n'
    seed = Seed.from_bytes(code.encode())
    prompts, _ = converse(Mutation(), context(seed, scored("seed", seed.genome, 0.9, 1)), REPLY)
    assert code in prompts[0].user


def test_a_fence_that_the_code_closes() -> None:
    code = 'def f(x):\n    """Use it:\n\n    ```python\n    f(1)\n    ```\n    """\n    return x\n'
    seed = Seed.from_bytes(code.encode())
    prompts, _ = converse(Mutation(), context(seed, scored("seed", seed.genome, 0.9, 1)), REPLY)
    assert "````python\n" + code + "````\n" in prompts[0].user


def test_mating_of_parents_that_differ_nowhere_that_costs_a_call(seed: Seed) -> None:
    one = scored("g0s0", seed.genome, 0.9, 1)
    prompts, result = converse(Mating(), context(seed, one, one))
    assert prompts == []
    assert isinstance(result, Skipped)


def test_mating_that_shows_only_one_version(seed: Seed) -> None:
    mate = scored("g0s1", changed(seed, "DFSEB.__init__", "nn.SiLU()", "nn.GELU()"), 0.91, 510_000)
    first = scored(
        "g0s0", changed(seed, "ME.forward", "self.norm(self.pointwise", "(self.pointwise"), 0.9, 500_000
    )
    prompts, _ = converse(Mating(), context(seed, first, mate), REPLY)
    address = prompts[0].address
    assert address in differing(first.genome, mate.genome)  # type: ignore[arg-type]
    for parent in (first, mate):
        assert parent.genome is not None
        assert parent.genome.blocks[address].code in prompts[0].user


def test_a_child_of_mating_that_differs_in_more_than_one_block(seed: Seed) -> None:
    """All ordered pairs of blocks: the first parent changed in one, the second in the other."""
    addresses = [a for a in seed.genome.evolvable if seed.genome.blocks[a].kind != "class"]
    variants = {a: _with_statement(seed, a) for a in addresses}
    for mother in addresses:
        for father in addresses:
            if mother == father:
                continue
            child = apply(variants[mother], transplant(variants[father], father))
            assert not isinstance(child, Rejected)
            assert differing(variants[mother], child) == (father,)
            assert child.blocks[father].digest == variants[father].blocks[father].digest
            kept = {a for a in addresses if child.blocks[a].digest == seed.genome.blocks[a].digest}
            assert kept == set(addresses) - {mother, father}


def _with_statement(seed: Seed, address: str) -> Any:
    code = seed.genome.blocks[address].code.rstrip("\n")
    head, _, last = code.rpartition("\n")
    indent = last[: len(last) - len(last.lstrip())]
    patch = parse_patch(seed.genome, address, f"{head}\n{indent}assert True\n{last}\n")
    assert isinstance(patch, Patch), patch
    genome = apply(seed.genome, patch)
    assert not isinstance(genome, Rejected)
    return genome


def test_a_thought_from_a_change_that_did_not_help(seed: Seed) -> None:
    worse = scored("g0s0", changed(seed, "DFSEB.__init__", "nn.SiLU()", "nn.ReLU()"), 0.5, 600_000)
    prompts, result = converse(EvolutionOfThought(), context(seed, worse, elites=(worse,)))
    assert prompts == []
    assert isinstance(result, Skipped)


def test_a_thought_from_an_elite_that_gained_nothing(seed: Seed) -> None:
    """Of elites that are worse, equal or better in something, only the last is ever asked about."""
    worse = scored("g0s0", changed(seed, "DFSEB.__init__", "nn.SiLU()", "nn.ReLU()"), 0.5, 600_000)
    same = scored("g0s1", changed(seed, "DFSEB.__init__", "nn.SiLU()", "nn.Mish()"), 0.90, 518_230)
    smaller = scored("g0s2", changed(seed, "DFSEB.__init__", "nn.SiLU()", "nn.GELU()"), 0.5, 510_000)
    for elites in ((worse,), (same,), (worse, same)):
        prompts, result = converse(EvolutionOfThought(), context(seed, worse, elites=elites))
        assert prompts == []
        assert isinstance(result, Skipped)
    for rng in range(20):
        about = context(seed, worse, elites=(worse, same, smaller), rng=rng)
        prompts, _ = converse(EvolutionOfThought(), about, REPLY, REPLY)
        assert "nn.GELU()" in prompts[0].user


def test_a_thought_from_an_elite_that_gained_within_ties(seed: Seed) -> None:
    """Two hundredths of a cell are no gain; neither is it told as one."""
    lucky = scored("g0s0", changed(seed, "DFSEB.__init__", "nn.SiLU()", "nn.GELU()"), 0.902, 518_230)
    about = context(seed, lucky, elites=(lucky,))
    prompts, _ = converse(EvolutionOfThought(), about, REPLY, REPLY)
    assert "0.9 to 0.902 (better)" in prompts[0].user
    ties = Ties({"accuracy": 0.9}, {"accuracy": 0.01})
    prompts, result = converse(EvolutionOfThought(), replace(about, run=replace(about.run, ties=ties)))
    assert (prompts, type(result)) == ([], Skipped)
    measured = Scored({"accuracy": 0.902, "parameters": 400_000}, {}, {"accuracy": 0.01})
    smaller = replace(lucky, outcome=measured)
    prompts, _ = converse(EvolutionOfThought(), context(seed, smaller, elites=(smaller,)), REPLY, REPLY)
    assert "0.9 to 0.902 (as good), parameters 518,230 to 400,000 (better)" in prompts[0].user


def test_a_thought_that_is_carried_to_the_block_that_it_came_from(seed: Seed) -> None:
    helped = scored("g0s0", changed(seed, "DFSEB.__init__", "nn.SiLU()", "nn.GELU()"), 0.95, 518_230)
    addresses = set()
    for rng in range(120):
        about = context(seed, helped, elites=(helped,), rng=rng)
        prompts, _ = converse(EvolutionOfThought(), about, REPLY, REPLY)
        addresses.add(prompts[1].address)
    assert len(addresses) > 5
    assert "get_optimizer" not in addresses, "a principle about a layer says nothing of it"
    assert not addresses & {"DFSEB", "DFSEB.__init__"}
    assert "DFSEB.forward" in addresses


@pytest.mark.parametrize(
    ("accuracy", "parameters", "told"),
    [
        (0.95, 500_000, "accuracy 0.9 to 0.95 (better), parameters 518,230 to 500,000 (better)"),
        (0.95, 600_000, "accuracy 0.9 to 0.95 (better), parameters 518,230 to 600,000 (worse)"),
        (0.8, 500_000, "accuracy 0.9 to 0.8 (worse), parameters 518,230 to 500,000 (better)"),
    ],
)
def test_a_change_that_is_told_the_wrong_way_round(
    seed: Seed, accuracy: float, parameters: int, told: str
) -> None:
    gained = scored("g0s0", changed(seed, "DFSEB.__init__", "nn.SiLU()", "nn.GELU()"), accuracy, parameters)
    prompts, _ = converse(EvolutionOfThought(), context(seed, gained, elites=(gained,)), REPLY, REPLY)
    assert told in prompts[0].user


def test_a_principle_of_training_that_is_carried_to_a_layer(seed: Seed) -> None:
    code = seed.genome.blocks["get_optimizer"].code.replace(":\n", ":\n    lr = lr * 2\n", 1)
    patch = parse_patch(seed.genome, "get_optimizer", code)
    assert isinstance(patch, Patch)
    trained = scored("g0s0", apply(seed.genome, patch), 0.95, 518_230)
    prompts, result = converse(EvolutionOfThought(), context(seed, trained, elites=(trained,)))
    assert (prompts, type(result)) == ([], Skipped)


@pytest.mark.parametrize("own", [True, False])
def test_a_thought_of_another_model_that_is_told_as_this_ones(seed: Seed, own: bool) -> None:
    helped = scored("g0s0", changed(seed, "DFSEB.__init__", "nn.SiLU()", "nn.GELU()"), 0.95, 518_230)
    parent = helped if own else scored("seed", seed.genome, 0.9, 518_230)
    prompts, _ = converse(EvolutionOfThought(), context(seed, parent, elites=(helped,)), REPLY, REPLY)
    where = "In this network" if own else "In another variant of the network that this code is from"
    accuracy = "0.95" if own else "0.9"
    told = prompts[1].user
    assert f"{where}, DFSEB.__init__ was changed, and that helped: accuracy 0.9 to 0.95 (better)" in told
    assert f"worse in none: accuracy above {accuracy}, parameters below 518,230." in told


@pytest.mark.parametrize("room", [0, 10**6])
def test_figures_of_several_changes_that_are_put_down_to_one(seed: Seed, room: int) -> None:
    one = changed(seed, "DFSEB.__init__", "nn.SiLU()", "nn.GELU()")
    patch = parse_patch(one, "ME.forward", one.blocks["ME.forward"].code.replace("(x)))", "(x))).relu()"))
    assert isinstance(patch, Patch)
    helped = scored("g0s0", apply(one, patch), 0.95, 400_000)
    about = replace(context(seed, helped, elites=(helped,)), prompt_tokens=room)
    (explain, transfer), _ = converse(EvolutionOfThought(), about, REPLY, REPLY)
    shown = "DFSEB.__init__" if "nn.GELU()\n" in explain.user.partition("Together")[0] else "ME.forward"
    (other,) = {"DFSEB.__init__", "ME.forward"} - {shown}
    assert f"Together with it {other} was changed, and the figures are of all of it." in explain.user
    assert f"{shown} and {other} were changed, and that helped" in transfer.user
    line = {"ME.forward": "(x))).relu()", "DFSEB.__init__": "nn.GELU()"}[other]
    assert (line in explain.user) == bool(room)


@pytest.mark.parametrize("room", [0, 10**6])
def test_a_block_that_came_with_a_change_and_is_not_told(seed: Seed, room: int) -> None:
    code = seed.genome.blocks["ME.forward"].code.replace("(x)))", "(x))) + gain(x)")
    helper = "def gain(x):\n    return x.mean() * 0"
    patch = parse_patch(seed.genome, "ME.forward", f"{helper}\n\n\n{code}")
    assert isinstance(patch, Patch)
    helped = scored("g0s0", apply(seed.genome, patch), 0.95, 400_000)
    about = replace(context(seed, helped, elites=(helped,)), prompt_tokens=room)
    (explain, transfer), _ = converse(EvolutionOfThought(), about, REPLY, REPLY)
    assert "Together with it gain was changed, and the figures are of all of it." in explain.user
    assert "ME.forward and gain were changed, and that helped" in transfer.user
    assert ("+def gain(x):" in explain.user) == bool(room)


def test_a_mate_whose_figures_owe_nothing_to_the_block(seed: Seed) -> None:
    mate = scored("g0s1", changed(seed, "DFSEB.__init__", "nn.SiLU()", "nn.GELU()"), 0.91, 510_000)
    about = context(seed, scored("seed", seed.genome, 0.9, 518_230), mate)
    idle = tuple(address for address in about.addresses if not address.startswith("DFSEB"))
    prompts, result = converse(Mating(), replace(about, mate_addresses=idle))
    assert (prompts, type(result)) == ([], Skipped)
    prompts, _ = converse(Mating(), replace(about, mate_addresses=about.addresses), REPLY)
    assert prompts[0].address == "DFSEB.__init__"


def test_a_thought_without_the_measured_change(seed: Seed) -> None:
    helped = scored("g0s0", changed(seed, "DFSEB.__init__", "nn.SiLU()", "nn.GELU()"), 0.95, 518_230)
    gained = scored(
        "g0s1", changed(seed, "ME.forward", "self.norm(self.pointwise", "(self.pointwise"), 0.5, 500_000
    )
    why = Reply("Because a smooth gate {keeps} gradients.", "stop", 1, 1, 0.0, "test")
    prompts, result = converse(
        EvolutionOfThought(), context(seed, helped, elites=(gained, helped)), why, REPLY
    )
    explain, transfer = prompts
    assert "accuracy 0.9 to 0.95 (better), parameters 518,230 to 518,230 (equal)" in explain.user
    assert "nn.GELU()" in explain.user
    assert "nn.SiLU()" in explain.user
    assert (explain.address, explain.grammar) == ("", None)
    assert why.text in transfer.user
    assert not transfer.address.startswith("DFSEB.__init__")
    assert transfer.address != "DFSEB"
    assert result == Patch(transfer.address, REPLY.text)
