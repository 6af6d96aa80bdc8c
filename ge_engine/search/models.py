"""Opens the language models of a run, each once, and says which one answers a request."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from queue import SimpleQueue

from ge_engine.blaming import blaming
from ge_engine.config import RunConfig
from ge_engine.config.per_model import split_weight
from ge_engine.contracts import AgentExecutor, LanguageModel, LanguageModelFactory, Reply, Request, inheriting
from ge_engine.errors import ConfigError
from ge_engine.ledger import History
from ge_engine.llm.machines import Machines
from ge_engine.registry import Registry, choose

Shares = Sequence[tuple[str, float]]


def check_models(config: RunConfig, registry: Registry) -> None:
    """Let each language model of the run say what stands in its way, before anything is made or trained.

    Raises:
        ConfigError: an unknown name, or weights that are all 0.
        ModelError: a model cannot be found, loaded or reached.
    """
    for spec, factory in _factories(config, registry).items():
        if factory.opens_elsewhere and starts_agents(config, registry):
            continue  # what it needs is on another machine, and checked there
        name, _, argument = spec.partition(":")
        with blaming(registry, "ge_language_models", name):
            factory.check(argument, config)


@contextmanager
def opened_models(
    config: RunConfig,
    registry: Registry,
    hear: Callable[[str, str], None],
    machines: Machines | None = None,
) -> Iterator[Models]:
    """The run's language models, closed at the end. Of several, each is "NAME[:ARGUMENT][:WEIGHT]". What one
    says goes to `hear`, with its name first, in any thread. Those that can decode on `machines`, where these
    are given.

    Raises:
        ConfigError: an unknown name, or weights that are all 0.
        ModelError: a model cannot be opened.
        GeError: no machine can be had, or none can serve.
        KeyboardInterrupt: a signal has ended the wait for one.
    """
    opened: dict[str, LanguageModel] = {}
    with ExitStack() as stack:
        for spec, factory in _factories(config, registry).items():
            if machines and factory.opens_elsewhere:
                opened[spec] = _opened_there(spec, config, registry, machines.in_folder(len(opened)))
            else:
                opened[spec] = _opened_here(spec, factory, config, registry)
            opened[spec].say = partial(hear, opened[spec].name)
            stack.callback(opened[spec].close)
        yield Models(opened, shares_of(config))


def _opened_here(
    spec: str, factory: LanguageModelFactory, config: RunConfig, registry: Registry
) -> LanguageModel:
    name, _, argument = spec.partition(":")
    with blaming(registry, "ge_language_models", name):
        return inheriting(LanguageModel, factory.open(argument, config))


def _opened_there(spec: str, config: RunConfig, registry: Registry, machines: Machines) -> LanguageModel:
    from ge_engine.llm.remote import Source, open_remote  # what most runs do without

    name, _, argument = spec.partition(":")
    origin = registry.origin_of("ge_language_models", name)
    return open_remote(Source(name, argument, origin.module, origin.distribution), machines, config)


def _factories(config: RunConfig, registry: Registry) -> dict[str, LanguageModelFactory]:
    """What opens each of the run's language models, by "NAME[:ARGUMENT]"."""
    return {spec: factory_of(spec, registry) for shares in shares_of(config) for spec, _ in shares}


def starts_agents(config: RunConfig, registry: Registry) -> bool:
    """Whether `--executor-llm` names machines. Raises ConfigError on an unknown executor."""
    name = config.executor_llm.partition(":")[0]
    return isinstance(choose(registry.executors, name, "executor"), AgentExecutor)


def require_machines(config: RunConfig, registry: Registry) -> None:
    """Whether `--executor-llm` names something that language models of this run can decode on.

    Raises:
        ConfigError: an unknown executor, one that starts no agents or whose argument is wrong; or none of the
            run's models needs a machine.
    """
    if config.executor_llm == RunConfig().executor_llm:
        return
    name, _, argument = config.executor_llm.partition(":")
    executor = choose(registry.executors, name, "executor")
    with blaming(registry, "ge_executors", name):
        executor.check(argument)
    if not starts_agents(config, registry):
        raise ConfigError(
            f"The executor {name} starts no agents, and no language model can decode in one.",
            "Give --executor-llm nodes:HOST, slurm:OPTIONS or ray:ADDRESS.",
        )
    factories = _factories(config, registry)
    if not any(factory.opens_elsewhere for factory in factories.values()):
        one = len(factories) == 1
        raise ConfigError(
            f"{' and '.join(factories)} {'needs' if one else 'need'} no machine to decode on, and "
            f"--executor-llm {config.executor_llm} gives one.",
            "Leave --executor-llm out, or take a local model: --llm smollm2 or --llm hf:PATH.",
        )


