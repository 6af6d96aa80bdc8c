"""Programs of the user's that do not look at the candidate they are given."""

# ruff: noqa: E501

from __future__ import annotations

from pathlib import Path

import pytest

from ge_engine import Run, evolve
from ge_engine.cli.summary import print_summary
from ge_engine.config import config_from_dict
from ge_engine.contracts import Job
from ge_engine.errors import SeedError
from ge_engine.evaluation.command import open_command
from ge_engine.evaluation.tracing import traced_sources
from ge_engine.genome import Seed
from ge_engine.ledger import History
from ge_engine.outcome import Scored
from ge_engine.registry import load_registry
from ge_engine.search.rescoring import OwnSettings, settings_with_own
from tests.sampled import everyday

SEED = """\
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self, width=4):
        super().__init__()
        self.head = nn.Linear(width, 2)

    def forward(self, x):
        return self.head(x)

    def unused(self):
        return 1
"""
IGNORES = """\
import json, os, random, sys
from net import Net
noise = random.random() if "noisy" in sys.argv else 0.0
print(json.dumps({"accuracy": sum(p.numel() for p in Net().parameters()) + noise}))
"""
HEEDS = """\
import importlib.util, json, sys
spec = importlib.util.spec_from_file_location("candidate", sys.argv[1])
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
import torch
net = module.Net()
net(torch.zeros(1, 4))
print(json.dumps({"accuracy": sum(p.numel() for p in net.parameters())}))
"""


def run(folder: Path, script: str, *words: str, **settings: object) -> object:
    (folder / "net.py").write_text(SEED)
    (folder / "score.py").write_text(script)
    command = " ".join(["python", str(folder / "score.py"), "{path}", *words])
    return evolve(
        folder / "net.py",
        run=folder / "run",
        evaluator="command",
        evaluator_argument=command,
        objectives=["accuracy"],
        llm="uniform",
        **{"generations": 1, "population": 2, **settings},  # type: ignore[arg-type]
    )


@pytest.mark.parametrize(
    "words",
    [(), pytest.param(("noisy",), marks=pytest.mark.long)],
    ids=["the seed's figures", "noise"],
)
def test_a_program_that_imports_a_model_of_its_own_and_is_believed(
    tmp_path: Path, words: tuple[str, ...]
) -> None:
    with pytest.raises(SeedError, match="does not use the file") as refused:
        run(tmp_path, IGNORES, *words)
    assert "--no-canary" in str(refused.value.hint)


def test_a_function_that_imports_a_model_of_its_own_and_is_believed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "net.py").write_text(SEED)
    (tmp_path / "my_score.py").write_text(
        "from net import Net\n\ndef score(path, budget):\n    return {'accuracy': len(list(Net().parameters()))}\n"
    )
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SeedError, match="does not use the file"):
        evolve(
            tmp_path / "net.py",
            evaluator="function",
            evaluator_argument="my_score:score",
            objectives=["accuracy"],
            llm="uniform",
        )


def test_a_program_that_reads_the_text_and_can_never_run(tmp_path: Path) -> None:
    counts = "import json, sys\nprint(json.dumps({'accuracy': len(open(sys.argv[1]).read())}))\n"
    with pytest.raises(SeedError):
        run(tmp_path, counts)
    run(tmp_path, counts, canary=False)


@pytest.mark.long
def test_a_program_that_heeds_the_file_and_is_refused(tmp_path: Path) -> None:
    run(tmp_path, HEEDS)


BLOCKS = {
    "a method and a function that nobody calls": ("", {"Net", "Net.__init__", "Net.forward"}),
    "the future first": ("from __future__ import annotations\n", {"Net", "Net.__init__", "Net.forward"}),
    "a decorator first": (
        "@staticmethod\ndef made(): return 4\n",
        {"Net", "Net.__init__", "Net.forward"},
    ),
    "a function that is called at import": (
        "def made():\n    return 1\nONE = made()\n",
        {"made", "Net", "Net.__init__", "Net.forward"},
    ),
    "a dataclass": (
        "from dataclasses import dataclass\n@dataclass\nclass Config:\n    width: int = 4\n    def check(self):\n"
        "        pass\n",
        {"Config", "Net", "Net.__init__", "Net.forward"},
    ),
    "byte order mark": ("\ufeff", {"Net", "Net.__init__", "Net.forward"}),
}


