"""What every persona promises: it adds to the system prompt and touches nothing else."""

from __future__ import annotations

import pytest

from ge_engine.contracts import Persona, Prompt
from ge_engine.testing.watching import assert_is_a_name, no_global_randomness, no_io

SYSTEM = "You improve PyTorch code {carefully} %s."
USERS = (
    "Rewrite it:\n\n```python\ndef f(x):\n    return f'{x!r:>{3}} {{}} %s {0}' % x\n```",
    "Why did {this} help?",
    "x" * 20_000,
    "“Grüße” \\n $name",
)
PROMPTS = [Prompt(SYSTEM, user, "f", "block", "reduce") for user in USERS] + [Prompt("", "Say why.")]
EACH_PROMPT = pytest.mark.parametrize("prompt", PROMPTS, ids=("code", "prose", "long", "unicode", "bare"))


class PersonaContract:
    """Override `persona`."""

    @pytest.fixture
    def persona(self) -> Persona:
        raise NotImplementedError("give the fixture `persona`")

    def test_it_has_a_name(self, persona: Persona) -> None:
        assert_is_a_name(persona.name)

    @EACH_PROMPT
    def test_it_returns_a_prompt(self, persona: Persona, prompt: Prompt) -> None:
        assert isinstance(persona.frame(prompt), Prompt)

    @EACH_PROMPT
    def test_it_leaves_the_question_and_its_code_as_they_are(self, persona: Persona, prompt: Prompt) -> None:
        assert prompt.user in persona.frame(prompt).user

    @EACH_PROMPT
    def test_it_keeps_the_operators_instructions(self, persona: Persona, prompt: Prompt) -> None:
        assert prompt.system in persona.frame(prompt).system

    @EACH_PROMPT
    def test_it_changes_neither_block_nor_grammar_nor_intent(self, persona: Persona, prompt: Prompt) -> None:
        framed = persona.frame(prompt)
        assert (framed.address, framed.addresses, framed.grammar, framed.intent) == (
            prompt.address,
            prompt.addresses,
            prompt.grammar,
            prompt.intent,
        )

    @EACH_PROMPT
    def test_it_says_the_same_each_time(self, persona: Persona, prompt: Prompt) -> None:
        with no_global_randomness():
            assert persona.frame(prompt) == persona.frame(prompt)

    def test_it_stays_short(self, persona: Persona) -> None:
        """A frame is paid for in every prompt: at most 2,000 characters."""
        bare = PROMPTS[-1]
        framed = persona.frame(bare)
        assert len(framed.system) + len(framed.user) - len(bare.system) - len(bare.user) <= 2000

    def test_it_does_no_input_or_output(self, persona: Persona) -> None:
        persona.frame(PROMPTS[0])
        with no_io():
            persona.frame(PROMPTS[0])

    def test_it_leaves_the_prompt_it_was_given(self, persona: Persona) -> None:
        before = Prompt(SYSTEM, USERS[0], "f", "block", "reduce")
        persona.frame(PROMPTS[0])
        assert PROMPTS[0] == before