def factory_of(spec: str, registry: Registry) -> LanguageModelFactory:
    """What opens the language model "NAME[:ARGUMENT]". Raises ConfigError on an unknown name."""
    name, table = spec.partition(":")[0], registry.language_models
    if name not in table:
        raise ConfigError(
            f"There is no language model {name!r}.",
            f"There are: {', '.join(table)}. A model of a server is openai:{name}, with --llm-url.",
        )
    return table[name]


def shares_of(config: RunConfig) -> list[list[tuple[str, float]]]:
    """For each island its language models and their weights. Raises ConfigError: weights that are all 0."""
    return [split_weights(config.on_island(number).llm) for number in range(config.islands)]


def split_weights(specs: Sequence[str]) -> list[tuple[str, float]]:
    """("A:0.8", "B:0.2") -> model and weight. One model alone keeps its name whole; no weight counts 1."""
    if len(specs) == 1:
        return [(specs[0], 1.0)]
    pairs = [(model, float(weight or 1)) for model, weight in map(split_weight, specs)]
    if not sum(weight for _, weight in pairs):
        raise ConfigError(
            "The weights of the language models are all 0.", "Give for example --llm A:0.8 --llm B:0.2."
        )
    return pairs


def prompt_room(config: RunConfig, models: Models) -> list[int]:
    """Tokens of a prompt on each island: the setting's, or what its models state."""
    islands = range(config.islands)
    return [config.context if config.context >= 0 else models.prompt_tokens(island) for island in islands]


class Models:
    """All language models at once. `islands` are the models of each island with their weights; `replays` is
    the folder of the run that the first one replays."""

    def __init__(self, opened: Mapping[str, LanguageModel], islands: Sequence[Shares]) -> None:
        self.name = "+".join(model.name for model in opened.values())
        self.replays = next((model.replays for model in opened.values()), None)
        self._opened = opened
        self._islands = islands

    def chosen(self, island: int, key: str, seed: int, odds: Callable[[str, str], float]) -> str:
        """Which one an island asks, its weight scaled by `odds("model", its name)`. It follows from the
        request's key and random seed and what the run knew when the generation began."""
        shares = self._islands[island]
        rng = random.Random(f"{key}/{seed}")
        weights = [weight * odds("model", self._opened[spec].name) for spec, weight in shares]
        return rng.choices(shares, weights)[0][0]

    def prompt_tokens(self, island: int) -> int:
        """The room of an island's prompts: the smallest among the models that it asks."""
        return min(_room(self._opened[spec], island) for spec, _ in self._islands[island])

    def most_tokens(self, request: Request) -> tuple[int, int]:
        """How many tokens a request may read and write: the bound of the model that is asked."""
        model = self._opened.get(request.model) or next(iter(self._opened.values()))
        return model.most_tokens(request)

    def generate(self, requests: Sequence[Request]) -> Iterator[tuple[int, Reply]]:
        """Each model works on its share in a thread of its own. An error of one ends the batch."""
        if len(self._opened) == 1:
            yield from next(iter(self._opened.values())).generate(requests)
            return
        shares: dict[str, list[int]] = {}
        for index, request in enumerate(requests):
            shares.setdefault(request.model, []).append(index)
        answers: SimpleQueue[tuple[int, Reply] | BaseException | None] = SimpleQueue()

        def work(model: LanguageModel, share: Sequence[int]) -> None:
            try:
                for place, reply in model.generate([requests[index] for index in share]):
                    answers.put((share[place], reply))
                answers.put(None)
            except BaseException as error:
                answers.put(error)

        for name, share in shares.items():
            arguments = self._opened[name], share
            threading.Thread(target=work, args=arguments, name="language-model", daemon=True).start()
        left = len(shares)
        while left:
            answer = answers.get()
            if isinstance(answer, BaseException):
                raise answer
            if answer is None:
                left -= 1
            else:
                yield answer


def _room(model: LanguageModel, island: int) -> int:
    """What a model states; of one that replays a run, what that run's island had."""
    if model.replays is None:
        return model.prompt_tokens
    with History(model.replays) as history:
        known = history.prompt_tokens
    return known[island] if island < len(known) else min(known, default=0)


NO_MODELS = Models({}, ())
"""Of a session that sends no prompts."""
