"""Language models: what is opened for a run, and what it is asked."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ge_engine.config import RunConfig
from ge_engine.contracts.grammar import Constraint
from ge_engine.contracts.prompt import Prompt, Reply, Sampling

CHAT_TEMPLATE = 256
"""Tokens that a chat template puts around a prompt, at most."""
PROMPT_TOKENS = 4000
"""Room of a prompt where a language model does not say its own."""


@dataclass(frozen=True, slots=True)
class Request:
    """A prompt made ready for a language model. `key`: individual and number of its call, "g2s5/0".
    `model` is the run's name for the one of its language models that is asked."""

    key: str
    prompt: Prompt
    sampling: Sampling
    constraint: Constraint | None = None
    model: str = ""


def _unheard(sentence: str) -> None:
    """Where nobody listens."""


class LanguageModel(ABC):
    """Answers requests. `name` is what its replies and the run database call it.

    `say` takes a sentence for whoever watches the run: that a server is tried again, or wants a field left
    out. A run sets it before the first request; any thread may call it.

    `replays` is the folder of the run whose replies it gives again, None for one that answers by itself: the
    schedule "steady" takes the order in which children end from there. `prompt_tokens` is how long a prompt
    may be: what the engine knows of the run is told as far as it fits; 0 for a model that is asked the
    operator's words alone. `precision` is in what numbers it computes, "bfloat16", where that may be another
    on another machine: those that answer one run must have the same.
    """

    name: str
    replays: Path | None = None
    prompt_tokens: int = PROMPT_TOKENS
    precision: str = ""
    say: Callable[[str], None] = staticmethod(_unheard)

    @abstractmethod
    def generate(self, requests: Sequence[Request]) -> Iterator[tuple[int, Reply]]:
        """(index, reply) as soon as each is done, in any order."""

    def most_tokens(self, request: Request) -> tuple[int, int]:
        """How many tokens a request may read and write at most, for budgets: a token of a prompt has at
        least one byte. Override it where tokens are something else, or where more is sent."""
        text = request.prompt.system + request.prompt.user
        return len(text.encode("utf-8", "replace")) + CHAT_TEMPLATE, request.sampling.max_tokens

    def close(self) -> None:  # noqa: B027
        """Release what it holds. Called once, at the end of the run."""


class LanguageModelFactory(ABC):
    """`--llm NAME` or `--llm NAME:ARGUMENT` opens a model.

    `opens_elsewhere`: it needs a machine, as for weights, and `--executor-llm` may have `check` and `open`
    called in an agent on another one, where the plugin is installed too. The engine then bounds tokens by
    `LanguageModel.most_tokens`, and not by an override.
    """

    name: str
    opens_elsewhere: bool = False

    @abstractmethod
    def open(self, argument: str, config: RunConfig) -> LanguageModel:
        """The model, ready for requests. Raises ModelError with what to do."""

    def check(self, argument: str, config: RunConfig) -> None:  # noqa: B027
        """Raise what `open` would, as far as it can be known without loading weights: called before a run's
        folder is made and its seed model trained. By default nothing is known before `open`."""
