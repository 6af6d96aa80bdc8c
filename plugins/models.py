"""The built-in language models, opened by `--llm NAME` or `--llm NAME:ARGUMENT`."""

from __future__ import annotations

import os
from pathlib import Path

import ge_engine.llm  # noqa: F401  (sets how threads wait, before torch is imported)
from ge_engine.config import RunConfig
from ge_engine.contracts import LanguageModel, LanguageModelFactory
from ge_engine.errors import ModelError
from ge_engine.hookspecs import hookimpl
from ge_plugins.manual import ManualModel
from ge_plugins.replay import ReplayModel

EMBEDDED_TOKENS = 0
"""Room of the bundled model's prompts. With 1,000 as many children passed as with none (38 and 37 of 40 on
plain_cnn.py, 36 and 36 on exquisitenet_v2.py) and reached no further, in about twice the time."""


class Embedded(LanguageModelFactory):
    """SmolLM2-135M-Instruct, fetched once: works without a key, a server or a GPU."""

    name = "smollm2"
    opens_elsewhere = True

    def check(self, argument: str, config: RunConfig) -> None:  # noqa: ARG002
        _weights(argument)

    def open(self, argument: str, config: RunConfig) -> LanguageModel:
        folder = _weights(argument)
        from ge_engine.llm.local import load_local

        model = load_local(str(folder), self.name, config.llm_backend)
        model.prompt_tokens = EMBEDDED_TOKENS
        return model


class HuggingFace(LanguageModelFactory):
    """Any causal language model of the Hugging Face hub, or a folder that holds one."""

    name = "hf"
    opens_elsewhere = True

    def check(self, argument: str, config: RunConfig) -> None:  # noqa: ARG002
        _require(argument, "The model hf wants a name.", "Give --llm hf:ORG/NAME or --llm hf:/path.")
        from ge_engine.llm.checking import check_local
        from ge_engine.llm.local import folder_or_name

        check_local(folder_or_name(argument), f"hf:{argument}")

    def open(self, argument: str, config: RunConfig) -> LanguageModel:
        _require(argument, "The model hf wants a name.", "Give --llm hf:ORG/NAME or --llm hf:/path.")
        from ge_engine.llm.local import folder_or_name, load_local

        return load_local(folder_or_name(argument), f"hf:{argument}", config.llm_backend)


class Cheap(LanguageModelFactory):
    """Opens at no cost, so that what stands in its way is found by opening it."""

    def check(self, argument: str, config: RunConfig) -> None:
        self.open(argument, config)


class Uniform(Cheap):
    """No model: draws from the grammar at random. The control of an ablation."""

    name = "uniform"

    def open(self, argument: str, config: RunConfig) -> LanguageModel:  # noqa: ARG002
        if argument:
            raise ModelError("The model uniform takes no argument.", "Give --llm uniform.")
        from ge_engine.llm.uniform import UniformModel

        return UniformModel()


class Replay(Cheap):
    """Answers from another run's database."""

    name = "replay"

    def open(self, argument: str, config: RunConfig) -> LanguageModel:  # noqa: ARG002
        _require(
            argument, "The model replay wants a run.", "Give --llm replay:RUN, a folder that a run made."
        )
        from ge_engine.ledger.history import read_replies

        return ReplayModel(f"replay:{argument}", read_replies(Path(argument)), Path(argument))


class Manual(Cheap):
    """A person or a program that answers by files: each prompt is written to a folder and answered there."""

    name = "manual"

    def open(self, argument: str, config: RunConfig) -> LanguageModel:
        _require(argument, "The model manual wants a folder.", "Give --llm manual:DIR.")
        return ManualModel(f"manual:{argument}", Path(argument), timeout=config.manual_timeout)


class Server(LanguageModelFactory):
    """Any server that speaks the OpenAI protocol: OpenAI, vLLM, Ollama, llama.cpp, `transformers serve`."""

    name = "openai"

    def check(self, argument: str, config: RunConfig) -> None:
        _require(argument, "The model openai wants a name.", "Give --llm openai:MODEL, and --llm-url URL.")
        from ge_engine.llm.server_check import check_server

        check_server(argument, os.environ, config)

    def open(self, argument: str, config: RunConfig) -> LanguageModel:
        _require(argument, "The model openai wants a name.", "Give --llm openai:MODEL, and --llm-url URL.")
        from ge_engine.llm.server import open_server

        return open_server(argument, os.environ, config)


def _require(argument: str, message: str, hint: str) -> None:
    if not argument:
        raise ModelError(message, hint)


def _weights(argument: str) -> Path:
    if argument:
        raise ModelError("The model smollm2 takes no argument.", "Give --llm smollm2, or --llm hf:ORG/NAME.")
    from ge_engine.llm.embedded import embedded_model

    return embedded_model()


@hookimpl
def ge_language_models() -> list[LanguageModelFactory]:
    return [Embedded(), HuggingFace(), Manual(), Replay(), Server(), Uniform()]
