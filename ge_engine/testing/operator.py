"""What every operator promises: prompts about its blocks, a patch in the end, no I/O, no hidden state."""

from __future__ import annotations

import random
from collections.abc import Callable, Generator
from dataclasses import replace
from functools import cache

import pytest

from ge_engine.contracts import Context, Operator, Prompt, Reply, RunFacts
from ge_engine.genome import Genome
from ge_engine.outcome import Rejected, Skipped
from ge_engine.patch import AnyPatch, JointPatch, Patch, apply, parse_patch
from ge_engine.replies.blocks import read_blocks
from ge_engine.testing.material import (
    DIRECTIONS,
    NASTY_REPLIES,
    SEED,
    SOURCES,
    changed,
    genome_of,
    individual,
    reply,
)
from ge_engine.testing.watching import assert_is_a_name, no_global_randomness, no_io

Result = AnyPatch | Rejected | Skipped
Answering = Callable[[Prompt], Reply]
MANY = 16
RANDOM_STARTS = 8
SEEDS = pytest.mark.parametrize("source", sorted(SOURCES))


def converse(operator: Operator, context: Context, answer: Answering) -> tuple[list[Prompt], Result]:
    """Drive a proposal to its end: the prompts that it yielded and what it returned.

    Raises:
        AssertionError: it yields something else than prompts, or more than 16 of them.
    """
    proposal: Generator[Prompt, Reply, Result] = operator.propose(context)
    prompts: list[Prompt] = []
    try:
        prompt = next(proposal)
        while True:
            assert isinstance(prompt, Prompt), f"it yielded {prompt!r}, which is no Prompt"
            prompts.append(prompt)
            assert len(prompts) <= MANY, f"it asks more than {MANY} times"
            prompt = proposal.send(answer(prompt))
    except StopIteration as end:
        return prompts, end.value


def read_as_code(context: Context) -> Callable[[Prompt, Reply], AnyPatch | Rejected]:
    """Reads a reply as the whole block, or as several whole blocks, as a grammar would."""

    def read(prompt: Prompt, reply: Reply) -> AnyPatch | Rejected:
        if prompt.addresses:
            return read_blocks(reply.text, reply.finish, context.genome, prompt.addresses)
        return parse_patch(context.genome, prompt.address, reply.text)

    return read


