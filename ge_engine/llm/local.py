"""A language model in this process: transformers for the weights, accelerate for where they lie,
llguidance for what may be answered, and one batch for all requests at once."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import huggingface_hub
import torch
import transformers
from llguidance import LLTokenizer
from llguidance.hf import from_tokenizer
from safetensors import SafetensorError
from transformers import AutoModelForCausalLM, AutoTokenizer

from ge_engine.cache import cache_path
from ge_engine.contracts import LanguageModel, Prompt, Reply, Request
from ge_engine.errors import ModelError
from ge_engine.llm import warn_of_spinning
from ge_engine.llm.batch import Batch, PrefixStore
from ge_engine.llm.openvino_choice import chosen_body
from ge_engine.llm.packed import Packing
from ge_engine.llm.placement import device_map_of
from ge_engine.llm.precision import faster_dtype
from ge_engine.llm.resting import residence_of
from ge_engine.llm.torch_body import Body, TorchBody

ROWS_ON_CPU = 48
ROWS_ON_GPU = 128
PROMPT_TOKENS, PROMPT_SHARE = 8000, 4
"""Room of a prompt: a quarter of what the model reads, and no more than 8,000 tokens."""
ATTENTIONS = {"full_attention", "sliding_attention"}


class LocalModel(LanguageModel):
    """A decoder-only transformer with its tokenizer. `rows` is the largest batch."""

    def __init__(self, name: str, model: Any, tokenizer: Any, rows: int) -> None:
        self.name = name
        self.model = model
        self.tokenizer = tokenizer
        self._rows = rows
        self._config = model.config.get_text_config()
        self.precision = str(model.dtype).removeprefix("torch.")
        self.kinds = layer_kinds(self._config, name)
        self.body: Body = TorchBody(model, self.kinds)
        self.prompt_tokens = min(PROMPT_TOKENS, self._limit() // PROMPT_SHARE)
        self._matcher_tokenizer: LLTokenizer = from_tokenizer(
            tokenizer,
            n_vocab=model.get_output_embeddings().weight.shape[0],
            eos_token=_ends(model, tokenizer),
        )
        self._store = PrefixStore()
        self._residence = residence_of(model)
        self._lock = threading.Lock()
        self._told = False

    def generate(self, requests: Sequence[Request]) -> Iterator[tuple[int, Reply]]:
        """Answer all requests as one batch; each reply comes as soon as it is whole. Memory of a GPU that
        the model does not need between two batches is given back after the last reply."""
        if self.body.precision and not self._told:
            self._told = True
            self.say("OpenVINO computes it, in whole numbers of 8 bits.")
        ready: list[tuple[int, Request, list[int]]] = []
        for index, request in enumerate(requests):
            prompt = self.encode(request.prompt, free=request.constraint is None)
            if len(prompt) + request.sampling.max_tokens > self._limit():
                yield index, _too_long(self.name, len(prompt), self._limit())
            else:
                ready.append((index, request, prompt))
        with self._lock, self._awake():
            batch = Batch(
                self._forward,
                self.body.new_cache,
                self._matcher_tokenizer,
                self.decode,
                self._store,
                min(self._rows, max(1, len(ready))),
            )
            for row in batch.run(ready):
                yield row.index, row.reply(self.name, self.decode)

    def compute_by(self, body: Body) -> None:
        """Have `body` compute the layers below the head. The name tells of it, and so does every reply."""
        self.body, self.precision = body, body.precision
        self.name = f"{self.name} ({body.precision})"
        self._store = PrefixStore()
        self._forget_layers()

    def _forget_layers(self) -> None:
        """Give back the memory of all weights but those that reading and drawing tokens take."""
        ends = (self.model.get_input_embeddings(), self.model.get_output_embeddings())
        kept = {id(weights) for end in ends for weights in end.parameters()}
        for weights in self.model.parameters():
            if id(weights) not in kept:
                weights.data = weights.data.new_empty(0)

    def encode(self, prompt: Prompt, free: bool = True) -> list[int]:
        """The prompt's tokens by the model's own chat template; `free` False asks not to think aloud."""
        if not self.tokenizer.chat_template:
            text = f"{prompt.system}\n\n{prompt.user}\n\n".lstrip()
            return list(self.tokenizer(text)["input_ids"])
        options = {"add_generation_prompt": True, "tokenize": True, "return_dict": True}
        if not free:
            options["enable_thinking"] = False
        separate = [{"role": "system", "content": prompt.system}, {"role": "user", "content": prompt.user}]
        joined = [{"role": "user", "content": f"{prompt.system}\n\n{prompt.user}".lstrip()}]
        for messages in (separate, joined) if prompt.system else (joined,):
            try:
                return list(self.tokenizer.apply_chat_template(messages, **options)["input_ids"])
            except Exception as error:  # a template raises its own jinja errors, e.g. for a system role
                refused = error
        raise ModelError(f"The chat template of {self.name} cannot render a prompt: {refused}.") from refused

    def decode(self, tokens: Sequence[int]) -> str:
        return str(
            self.tokenizer.decode(tokens, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        )

    def close(self) -> None:
        """Give the memory back, the accelerator's too. Nothing can be asked afterwards."""
        for held in ("model", "body", "_residence"):
            vars(self).pop(held, None)
        self._store = PrefixStore()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    @contextmanager
    def _awake(self) -> Iterator[None]:
        self._residence.wake()
        try:
            yield
        finally:
            if not self._residence.stays:
                self._store = PrefixStore()
            self._residence.rest()

    def _limit(self) -> int:
        return int(getattr(self._config, "max_position_embeddings", None) or 1 << 30)

    def _forward(self, packing: Packing, cache: Any, drawn: torch.Tensor) -> torch.Tensor:
        head = self.model.get_output_embeddings()
        states = self.body.hidden(packing, cache, drawn)
        return self._scaled(head(states.to(head.weight.device)))

    def _scaled(self, logits: torch.Tensor) -> torch.Tensor:
        cap = getattr(self._config, "final_logit_softcapping", None)
        if cap:
            logits = torch.tanh(logits / cap) * cap
        if (scale := getattr(self._config, "logit_scale", None)) is not None:
            logits = logits * scale
        if (scale := getattr(self._config, "logits_scaling", None)) is not None:
            logits = logits / scale
        return logits


