"""What every grammar promises: a constraint that its own reader understands, and no reply makes it raise."""

from __future__ import annotations

from dataclasses import replace

import pytest
from llguidance import LLMatcher

from ge_engine.contracts import Constraint, Grammar, Prompt, Reply, Request, Sampling, Target
from ge_engine.llm.uniform import UniformModel, byte_tokenizer
from ge_engine.outcome import Rejected
from ge_engine.patch import JointPatch, Patch, apply
from ge_engine.testing.material import NASTY_REPLIES, SOURCES, genome_of, reply
from ge_engine.testing.watching import assert_is_a_name, no_global_randomness, no_io

TARGETS = [
    (source, address)
    for source in sorted(SOURCES)
    for address in genome_of(source).evolvable
    if genome_of(source).blocks[address].kind != "class"
]
EACH_TARGET = pytest.mark.parametrize(("source", "address"), TARGETS, ids=[f"{s}, {a}" for s, a in TARGETS])
TOKENS = 400


class GrammarContract:
    """Override `grammar`. `admitted` is the least share of uniform draws that must give a patch that fits;
    0 for a form with so much free text that a uniform draw does not end."""

    admitted: float = 0.9

    @pytest.fixture
    def grammar(self) -> Grammar:
        raise NotImplementedError("give the fixture `grammar`")

    def target(self, source: str = "plain", address: str = "Body.__init__", seed: int = 0) -> Target:
        return Target(genome_of(source), address, seed=seed)

    def draw(self, constraint: Constraint, seed: int) -> Reply:
        """An answer that the constraint allows, drawn byte by byte without a model."""
        request = Request("g0s0/0", Prompt("", ""), Sampling(1.0, TOKENS, seed), constraint)
        return next(iter(UniformModel().generate([request])))[1]

    def test_it_has_a_name(self, grammar: Grammar) -> None:
        assert_is_a_name(grammar.name)

    @EACH_TARGET
    def test_it_says_how_to_answer(self, grammar: Grammar, source: str, address: str) -> None:
        assert grammar.instructions(self.target(source, address)).strip()

    @EACH_TARGET
    def test_it_is_concrete_for_the_block_or_says_why_not(
        self, grammar: Grammar, source: str, address: str
    ) -> None:
        constraint = grammar.constraint(self.target(source, address))
        if isinstance(constraint, Rejected):
            assert constraint.reason.strip()
        else:
            assert constraint.part(""), "the constraint is whole before it has begun"
            assert constraint.whole().strip()

    def test_some_block_can_be_rewritten_in_this_form(self, grammar: Grammar) -> None:
        offers = [grammar.constraint(self.target(source, address)) for source, address in TARGETS]
        assert not all(isinstance(offer, Rejected) for offer in offers)

    @EACH_TARGET
    def test_its_text_is_a_grammar(self, grammar: Grammar, source: str, address: str) -> None:
        constraint = grammar.constraint(self.target(source, address))
        if isinstance(constraint, Rejected):
            return
        for text in (constraint.part(""), constraint.whole()):
            assert text is not None
            fault = LLMatcher.validate_grammar(LLMatcher.grammar_from_lark(text), byte_tokenizer())
            assert not fault, fault

    def test_it_can_read_what_its_constraint_allows(self, grammar: Grammar) -> None:
        drawn = fitting = 0
        for source, address in TARGETS:
            for seed in range(3):
                target = self.target(source, address, seed)
                constraint = grammar.constraint(target)
                if isinstance(constraint, Rejected):
                    continue
                answer = self.draw(constraint, seed)
                if answer.finish == "stop":
                    drawn += 1
                    patch = grammar.decode(answer, target)
                    fitting += isinstance(patch, Patch | JointPatch) and not isinstance(
                        apply(target.genome, patch), Rejected
                    )
        assert drawn or not self.admitted, "no draw came to an end"
        assert fitting >= self.admitted * drawn, f"{fitting} of {drawn} draws fit"

    @pytest.mark.parametrize("text", NASTY_REPLIES, ids=range(len(NASTY_REPLIES)))
    def test_no_reply_makes_it_raise(self, grammar: Grammar, text: str) -> None:
        for source, address in TARGETS:
            for finish in ("stop", "length"):
                read = grammar.decode(reply(text, finish), self.target(source, address))
                assert isinstance(read, Patch | JointPatch | Rejected)
                if isinstance(read, Rejected):
                    assert read.stage.strip()
                    assert read.reason.strip()

    @pytest.mark.parametrize("text", NASTY_REPLIES, ids=range(len(NASTY_REPLIES)))
    def test_every_reply_has_a_canonical_form(self, grammar: Grammar, text: str) -> None:
        assert isinstance(grammar.canonical(reply(text), self.target()), str)

    def test_space_around_an_answer_does_not_make_it_another(self, grammar: Grammar) -> None:
        target = self.target()
        constraint = grammar.constraint(target)
        assert not isinstance(constraint, Rejected)
        answer = self.draw(constraint, 1)
        spaced = replace(answer, text=f"\n{answer.text}\n")
        assert grammar.canonical(answer, target) == grammar.canonical(spaced, target)

    def test_an_answer_that_was_tried_is_not_offered_again(self, grammar: Grammar) -> None:
        """`Target.tried` leaves other answers or none: the draws that gave those give others, and each still
        fits. Free text, of which a uniform draw does not end, bars nothing."""
        target = self.target()
        constraint = grammar.constraint(target)
        assert not isinstance(constraint, Rejected)
        first = [self.draw(constraint, seed) for seed in range(5)]
        tried = frozenset(grammar.canonical(one, target) for one in first if one.finish == "stop")
        assert tried or not self.admitted, "no draw came to an end"
        again = grammar.constraint(replace(target, tried=tried))
        if isinstance(again, Rejected):
            assert again.reason.strip()
            return
        assert again.part("")
        for seed in range(5):
            answer = self.draw(again, seed)
            if answer.finish == "stop":
                assert grammar.canonical(answer, target) not in tried

    def test_the_same_target_gives_the_same_constraint(self, grammar: Grammar) -> None:
        with no_global_randomness():
            one, other = grammar.constraint(self.target()), grammar.constraint(self.target())
        assert not isinstance(one, Rejected)
        assert not isinstance(other, Rejected)
        assert one.whole() == other.whole()
        assert one.part("") == other.part("")

    def test_it_does_no_input_or_output(self, grammar: Grammar) -> None:
        grammar.constraint(self.target())
        with no_io():
            target = self.target()
            grammar.instructions(target)
            grammar.constraint(target)
            grammar.decode(reply("x = 1"), target)
