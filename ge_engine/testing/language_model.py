"""What every language model promises: each request answered once, within its limits, errors as values."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import pytest

from ge_engine.contracts import LanguageModel, Prompt, Reply, Request, Sampling, Target
from ge_engine.outcome import Rejected
from ge_engine.registry import load_registry
from ge_engine.testing.material import genome_of

SYSTEM = "You improve PyTorch code. You answer with code that runs."


class LanguageModelContract:
    """Override `model` with an opened model. `repeatable`: the same seed gives the same reply.
    `most_tokens` bounds the replies of the tests."""

    repeatable: bool = True
    most_tokens: int = 64

    @pytest.fixture
    def model(self) -> Iterator[LanguageModel]:
        raise NotImplementedError("give the fixture `model`")

    def prose(self, key: str = "g0s0/0", user: str = "Say in one sentence why less is more.") -> Request:
        """A request for free text."""
        return Request(key, Prompt(SYSTEM, user), Sampling(0.3, self.most_tokens, 7))

    def code(self, key: str = "g0s1/0", address: str = "Body.__init__", seed: int = 7) -> Request:
        """A request for a rewrite of a block, held to the grammar "edits"."""
        target = Target(genome_of("plain"), address, seed=seed)
        grammar = load_registry().grammars["edits"]
        constraint = grammar.constraint(target)
        assert not isinstance(constraint, Rejected), constraint
        user = f"Rewrite it:\n\n{target.genome.blocks[address].code}\n\n{grammar.instructions(target)}"
        prompt = Prompt(SYSTEM, user, address, "edits", "reduce")
        return Request(key, prompt, Sampling(0.3, 4 * self.most_tokens, seed), constraint)

    def answers(self, model: LanguageModel, requests: Sequence[Request]) -> list[Reply]:
        """The replies in the order of the requests. Fails unless each request is answered exactly once."""
        found: dict[int, Reply] = {}
        for index, reply in model.generate(requests):
            assert index not in found, f"request {index} is answered twice"
            found[index] = reply
        assert sorted(found) == list(range(len(requests))), "not every request is answered"
        return [found[index] for index in range(len(requests))]

    def test_it_has_a_name(self, model: LanguageModel) -> None:
        assert isinstance(model.name, str)
        assert model.name.strip()

    def test_nothing_asked_is_nothing_answered(self, model: LanguageModel) -> None:
        assert list(model.generate([])) == []

    def test_each_request_is_answered_once(self, model: LanguageModel) -> None:
        self.answers(model, [self.prose("g0s0/0"), self.code("g0s1/0"), self.prose("g0s2/0")])

    def test_a_reply_is_complete(self, model: LanguageModel) -> None:
        for reply in self.answers(model, [self.prose(), self.code()]):
            assert isinstance(reply, Reply)
            assert isinstance(reply.text, str)
            assert reply.finish in ("stop", "length", "error")
            assert bool(reply.error) == (reply.finish == "error")
            assert reply.model.strip(), "the reply does not say which model gave it"

    def test_a_reply_is_counted(self, model: LanguageModel) -> None:
        for reply in self.answers(model, [self.prose(), self.code()]):
            assert isinstance(reply.prompt_tokens, int)
            assert isinstance(reply.completion_tokens, int)
            if reply.finish != "error":
                assert reply.prompt_tokens > 0
                assert reply.completion_tokens >= bool(reply.text)
            assert math.isfinite(reply.seconds)
            assert reply.seconds >= 0

    def test_free_text_is_answered(self, model: LanguageModel) -> None:
        (reply,) = self.answers(model, [self.prose()])
        assert reply.finish in ("stop", "length"), reply.error

    def test_a_rewrite_is_answered(self, model: LanguageModel) -> None:
        (reply,) = self.answers(model, [self.code()])
        assert reply.finish in ("stop", "length"), reply.error

    def test_two_equal_requests_are_two_answers(self, model: LanguageModel) -> None:
        self.answers(model, [self.prose("g0s0/0"), self.prose("g0s1/0")])

    def test_the_same_seed_gives_the_same_reply(self, model: LanguageModel) -> None:
        if self.repeatable:
            one, other = (self.answers(model, [self.code()])[0].text for _ in range(2))
            assert one == other

    def test_braces_in_a_prompt_are_text(self, model: LanguageModel) -> None:
        (reply,) = self.answers(model, [self.prose(user="What does {x!r} %s {{}} $y \\n “mean”?")])
        assert reply.finish != "error", reply.error

    def test_it_can_be_asked_again(self, model: LanguageModel) -> None:
        for number in range(2):
            self.answers(model, [self.prose(f"g{number}s0/0")])

    def test_it_can_be_closed_twice(self, model: LanguageModel) -> None:
        model.close()
        model.close()
