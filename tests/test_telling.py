"""What a candidate says in its errors, names and shapes goes to no model, and what a repair needs does."""

from __future__ import annotations

import re
import string
from collections.abc import Callable
from pathlib import Path
from typing import Any

import doubles
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

from ge_engine import loop
from ge_engine.contracts import Probe
from ge_engine.evaluation.data.module_loader import error_line
from ge_engine.genome import Genome
from ge_engine.ledger.history import History
from ge_engine.registry import load_registry
from ge_engine.search.repair_feedback import UNTOLD, error_text, tellable, words_of

SECRET = "root:x:0:0:admin:/root:/bin/bash hunter2"
CODE = "class Net:\n    def forward(self, x):\n        return self.head(x.flatten(1))\n"
WORDS = words_of(CODE)
X = torch.zeros(8, 16, 4, 4)


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(3, 4)

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return x


def backward_twice() -> None:
    loss = (nn.Linear(2, 2)(torch.ones(1, 2)) ** 2).sum()
    loss.backward()
    loss.backward()


REAL: dict[str, Callable[[], object]] = {
    "matrices": lambda: nn.Linear(16, 10)(torch.zeros(8, 12)),
    "broadcast": lambda: torch.zeros(8, 3) + torch.zeros(8, 4),
    "channels": lambda: nn.Conv2d(3, 8, 3)(X),
    "transposed channels": lambda: nn.ConvTranspose2d(3, 8, 3)(X),
    "convolution of a row": lambda: nn.Conv2d(3, 8, 3)(torch.zeros(8, 10)),
    "kernel": lambda: nn.Conv2d(16, 8, 7)(X),
    "pool": lambda: nn.MaxPool2d(8)(X),
    "running mean": lambda: nn.BatchNorm2d(32)(X),
    "norm of a row": lambda: nn.BatchNorm2d(32)(torch.zeros(8, 32)),
    "one value": lambda: nn.BatchNorm2d(16)(torch.zeros(1, 16, 1, 1)),
    "view": lambda: torch.zeros(8, 16).view(8, 64),
    "reshape": lambda: torch.zeros(8, 16).reshape(-1, 7),
    "stride": lambda: X.transpose(1, 3).view(8, -1),
    "cat": lambda: torch.cat([torch.zeros(8, 3), torch.zeros(4, 3)], 1),
    "cat of ranks": lambda: torch.cat([torch.zeros(8, 3), torch.zeros(4)], 0),
    "stack": lambda: torch.stack([torch.zeros(8, 3), torch.zeros(8, 4)]),
    "dimension": lambda: torch.zeros(8).sum(3),
    "permute": lambda: X.permute(0, 1, 2),
    "groups": lambda: nn.Conv2d(3, 8, 3, groups=2),
    "heads": lambda: nn.MultiheadAttention(10, 3),
    "group norm": lambda: nn.GroupNorm(3, 16),
    "layer norm": lambda: nn.LayerNorm(64)(X),
    "expand": lambda: torch.zeros(4, 3).expand(8, 3),
    "batches": lambda: functional.cross_entropy(torch.zeros(8, 10), torch.zeros(4, dtype=torch.long)),
    "types": lambda: nn.Linear(2, 2)(torch.zeros(1, 2, dtype=torch.half)),
    "long weights": lambda: nn.Parameter(torch.zeros(3, dtype=torch.long)),
    "bmm": lambda: torch.bmm(torch.zeros(8, 3, 4), torch.zeros(8, 5, 4)),
    "split": lambda: X.split([3, 4], 1),
    "shuffle": lambda: nn.PixelShuffle(3)(X),
    "pad": lambda: functional.pad(X, (9, 9), mode="reflect"),
    "max pool of a row": lambda: nn.MaxPool2d(2)(torch.zeros(3, 4)),
    "select": lambda: X.select(1, 20),
    "embedding": lambda: nn.Embedding(3, 4)(torch.zeros(2)),
    "no module": lambda: nn.Sequential(3),
    "argument of a layer": lambda: nn.Linear(3),  # type: ignore[call-arg]
    "argument of an operator": lambda: functional.relu((X,)),  # type: ignore[arg-type]
    "gru": lambda: nn.GRU(10, 4)(torch.zeros(3, 2, 7)),
    "dropout": lambda: nn.Dropout(1.5),
    "no gradient": lambda: torch.zeros(1).sum().backward(),
    "twice": backward_twice,
    "truth": lambda: bool(torch.zeros(2) > 0),
    "no parameters": lambda: torch.optim.SGD([], 0.1),
    "negative": lambda: torch.zeros(-3, 2),
    "attribute": lambda: Net().head.flatten,
    "module": lambda: nn.forward,  # type: ignore[attr-defined]
    "argument": lambda: Net()(X),
    "keyword": lambda: Net()(X, self=1, x=2),
    "arguments": lambda: Net().forward(1, 2, 3),  # type: ignore[call-arg, arg-type]
    "operands": lambda: 1 + None,  # type: ignore[operator]
    "call": lambda: Net().head.weight(X),
    "unpack": lambda: [a for a, b in [(1, 2, 3)]],
    "unpack fewer": lambda: [a for a, b in [(1,)]],
    "index": lambda: [][1],
    "zero": lambda: 1 // 0,
    "None": lambda: None.forward,  # type: ignore[attr-defined]
    "combination": lambda: functional.conv2d(X, 3),  # type: ignore[call-overload]
    "forward missing": lambda: nn.Module()(X),
    "assignment": lambda: setattr(Net(), "head", 3),
}


