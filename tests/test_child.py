"""One child: what it draws, by which rates, and how often it asks."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import doubles
import pytest

from ge_engine.cli.show import _step
from ge_engine.config import load_config
from ge_engine.contracts import Reply, Target
from ge_engine.genome import Genome
from ge_engine.ledger.statistics import REPAIRED
from ge_engine.outcome import Rejected, Scored
from ge_engine.patch import Patch, apply
from ge_engine.population import Direction, Individual
from ge_engine.search.addresses import drawable
from ge_engine.search.child import ChildPipeline, Offspring
from ge_engine.search.first_prompts import FirstPrompts
from ge_engine.search.proposing import Question, _repaired
from ge_engine.search.slots import Slot
from ge_engine.search.variation import MatingPool, Variation

REGISTRY = doubles.registry()
DIRECTIONS: dict[str, Direction] = {"accuracy": "max", "parameters": "min"}
DRAWS = 600


def individual(number: int) -> Individual:
    genome: Genome | Rejected = doubles.seed().genome
    if number >= 0:
        code = doubles.seed().genome.blocks["Net.forward"].code.replace("5", str(6 + number))
        genome = apply(doubles.seed().genome, Patch("Net.forward", code))
    assert isinstance(genome, Genome)
    scores = Scored({"accuracy": 0.5 + number / 100, "parameters": 100.0})
    return Individual("seed" if number < 0 else f"g0s{number}", 0, number, (), (), genome, scores)


SEED, ONE, TWO = individual(-1), individual(0), individual(1)


def variation(**settings: Any) -> Variation:
    config = doubles.config(**settings)
    return Variation(
        config,
        SEED,
        [REGISTRY.operators[name] for name in config.operators],
        [REGISTRY.personas["none"]],
        REGISTRY.grammars,
        DIRECTIONS,
        lambda genome, _: genome.evolvable,
        lambda hook, name: f"{hook} {name}",
    )


def pool(*parents: Individual, helpful: tuple[Individual, ...] = (), generation: int = 1) -> MatingPool:
    return MatingPool(generation, parents, helpful)


def drawn(made: Variation, about: MatingPool) -> tuple[Counter[str], set[tuple[str, ...]]]:
    """The kinds of operators drawn, "mating+mutation" where both, and the parents."""
    kinds, parents = Counter[str](), set[tuple[str, ...]]()
    for number in range(DRAWS):
        operators, of = made.draw(about, random.Random(number))
        kinds["+".join(operator.kind for operator in operators)] += 1
        parents.add(tuple(one.id for one in of))
    return kinds, parents


class Asked(Exception):
    """Ends a child at its first prompt."""


def bred(
    made: Variation, about: MatingPool, text: str | None, verdict: Rejected | None = None, slot: int = 0
) -> tuple[list[Question], Offspring | None]:
    """All that a child asks that is always answered `text`, and what became of it, each trial judged
    `verdict`; without a text, what it asks first."""
    questions: list[Question] = []

    async def ask(question: Question) -> Reply:
        questions.append(question)
        if text is None:
            raise Asked
        question.target = Target(question.genome, question.prompt.address)
        return Reply(text, "stop", 1, 1, 0.0, "test")

    services = SimpleNamespace(variations=[made], checks=SimpleNamespace(static=lambda *_: verdict))
    child = ChildPipeline(
        Slot(slot, about.generation, 0),
        about,
        services,  # type: ignore[arg-type]
        SimpleNamespace(ask=ask, first=FirstPrompts()),  # type: ignore[arg-type]
        SimpleNamespace(seen=lambda _: None),  # type: ignore[arg-type]
    )
    try:
        child.breed().send(None)
    except StopIteration as end:
        return questions, end.value
    except Asked:
        return questions, None
    raise AssertionError("it awaits something else")


def first_ask(made: Variation, about: MatingPool, slot: int = 0) -> Question:
    return bred(made, about, None, slot=slot)[0][0]


def test_rates_of_mating_and_mutation_that_are_not_those_of_the_settings() -> None:
    both = pool(ONE, TWO)
    for p_mating, p_mutation in ((0.35, 0.8), (0.0, 1.0), (1.0, 0.0), (0.1, 0.3)):
        kinds, _ = drawn(variation(p_mating=p_mating, p_mutation=p_mutation), both)
        some = 1 - (1 - p_mating) * (1 - p_mutation)
        mated = sum(count for kind, count in kinds.items() if "mating" in kind) / DRAWS
        mutated = sum(count for kind, count in kinds.items() if "mutation" in kind) / DRAWS
        assert mated == pytest.approx(p_mating / some, abs=0.06)
        assert mutated == pytest.approx(p_mutation / some, abs=0.06)


def test_an_individual_that_is_mated_with_itself() -> None:
    made = variation(p_mating=1.0, p_mutation=0.5)
    kinds, parents = drawn(made, pool(ONE, ONE, TWO))
    assert kinds["mating"]
    assert parents == {("g0s0", "g0s1"), ("g0s1", "g0s0")}
    kinds, parents = drawn(made, pool(ONE, ONE))
    assert set(kinds) == {"mutation"}
    assert parents == {("g0s0",)}


@pytest.mark.parametrize("rate", [0.0, 0.25, 1.0])
def test_a_rate_of_thoughts_that_is_not_that_of_the_settings(rate: float) -> None:
    made = variation(p_eot=rate, p_mating=0.0, p_mutation=1.0)
    kinds, _ = drawn(made, pool(ONE, TWO, helpful=(TWO,)))
    assert kinds["eot"] / DRAWS == pytest.approx(rate, abs=0.06)
    assert set(drawn(made, pool(ONE, TWO))[0]) == {"mutation"}, "no elite has helped yet"


def test_a_first_generation_that_is_not_the_seeds_mutation() -> None:
    kinds, parents = drawn(variation(), pool(ONE, TWO, helpful=(TWO,), generation=0))
    assert set(kinds) == {"mutation"}
    assert parents == {("seed",)}


def test_a_temperature_or_a_limit_that_is_not_drawn_from_its_range() -> None:
    made = variation(temperature=(0.2, 0.6), reply_tokens=(500, 900))
    samplings = [first_ask(made, pool(SEED, generation=0), slot).sampling for slot in range(60)]
    for values, low, high in (
        ([one.temperature for one in samplings], 0.2, 0.6),
        ([one.max_tokens for one in samplings], 500, 900),
    ):
        assert low <= min(values) < low + 0.2 * (high - low)
        assert high - 0.2 * (high - low) < max(values) <= high
        assert len(set(values)) > 40
    assert len({one.seed for one in samplings}) == 60


def test_a_thought_that_takes_as_many_tokens_as_code() -> None:
    made = variation(p_eot=1.0, p_mating=0.0, p_mutation=1.0, thought_tokens=77)
    asked = first_ask(made, pool(TWO, helpful=(TWO,)))
    assert asked.grammar is None
    assert asked.sampling.max_tokens == 77
    small = variation(p_eot=1.0, p_mating=0.0, p_mutation=1.0, reply_tokens=(50, 60), thought_tokens=77)
    assert first_ask(small, pool(TWO, helpful=(TWO,))).sampling.max_tokens <= 60


def test_a_generation_or_a_slot_that_draws_as_another_does() -> None:
    asked = [
        first_ask(variation(random_seed=seed), pool(SEED, generation=generation), slot).sampling
        for seed, generation, slot in ((0, 1, 0), (0, 2, 0), (0, 1, 1), (1, 1, 0), (0, 1, 0))
    ]
    assert asked[0] == asked[4]
    assert len(set(asked)) == 4


@pytest.mark.parametrize("repairs", [0, 1, 3])
def test_repairs_that_are_not_as_many_as_allowed(repairs: int) -> None:
    asked, child = bred(variation(repairs=repairs), pool(SEED, generation=0), "def broken(")
    assert child
    assert len(asked) == 1 + repairs
    assert isinstance(child.rejected, Rejected)
    assert child.rejected.stage == "compile"
    assert all("It was rejected (compile)" in one.prompt.user for one in asked[1:])
    assert child.steps[-1].note.count("repaired compile") == repairs


def test_a_rejection_that_was_repaired_and_is_kept_nowhere() -> None:
    child = bred(variation(repairs=1), pool(SEED, generation=0), "def broken(")[1]
    assert child
    assert child.rejected
    note = child.steps[-1].note
    assert note == f"repaired compile: {child.rejected.reason}"
    assert note in _step(child.steps[-1])


def test_the_words_of_a_repaired_rejection_that_are_read_as_another_or_have_no_end() -> None:
    note = _repaired(Rejected("names", "no; repaired extract: it\n; repaired \ud800 " + "x" * 1000))
    assert REPAIRED.findall(f"a note; {note}; repaired seen; {note}") == ["names", "seen", "names"]
    assert len(note) < 250
    assert note.isprintable()


@pytest.mark.parametrize("stage", ["model", "plugin"])
def test_a_fault_that_no_repair_can_mend_and_is_sent_back(stage: str) -> None:
    made, about = variation(repairs=3, operators=("mutation",)), pool(SEED, generation=0)
    asked = first_ask(made, about)
    code = asked.genome.blocks[asked.prompt.address].code
    questions, child = bred(made, about, code, Rejected(stage, "no"))
    assert child
    assert len(questions) == 1
    assert child.rejected == Rejected(stage, "no")


def test_a_comment_of_a_reply_that_is_left_out_without_a_word() -> None:
    """It stands in the step's note, which `ge show` prints."""
    made, about = variation(operators=("mutation",)), pool(SEED, generation=0)
    asked = first_ask(made, about)
    code = asked.genome.blocks[asked.prompt.address].code
    no = Rejected("model", "no")
    child = bred(variation(), about, f"# wider\n{code}\n", no)[1]
    assert child
    assert f"the comment above {asked.prompt.address} was left out: '# wider'" in child.steps[-1].note
    assert child.steps[-1].note in _step(child.steps[-1])
    plain = bred(variation(), about, code, no)[1]
    assert plain
    assert plain.steps[-1].note == ""