def load_local(source: str, name: str, backend: str = "auto") -> LocalModel:
    """Load a model by hub name or folder. On the CPU the faster of bfloat16 and float32 is used, and what
    `backend` names: "torch", "openvino", or "auto" for the better of the two.

    Raises:
        ModelError: there is no such model, it cannot be reached, or it is of a kind that this decoder
            does not know (state-space layers, encoder-decoder, a slow tokenizer); or `backend` is
            "openvino", and that cannot compute it.
    """
    on_cpu = not torch.cuda.is_available() and not torch.backends.mps.is_available()
    with loading(name):
        tokenizer = AutoTokenizer.from_pretrained(source)
        model = AutoModelForCausalLM.from_pretrained(
            source,
            dtype=torch.bfloat16 if on_cpu else "auto",
            device_map="cpu" if on_cpu else device_map_of(source),
        )
        model.eval()  # type: ignore[no-untyped-call]
    if on_cpu:
        warn_of_spinning()
        faster_dtype(model, name, cache_path() / "precision.json")
    local = decoder(name, model, tokenizer, ROWS_ON_CPU if on_cpu else ROWS_ON_GPU)
    if on_cpu and (body := chosen_body(local, backend, cache_path())) is not None:
        local.compute_by(body)
    return local


def decoder(name: str, model: Any, tokenizer: Any, rows: int) -> LocalModel:
    """The loaded model made ready. Raises ModelError when it is of a kind that cannot be decoded here."""
    try:
        return LocalModel(name, model, tokenizer, rows)
    except ValueError as error:
        raise ModelError(
            f"The language model {name} cannot be decoded here: {first_line(error)}.",
            "Serve it with vLLM or llama.cpp and use --llm openai:MODEL --llm-url URL.",
        ) from error


@contextmanager
def loading(name: str) -> Iterator[None]:
    """Quietly; what the libraries raise over a model that is not there or not whole becomes a ModelError."""
    with _quiet():
        try:
            yield
        except (OSError, ValueError, ImportError, KeyError, SafetensorError) as error:
            raise ModelError(
                f"The language model {name} cannot be loaded: {first_line(error)}.",
                "Give hf:ORG/NAME of a causal language model, or hf:/path of a folder that holds one.",
            ) from error


def layer_kinds(config: Any, name: str) -> set[str]:
    kinds = set(getattr(config, "layer_types", None) or ())
    if not kinds:
        windowed = getattr(config, "sliding_window", None) and getattr(config, "use_sliding_window", True)
        kinds = {"sliding_attention"} if windowed else {"full_attention"}
    if kinds - ATTENTIONS or getattr(config, "is_encoder_decoder", False):
        raise ValueError(
            f"{name} has layers of kind {', '.join(sorted(kinds - ATTENTIONS)) or 'encoder-decoder'}"
        )
    return kinds


def _ends(model: Any, tokenizer: Any) -> list[int]:
    ends = model.generation_config.eos_token_id
    found = [ends] if isinstance(ends, int) else list(ends or ())
    return found or [tokenizer.eos_token_id]


def _too_long(model: str, tokens: int, limit: int) -> Reply:
    reason = f"The prompt has {tokens} tokens, and with the reply it passes the model's limit of {limit}."
    return Reply("", "error", tokens, 0, 0.0, model, reason)


def first_line(error: Exception) -> str:
    """What an error says, in one line without its full stop."""
    return (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".:")


@contextmanager
def _quiet() -> Iterator[None]:
    """Loading prints progress bars, advice for library authors and every retry; none helps a person here."""
    level = transformers.logging.get_verbosity()
    transformers.logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    hub = huggingface_hub.logging.get_verbosity()
    huggingface_hub.logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    bars = transformers.logging.is_progress_bar_enabled()
    transformers.logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            yield
    finally:
        transformers.logging.set_verbosity(level)
        huggingface_hub.logging.set_verbosity(hub)
        if bars:
            transformers.logging.enable_progress_bar()  # type: ignore[no-untyped-call]


def folder_or_name(argument: str) -> str:
    """A local folder as an absolute path; else the argument as it is."""
    path = Path(argument).expanduser()
    return str(path.resolve()) if path.is_dir() else argument
