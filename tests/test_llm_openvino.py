"""Local models computed by OpenVINO: the same answers by the same rules, in less time of the processor."""

from __future__ import annotations

import importlib.util
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM, MistralConfig, MistralForCausalLM

from ge_engine.config import RunConfig
from ge_engine.contracts import Prompt, Reply, Request, Sampling
from ge_engine.errors import ModelError
from ge_engine.grammar.lark_builder import Parts
from ge_engine.llm import openvino_choice
from ge_engine.llm.agreement import agreement
from ge_engine.llm.local import LocalModel, load_local
from ge_engine.llm.openvino_body import OpenVinoBody, compiled_body
from ge_engine.llm.openvino_choice import chosen_body
from ge_engine.llm.packed import pack
from ge_engine.llm.torch_body import Body
from ge_engine.registry import load_registry

SHAPE: dict[str, Any] = {
    "hidden_size": 128,
    "intermediate_size": 192,
    "num_hidden_layers": 6,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 2048,
    "bos_token_id": 1,
    "eos_token_id": 2,
}


def tiny(smollm2: LocalModel, rows: int = 4) -> LocalModel:
    """A small random model in float32 with the real tokenizer."""
    torch.manual_seed(0)
    config = LlamaConfig(**SHAPE, vocab_size=smollm2.model.config.vocab_size)
    return LocalModel("tiny", LlamaForCausalLM(config).float().eval(), smollm2.tokenizer, rows)


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("openvino") / "tiny.xml"


@pytest.fixture
def model(smollm2: LocalModel, graph: Path) -> LocalModel:
    """The small model, computed by OpenVINO."""
    found = tiny(smollm2)
    found.compute_by(compiled_body(found.model, 1, graph))
    return found


def states(body: Body, steps: list[tuple[list[list[int]], list[int]]], slots: int) -> list[torch.Tensor]:
    """For each step of (tokens of each slot, where they start) the states of all tokens."""
    cache = body.new_cache(slots)
    found = []
    for chunks, starts in steps:
        packing = pack(chunks, starts)
        cache.aim(packing.slots, packing.positions, packing.width)
        with torch.inference_mode():
            found.append(body.hidden(packing, cache, torch.arange(len(packing.ids))).float())
    return found


def answers(model: LocalModel, requests: list[Request]) -> list[Reply]:
    found = dict(model.generate(requests))
    assert sorted(found) == list(range(len(requests))), "a request was lost or answered twice"
    return [found[place] for place in range(len(requests))]


def request(number: int, words: str, sampling: Sampling, constraint: Any = None) -> Request:
    return Request(f"g0s{number}/0", Prompt("Be terse.", words), sampling, constraint)


def close(one: torch.Tensor, other: torch.Tensor) -> bool:
    return bool((torch.nn.functional.cosine_similarity(one, other) > 0.999).all())


def test_rows_that_see_each_other_or_lose_what_they_read(model: LocalModel) -> None:
    rows = [list(range(100, 170)), list(range(300, 333)), list(range(50, 55))]
    steps = [(rows, [0, 0, 0]), ([[7, 8], [], [9]], [70, 33, 5]), ([[1], [2, 3, 4], [5]], [72, 33, 6])]
    torch_body = tiny(model).body
    for by_torch, by_openvino in zip(states(torch_body, steps, 4), states(model.body, steps, 4), strict=True):
        assert close(by_torch, by_openvino)


def test_a_row_whose_states_depend_on_its_neighbours(model: LocalModel) -> None:
    row = list(range(100, 140))
    alone = states(model.body, [([row], [0]), ([[7]], [40])], 1)
    beside = states(model.body, [([row, list(range(60))], [0, 0]), ([[7], [8, 9]], [40, 60])], 2)
    assert close(alone[0], beside[0][:40])
    assert close(alone[1], beside[1][:1])


def test_a_prefix_that_is_read_from_the_store_otherwise_than_anew(model: LocalModel) -> None:
    body, row = model.body, list(range(100, 180))
    anew = states(body, [([row], [0]), ([[7, 8]], [80])], 2)[1]
    cache = body.new_cache(2)
    whole = pack([row], [0])
    cache.aim(whole.slots, whole.positions, whole.width)
    with torch.inference_mode():
        body.hidden(whole, cache, torch.tensor([79]))
        stored = cache.read(0, 80)
        cache.write(1, stored, 45)
        rest = pack([[], [*row[45:], 7, 8]], [0, 45])
        cache.aim(rest.slots, rest.positions, rest.width)
        found = body.hidden(rest, cache, torch.tensor([35, 36])).float()
    assert close(anew, found)


