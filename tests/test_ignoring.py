"""Programs of the user's that do not look at the candidate they are given."""

from __future__ import annotations

from pathlib import Path

import pytest

from ge_engine import evolve
from ge_engine.errors import SeedError

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
        generations=1,
        population=2,
        **settings,  # type: ignore[arg-type]
    )


@pytest.mark.parametrize("words", [(), ("noisy",)], ids=["the seed's figures", "noise"])
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
        evolve(tmp_path / "net.py", evaluator="function", evaluator_argument="my_score:score", objectives=["accuracy"], llm="uniform")


def test_a_program_that_reads_the_text_and_can_never_run(tmp_path: Path) -> None:
    counts = "import json, sys\nprint(json.dumps({'accuracy': len(open(sys.argv[1]).read())}))\n"
    with pytest.raises(SeedError):
        run(tmp_path, counts)
    run(tmp_path, counts, canary=False)


def test_a_program_that_heeds_the_file_and_is_refused(tmp_path: Path) -> None:
    run(tmp_path, HEEDS)
