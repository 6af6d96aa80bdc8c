"""Opens the language models of a run: one, or several that share the prompts by weight."""

from __future__ import annotations

import random
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from queue import SimpleQueue

from ge_engine.blaming import blaming
from ge_engine.config import RunConfig
from ge_engine.contracts import LanguageModel, Reply, Request
from ge_engine.errors import ConfigError
from ge_engine.registry import Registry, choose

WEIGHT = re.compile(r"^(?P<model>.+):(?P<weight>\d*\.\d+|[01])$")


@contextmanager
def opened_models(config: RunConfig, registry: Registry) -> Iterator[LanguageModel]:
    """The run's language model, closed at the end. Of several, each is "NAME[:ARGUMENT][:WEIGHT]".

    Raises:
        ConfigError: an unknown name, or weights that are all 0.
        ModelError: a model cannot be opened.
    """
    specs = split_weights(config.llm)
    with ExitStack() as stack:
        models = []
        for spec, _ in specs:
            name, _, argument = spec.partition(":")
            factory = choose(registry.language_models, name, "language model")
            with blaming(registry, "ge_language_models", name):
                model = factory.open(argument, config)
            stack.callback(model.close)
            models.append(model)
        yield models[0] if len(models) == 1 else Mixture(models, [weight for _, weight in specs])


def split_weights(specs: Sequence[str]) -> list[tuple[str, float]]:
    """("A:0.8", "B:0.2") -> model and weight. One model alone keeps its name whole; no weight counts 1."""
    if len(specs) == 1:
        return [(specs[0], 1.0)]
    matches = [(spec, WEIGHT.match(spec)) for spec in specs]
    pairs = [(m["model"], float(m["weight"])) if m else (spec, 1.0) for spec, m in matches]
    if not sum(weight for _, weight in pairs):
        raise ConfigError(
            "The weights of the language models are all 0.", "Give for example --llm A:0.8 --llm B:0.2."
        )
    return pairs


class Mixture:
    """Several models at once. Who answers a request follows from its sampling seed and key alone."""

    def __init__(self, models: Sequence[LanguageModel], weights: Sequence[float]) -> None:
        self.name = "+".join(model.name for model in models)
        self._models = models
        self._weights = weights

    def generate(self, requests: Sequence[Request]) -> Iterator[tuple[int, Reply]]:
        """Each model works on its share in a thread of its own. An error of one ends the batch."""
        shares: dict[int, list[int]] = {}
        for index, request in enumerate(requests):
            rng = random.Random(f"{request.key}/{request.sampling.seed}")
            chosen = rng.choices(range(len(self._models)), self._weights)[0]
            shares.setdefault(chosen, []).append(index)
        inbox: SimpleQueue[Callable[[], tuple[int, Reply] | None]] = SimpleQueue()
        for chosen, indices in shares.items():
            work = partial(_ask, self._models[chosen], [(i, requests[i]) for i in indices], inbox)
            threading.Thread(target=work, name="language-model", daemon=True).start()
        left = len(shares)
        while left:
            answer = inbox.get()()
            if answer is None:
                left -= 1
            else:
                yield answer

    def close(self) -> None:
        for model in self._models:
            model.close()


def _ask(
    model: LanguageModel,
    share: Sequence[tuple[int, Request]],
    inbox: SimpleQueue[Callable[[], tuple[int, Reply] | None]],
) -> None:
    def fail(error: BaseException) -> tuple[int, Reply] | None:
        raise error

    try:
        for place, reply in model.generate([request for _, request in share]):
            inbox.put(partial(_same, (share[place][0], reply)))
        inbox.put(partial(_same, None))
    except BaseException as error:
        inbox.put(partial(fail, error))


def _same(answer: tuple[int, Reply] | None) -> tuple[int, Reply] | None:
    return answer