def test_a_row_that_moves_to_a_slot_that_became_free(model: LocalModel) -> None:
    body, rows = model.body, [list(range(40)), list(range(200, 290))]
    stays = states(body, [(rows, [0, 0]), ([[], [7, 8]], [40, 90])], 2)[1]
    cache = body.new_cache(2)
    whole = pack(rows, [0, 0])
    cache.aim(whole.slots, whole.positions, whole.width)
    with torch.inference_mode():
        body.hidden(whole, cache, torch.tensor([39]))
        cache.move(1, 0, 90)
        rest = pack([[7, 8], list(range(33))], [90, 0])
        cache.aim(rest.slots, rest.positions, rest.width)
        moved = body.hidden(rest, cache, torch.tensor([0, 1])).float()
    assert close(stays, moved)


def test_a_step_in_which_no_row_draws(model: LocalModel) -> None:
    packing = pack([[5, 6, 7]], [0])
    cache = model.body.new_cache(1)
    cache.aim(packing.slots, packing.positions, packing.width)
    assert model.body.hidden(packing, cache, torch.tensor([], dtype=torch.long)).shape == (0, 128)


def test_the_same_requests_twice_answered_otherwise(model: LocalModel) -> None:
    words = ["Hello.", "Hello again.", "Name three optimizers. " * 12, "Why?", "Hello.", "What?"]
    asked = [request(n, text, Sampling(1.0, 12, n)) for n, text in enumerate(words)]
    first = [reply.text for reply in answers(model, asked)]
    model._store = type(model._store)()
    assert [reply.text for reply in answers(model, asked)] == first
    assert len(set(first)) > 3


def test_a_grammar_that_is_not_followed(model: LocalModel) -> None:
    constraint = Parts(('start: ("Ja" | "Nein") " " /[0-9]{3}/ "."\n',))
    asked = [request(n, "Say it.", Sampling(1.2, 40, n), constraint) for n in range(6)]
    for reply in answers(model, asked):
        assert reply.finish == "stop"
        assert reply.text[:-5] in ("Ja", "Nein")
        assert reply.text[-4:-1].isdigit()


def test_a_reply_that_does_not_tell_what_computed_it(model: LocalModel) -> None:
    told: list[str] = []
    model.say = told.append
    for _ in range(2):
        (reply,) = answers(model, [request(0, "Hello.", Sampling(0.0, 3, 0))])
        assert reply.model == model.name == "tiny (openvino int8)"
    assert told == ["OpenVINO computes it, in whole numbers of 8 bits."]


def test_a_graph_that_is_made_anew_or_half_written(model: LocalModel, graph: Path) -> None:
    assert sorted(file.suffix for file in graph.parent.iterdir()) == [".bin", ".lock", ".xml"]
    before = graph.stat().st_mtime_ns
    assert isinstance(compiled_body(model.model, 1, graph), OpenVinoBody)
    assert graph.stat().st_mtime_ns == before
    assert model.model.dtype is torch.float32
    assert model.model.config._attn_implementation == "sdpa", "the model keeps its own attention"


@pytest.mark.parametrize("left", [".xml", ".bin"])
def test_half_a_graph_that_another_process_left(smollm2: LocalModel, tmp_path: Path, left: str) -> None:
    file = tmp_path / "tiny.xml"
    file.with_suffix(left).touch()
    (tmp_path / "making-tiny-1").mkdir()
    (tmp_path / "making-tiny-1" / "tiny.bin").touch()
    assert isinstance(compiled_body(tiny(smollm2).model, 1, file), OpenVinoBody)
    assert sorted(one.suffix for one in tmp_path.iterdir()) == [".bin", ".lock", ".xml"]


def test_weights_that_are_held_twice(smollm2: LocalModel, graph: Path) -> None:
    local = tiny(smollm2)
    every = local.model.num_parameters()
    local.compute_by(compiled_body(local.model, 1, graph))
    ends = 2 * local.model.get_input_embeddings().weight.numel()
    assert local.model.num_parameters() == ends < every
    assert local.precision == "openvino int8"
    assert answers(local, [request(0, "Hello.", Sampling(0.0, 3, 0))])