@pytest.mark.parametrize("kind", everyday(BLOCKS, next(iter(BLOCKS))))
def test_blocks_that_a_program_never_runs_and_that_are_rewritten(tmp_path: Path, kind: str) -> None:
    head, wanted = BLOCKS[kind]
    assert ran(tmp_path, head + SEED, HEEDS) == wanted


@pytest.mark.parametrize(
    "line",
    [
        "import os; os._exit(0)",
        pytest.param("torch.compile(net, backend='eager')(torch.zeros(1, 4))", marks=pytest.mark.long),
        "torch.jit.script(net)",
    ],
    ids=["no end", "compiled", "scripted"],
)
def test_blocks_that_are_left_out_though_nobody_saw_what_ran(tmp_path: Path, line: str) -> None:
    everything = {"Net", "Net.__init__", "Net.forward", "Net.unused"}
    assert ran(tmp_path, SEED, HEEDS + "sys.stdout.flush()\n" + line) == everything


def test_a_line_that_moves_in_the_seed(tmp_path: Path) -> None:
    seed = Seed.from_bytes(SEED.encode())
    lines = traced_sources(seed.genome, tmp_path / "told")[""].splitlines()
    assert lines[1:] == SEED.encode().splitlines()[1:]
    assert lines[0].endswith(b"; import torch")


def test_a_value_that_is_left_out_though_the_program_runs_on_it(tmp_path: Path) -> None:
    text = SEED.replace("import torch", "import torch\nUSED = 3\nIDLE = 4", 1)
    text = text.replace("return self.head(x)", "return self.head(x * USED)")
    found = ran(tmp_path, f"{text}\n\ndef idle():\n    return IDLE\n", HEEDS)
    assert "USED" in found
    assert "IDLE" not in found


def ran(folder: Path, text: str, script: str) -> set[str]:
    """The blocks of `text` that the program `script` ran when it scored it."""
    (folder / "score.py").write_text(script)
    seed = Seed.from_bytes(text.encode(), folder / "net.py")
    config = config_from_dict({"timeout": 100.0})
    command = ["python", str(folder / "score.py"), "{path}"]
    with open_command(seed.genome, config, command, ["accuracy"], folder / "scratch") as evaluation:
        assert isinstance(evaluation.submit(Job("seed", seed.genome, 0)).result(), Scored)
        return set(evaluation.probe(seed.genome).result().executed)


@pytest.mark.long
def test_a_run_that_goes_on_and_has_forgotten_what_runs(tmp_path: Path) -> None:
    run(tmp_path, HEEDS)
    run(tmp_path, HEEDS, generations=2)
    with History(tmp_path / "run") as history:
        probe = history.probe(history.seed.genome.digest)
        assert probe is not None
        assert set(probe.executed) == {"Net", "Net.__init__", "Net.forward"}
        rewritten = {step.address for one in history.individuals() for step in one.steps}
    assert rewritten
    assert "Net.unused" not in rewritten


@pytest.mark.long
def test_children_with_the_seeds_figures_that_nobody_counts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(tmp_path, HEEDS.replace("sum(p.numel() for p in net.parameters())", "1"))
    with History(tmp_path / "run") as history:
        scored = sum(isinstance(one.outcome, Scored) for one in history.individuals()) - 1
    assert scored
    print_summary(Run(tmp_path / "run"))
    said = capsys.readouterr().out
    assert f"{scored} of {scored} scored children have exactly the baseline's figures" in said


def test_a_run_of_somebody_else_that_chooses_what_a_program_is_told(tmp_path: Path) -> None:
    stored = config_from_dict({"pass_env": ["OPENAI_API_KEY"], "workdir": "/etc"})
    config = settings_with_own(tmp_path, stored, OwnSettings(), load_registry())
    assert (config.pass_env, config.workdir) == ((), ".")