# --- which blocks are drawn ------------------------------------------------------------------------


def blocks_drawn(**settings: Any) -> set[str]:
    made, about = variation(**settings), pool(ONE)
    context = made.context(about, random.Random(0), SEED.genome, (ONE,), lambda *_: Rejected("extract", ""))
    return {context.choose("block", context.addresses) for _ in range(DRAWS)}


def test_a_method_of_a_short_class_that_is_drawn_alone() -> None:
    assert blocks_drawn() == {"Small", "Net", "get_optimizer"}
    assert blocks_drawn(long_class=9) == blocks_drawn()
    assert blocks_drawn(long_class=8) == {*blocks_drawn(), "Net.__init__", "Net.forward"}
    assert blocks_drawn(long_class=0) == set(SEED.genome.evolvable)


def test_a_method_that_the_user_chose_and_that_is_not_drawn() -> None:
    assert drawable(SEED.genome, ("Net.forward", "Small", "Small.forward"), 60) == ["Net.forward", "Small"]


def test_a_paper_preset_that_draws_other_blocks_than_all() -> None:
    assert load_config("paper", None, {}).long_class == 0


def test_a_mate_whose_own_blocks_no_operator_is_told_of() -> None:
    def addresses(genome: Genome, parents: Sequence[Genome]) -> tuple[str, ...]:
        return ("Net.forward",) if (genome, *parents) == (TWO.genome, TWO.genome) else ()

    made = replace(variation(), addresses=addresses)
    both = made.context(pool(ONE, TWO), random.Random(0), ONE.genome, (ONE, TWO), lambda *_: Patch("", ""))
    assert (both.addresses, both.mate_addresses) == ((), ("Net.forward",))
    alone = made.context(pool(ONE), random.Random(0), ONE.genome, (ONE,), lambda *_: Patch("", ""))
    assert alone.mate_addresses is None
    cross = made.context(pool(ONE, TWO), random.Random(0), SEED.genome, (ONE, TWO), lambda *_: Patch("", ""))
    assert cross.mate_addresses is None