@pytest.mark.parametrize("backend", ["torch", "openvino"])
def test_a_backend_that_was_asked_for_and_does_not_arrive(
    smollm2: LocalModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, backend: str
) -> None:
    monkeypatch.setenv("GE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(openvino_choice, "_refusal", lambda _facts: "")
    tiny(smollm2).model.save_pretrained(tmp_path / "saved")
    smollm2.tokenizer.save_pretrained(tmp_path / "saved")
    config = RunConfig(llm_backend=backend)
    opened = load_registry().language_models["hf"].open(str(tmp_path / "saved"), config)
    assert opened.name.endswith("(openvino int8)") is (backend == "openvino")


def measured(monkeypatch: pytest.MonkeyPatch, agreement: float, body: float) -> list[str]:
    """Have the choice believe these figures. Gives the names of the models that were measured."""
    asked: list[str] = []

    def found(local: Any, _body: Any) -> dict[str, float]:
        asked.append(local.name)
        return {"agreement": agreement, "body": body, "torch": 2.0}

    monkeypatch.setattr(openvino_choice, "measured", found)
    return asked


@pytest.mark.long
def test_the_choice_is_measured_once(
    smollm2: LocalModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = measured(monkeypatch, 0.95, 1.0)
    for _ in range(2):
        assert isinstance(chosen_body(tiny(smollm2), "auto", tmp_path), OpenVinoBody)
    other = tiny(smollm2)
    with torch.no_grad():
        other.model.model.norm.weight[3] += 1
    assert isinstance(chosen_body(other, "auto", tmp_path), OpenVinoBody)
    assert asked == ["tiny", "tiny"], "other weights are another model"
    assert chosen_body(tiny(smollm2), "torch", tmp_path) is None


@pytest.mark.parametrize(("figures", "word"), [((0.949, 1.0), "94.9% of tokens"), ((1.0, 2.0), "takes 2 ms")])
def test_a_backend_that_is_worse_and_is_taken(
    smollm2: LocalModel,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    figures: tuple[float, float],
    word: str,
) -> None:
    measured(monkeypatch, *figures)
    with pytest.warns(UserWarning, match=f"not used for tiny, torch is: .*{word}"):
        assert chosen_body(tiny(smollm2), "auto", tmp_path) is None
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert chosen_body(tiny(smollm2), "auto", tmp_path) is None, "said once, then remembered"
    with pytest.raises(ModelError, match=word):
        chosen_body(tiny(smollm2), "openvino", tmp_path)


def test_a_missing_extra_that_is_noticed_by_who_did_not_ask(
    smollm2: LocalModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert chosen_body(tiny(smollm2), "auto", tmp_path) is None
    with pytest.raises(ModelError, match=r"not installed; pip install 'ge-engine\[openvino\]'"):
        chosen_body(tiny(smollm2), "openvino", tmp_path)


def test_a_version_that_cannot_convert_ends_a_run(
    smollm2: LocalModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> Any:
        raise RuntimeError("no such operation\nand much more")

    monkeypatch.setattr("ge_engine.llm.openvino_body.page_attention", broken)
    with pytest.warns(UserWarning, match="it fails with RuntimeError: no such operation[.]$"):
        assert chosen_body(tiny(smollm2), "auto", tmp_path) is None


def test_a_window_that_the_graph_would_not_have(smollm2: LocalModel, tmp_path: Path) -> None:
    config = MistralConfig(**SHAPE, vocab_size=smollm2.model.config.vocab_size, sliding_window=16)
    local = LocalModel("windowed", MistralForCausalLM(config).eval(), smollm2.tokenizer, 2)
    assert chosen_body(local, "auto", tmp_path) is None
    with pytest.raises(ModelError, match="sliding window"):
        chosen_body(local, "openvino", tmp_path)


@pytest.mark.long
def test_the_embedded_model_that_agrees_too_little(smollm2: LocalModel, tmp_path: Path) -> None:
    from ge_engine.llm.embedded import embedded_model

    local = load_local(str(embedded_model()), "smollm2", "torch")
    body = compiled_body(local.model, torch.get_num_threads(), tmp_path / "smollm2.xml")
    text = (Path(__file__).parents[1] / "examples" / "exquisitenet_v2.py").read_text("utf-8")
    asked = [f"Rewrite this block:\n\n{part}" for part in text.split("\nclass ")[1:]]
    rows = [local.encode(Prompt("", words), free=False)[:400] for words in asked]
    assert agreement(local.model, body, rows) >= openvino_choice.AGREEMENT