@pytest.mark.parametrize("case", REAL)
def test_a_message_that_a_repair_needs_and_the_model_does_not_get(case: str) -> None:
    with pytest.raises(Exception) as raised:
        REAL[case]()
    told = error_text(error_line(raised.value, {"seed.py": ""}), WORDS | {"y"})
    assert UNTOLD not in told
    assert told.startswith(f"{type(raised.value).__name__}: ")
    figures = re.findall(r"\d+", str(raised.value)[:90])
    assert all(figure in told for figure in figures)


def test_figures_type_line_and_place_that_are_lost() -> None:
    error = (
        "RuntimeError: mat1 and mat2 shapes cannot be multiplied (8x12 and 16x10) (line 3, in Net.forward)"
    )
    assert error_text(error, WORDS) == error
    assert error_text("MemoryError", WORDS) == "MemoryError"
    assert error_text("", WORDS) == ""
    limit = "MemoryError: 9,500,000,000 parameters need 141.6 GiB to train; 8.0 are allowed"
    assert error_text(limit, WORDS) == limit


ATTACKS = {
    "a message": f"RuntimeError: {SECRET} (line 3)",
    "a type": "hunter2: no (line 3)",
    "a place": f"RuntimeError: x (line 3, in {SECRET})",
    "a name in a place": "RuntimeError: x (line 3, in hunter2)",
    "a name in a known message": "AttributeError: 'Net' object has no attribute 'hunter2'",
    "a known message with more": "RuntimeError: mat1 and mat2 shapes cannot be multiplied "
    f"(8x1 and 6x10) {SECRET}",
    "a known message in the middle": f"RuntimeError: {SECRET} index out of range in self",
    "a key": "KeyError: 'hunter2'",
    "a dotted name": "ModuleNotFoundError: No module named 'torch.hunter2'",
    "what it printed": f"exited with status 0 without a result; it printed: {SECRET}",
    "what it printed when killed": f"killed by SIGSEGV; it printed: {SECRET}",
    "a broken report": f"its report is malformed: ValueError({SECRET!r})",
    "no form at all": SECRET,
    "several lines": f"RuntimeError\n{SECRET}",
    "numbers without end": "RuntimeError: shape '["
    + ", ".join(["104117110116"] * 90)
    + "]' is invalid for input",
    "a long number": "IndexError: index 104117110116101114 is out of bounds for dimension 0 with size 3",
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_text_of_a_candidate_that_goes_on(attack: str) -> None:
    told = error_text(ATTACKS[attack], WORDS)
    assert told
    for word in ("hunter2", "root", "bash", "admin", "104117110116"):
        assert word not in told


def test_a_name_or_a_shape_that_carries_a_file() -> None:
    probe = Probe(
        stage=SECRET,
        error=f"ValueError: {SECRET}",
        output_shape=(10**30, -4, *([7] * 400)),
        without_gradient=frozenset(("head.weight", "hunter2", "head.104117110116.bias")),
        unregistered=(f"head ({SECRET})", "head (Linear)", "a trainable tensor of shape (3, 4)", SECRET),
        executed=frozenset(("Net.forward", "hunter2")),
        class_parameters={"Net": 3, "hunter2": 4},
        graph="hunter2",
    )
    clean = tellable(probe, WORDS)
    assert "hunter2" not in repr(clean)
    assert "root" not in repr(clean)
    assert clean.stage == "run"
    assert clean.output_shape == (10**9, 0, 7, 7, 7, 7, 7, 7)
    assert {"head.weight"} < clean.without_gradient
    assert set(clean.unregistered) >= {"head (Linear)", "a trainable tensor of shape (3, 4)"}


@given(st.text(alphabet=string.ascii_letters + string.digits + " :'()[],._\n", min_size=1, max_size=300))
def test_a_word_that_nobody_knows(text: str) -> None:
    told = error_text(f"RuntimeError: qqq{text}qqq (line 3)", WORDS)
    assert "qqq" not in told


@given(st.text(max_size=3000))
def test_an_error_that_cannot_be_told(text: str) -> None:
    told = error_text(text, WORDS)
    assert len(told) <= 2100
    assert tellable(Probe(error=text), WORDS).error == told


REGISTRY = load_registry(
    ["doubles"], [name for name in doubles.REPLACED if name not in ("probe_checks", "tasks")]
)


def prompts_of(folder: Path, monkeypatch: pytest.MonkeyPatch, probe: Probe, **settings: Any) -> list[str]:
    """The prompts that send back children whose process gives `probe`."""
    seed = doubles.seed().genome.digest
    honest = doubles._probe

    def dishonest(genome: Genome) -> Probe:
        return honest(genome) if genome.digest == seed else probe

    monkeypatch.setattr(doubles, "_probe", dishonest)
    checks = tuple(REGISTRY.checks)
    config = doubles.config(generations=1, repairs=1, operators=("mutation",), checks=checks, **settings)
    loop.run(doubles.seed(), config, REGISTRY, folder, lambda *_: None)
    with History(folder) as history:
        calls = [call for one in history.individuals() for call in history.calls(one.id)]
        assert any(SECRET in str(one.outcome) for one in history.individuals()), (
            "the run database keeps all of it"
        )
    return [call.prompt.user for call in calls if "It was rejected (" in call.prompt.user]


FORGED = {
    "error": Probe(stage="forward", error=f"RuntimeError: {SECRET} (line 3)"),
    "gradient": Probe(output_shape=(2, 10), without_gradient=frozenset((SECRET, "layer.weight"))),
    "registered": Probe(output_shape=(2, 10), unregistered=(SECRET,)),
}


@pytest.mark.parametrize("where", FORGED)
def test_a_secret_in_a_prompt(where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    prompts = prompts_of(tmp_path / "run", monkeypatch, FORGED[where])
    assert prompts
    assert not any("hunter2" in prompt for prompt in prompts)


def test_raw_texts_that_the_user_asked_for_and_does_not_get(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prompts = prompts_of(tmp_path / "run", monkeypatch, FORGED["error"], repair_texts=True)
    assert any(SECRET in prompt for prompt in prompts)