class OperatorContract:
    """Override `operator`; override `context` where your operator needs other parents or elites."""

    @pytest.fixture
    def operator(self) -> Operator:
        raise NotImplementedError("give the fixture `operator`")

    def context(self, source: str = "plain", rng: int = 0) -> Context:
        """Generation 1 on the seed model `source`; the second parent and elite differ from it in a number."""
        genome = genome_of(source)
        other = _another(source)
        seed = replace(SEED, genome=genome)
        first, second = individual("g0s0", genome, 0.8, 394), individual("g0s1", other, 0.9, 300)
        context = Context(
            genome=genome,
            addresses=genome.evolvable,
            rng=random.Random(rng),
            read=_unset,
            parents=(first, second),
            run=RunFacts(generation=1, seed=seed, elites=(second,), directions=DIRECTIONS),
        )
        return replace(context, read=read_as_code(context))

    def proposed(self, operator: Operator, context: Context, answer: Answering | None = None) -> Result:
        """The result when every prompt about a block is answered with the block's own code."""
        return converse(operator, context, answer or _echo(context))[1]

    def test_it_has_a_name_and_a_kind(self, operator: Operator) -> None:
        assert_is_a_name(operator.name)
        assert operator.kind in ("mutation", "mating", "eot")

    @SEEDS
    def test_it_ends_with_a_patch_a_rejection_or_a_skip(self, operator: Operator, source: str) -> None:
        for rng in range(RANDOM_STARTS):
            result = self.proposed(operator, self.context(source, rng))
            assert isinstance(result, Patch | JointPatch | Rejected | Skipped), f"it returned {result!r}"

    @SEEDS
    def test_its_patches_fit_the_genome(self, operator: Operator, source: str) -> None:
        for rng in range(RANDOM_STARTS):
            context = self.context(source, rng)
            result = self.proposed(operator, context)
            if isinstance(result, Patch | JointPatch):
                assert set(result.addresses) <= set(context.addresses)
                assert not isinstance(apply(context.genome, result), Rejected)

    @SEEDS
    def test_its_prompts_name_a_block_they_may_rewrite_or_none(self, operator: Operator, source: str) -> None:
        for rng in range(RANDOM_STARTS):
            context = self.context(source, rng)
            for prompt in converse(operator, context, _echo(context))[0]:
                assert isinstance(prompt.system, str)
                assert prompt.user.strip(), "the prompt is empty"
                if prompt.grammar is not None:
                    asked = prompt.addresses or (prompt.address,)
                    assert set(asked) <= set(context.addresses)

    @SEEDS
    def test_code_in_a_prompt_is_not_altered(self, operator: Operator, source: str) -> None:
        """Braces, percent signs, backslashes and fences of a block are text, not a template."""
        for rng in range(RANDOM_STARTS):
            context = self.context(source, rng)
            for prompt in converse(operator, context, _echo(context))[0]:
                if prompt.address:
                    lines = context.genome.blocks[prompt.address].code.rstrip("\n").split("\n")
                    shown = [line for line in lines if line in prompt.user]
                    assert not shown or len(shown) == len(lines), "the prompt shows only parts of the block"

    def test_it_stays_within_the_blocks_of_this_run(self, operator: Operator) -> None:
        context = self.context()
        for only in context.addresses:
            result = self.proposed(operator, replace(context, addresses=(only,)))
            assert not isinstance(result, Patch | JointPatch) or result.addresses == (only,)

    def test_without_a_block_to_rewrite_it_skips_and_asks_nothing(self, operator: Operator) -> None:
        prompts, result = converse(operator, replace(self.context(), addresses=()), _unasked)
        assert prompts == []
        assert isinstance(result, Skipped)

    def test_the_same_random_numbers_give_the_same_proposal(self, operator: Operator) -> None:
        for rng in range(5):
            one, other = self.context(rng=rng), self.context(rng=rng)
            assert converse(operator, one, _echo(one)) == converse(operator, other, _echo(other))

    def test_it_draws_from_the_context_alone(self, operator: Operator) -> None:
        self.proposed(operator, self.context())
        with no_global_randomness():
            self.proposed(operator, self.context())

    def test_it_does_no_input_or_output(self, operator: Operator) -> None:
        self.proposed(operator, self.context())
        with no_io():
            self.proposed(operator, self.context())

    def test_it_leaves_the_context_as_it_is(self, operator: Operator) -> None:
        context = self.context()
        before = (context.genome.source, context.parents, context.run)
        self.proposed(operator, context)
        assert (context.genome.source, context.parents, context.run) == before

    @pytest.mark.parametrize("text", NASTY_REPLIES, ids=range(len(NASTY_REPLIES)))
    def test_no_reply_makes_it_raise(self, operator: Operator, text: str) -> None:
        for finish in ("stop", "length"):
            result = self.proposed(operator, self.context(), lambda _, finish=finish: reply(text, finish))  # type: ignore[misc]
            assert isinstance(result, Patch | JointPatch | Rejected | Skipped)

    def test_a_rejected_reply_is_handed_on(self, operator: Operator) -> None:
        context = replace(self.context(), read=lambda *_: Rejected("extract", "no code"))
        result = self.proposed(operator, context)
        assert isinstance(result, Patch | JointPatch | Rejected | Skipped)
        assert isinstance(result, Patch | JointPatch) or result.reason

    def test_it_can_be_closed_while_it_waits(self, operator: Operator) -> None:
        proposal = operator.propose(self.context())
        next(proposal, None)
        proposal.close()

    def test_two_proposals_at_once_do_not_mix(self, operator: Operator) -> None:
        """The engine batches the prompts of many children: state belongs into the generator."""
        alone = [converse(operator, c, _echo(c)) for c in (self.context(rng=1), self.context(rng=2))]
        contexts = [self.context(rng=1), self.context(rng=2)]
        assert _interleaved(operator, contexts) == alone

    def test_mating_of_equal_parents_skips_and_asks_nothing(self, operator: Operator) -> None:
        if operator.kind != "mating":
            return
        context = self.context()
        twins = (context.parents[0], replace(context.parents[0], id="g0s9"))
        prompts, result = converse(operator, replace(context, parents=twins), _unasked)
        assert prompts == []
        assert isinstance(result, Skipped)


@cache
def _another(source: str) -> Genome:
    """The seed model `source` with another number."""
    genome = genome_of(source)
    number = next(n for n in ("10", "2") if any(n in genome.blocks[a].code for a in genome.evolvable))
    return changed(genome, number, number + "1")[0]


def _interleaved(operator: Operator, contexts: list[Context]) -> list[tuple[list[Prompt], Result | None]]:
    """Advance several proposals in turn, one step each."""
    waiting = {index: operator.propose(context) for index, context in enumerate(contexts)}
    sent: dict[int, Reply | None] = dict.fromkeys(waiting)
    done: list[tuple[list[Prompt], Result | None]] = [([], None) for _ in contexts]
    while waiting:
        for index, proposal in list(waiting.items()):
            answer = sent[index]
            try:
                prompt = next(proposal) if answer is None else proposal.send(answer)
            except StopIteration as end:
                done[index] = (done[index][0], end.value)
                del waiting[index]
                continue
            done[index][0].append(prompt)
            sent[index] = _echo(contexts[index])(prompt)
    return done


def _echo(context: Context) -> Answering:
    def answer(prompt: Prompt) -> Reply:
        block = context.genome.blocks.get(prompt.address)
        if prompt.addresses:
            return reply(context.genome.text.replace("2", "3"))
        return reply(block.code if block else "The smaller layer was enough.")

    return answer


def _unasked(prompt: Prompt) -> Reply:
    raise AssertionError(f"it asks a language model though there is nothing to do: {prompt.user[:80]!r}")


def _unset(*_: object) -> Rejected:
    return Rejected("extract", "nothing can be read yet")
