"""A key in the environment or a file appears nowhere: not in the run's folder, a worker, or any message."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import Ge
from servers import Script, misbehaving

from ge_engine.ledger.history import History
from ge_engine.llm.forms import FORMS
from tests.patience import PATIENT

KEY = "sk-very-secret-0123456789abcdef"
PLAIN = Path(__file__).resolve().parent.parent / "examples" / "plain_cnn.py"
PROBE = ["good"] * (1 + len(FORMS))
"""The short request before the seed is trained, and the probes for grammars."""
# A child that says all that it can find: its environment, and that of its parents.
SNOOPING = """```python
class Block(nn.Module):
    def __init__(self, in_channels, out_channels):
        super().__init__()
        found = [repr(dict(os.environ))]
        try:
            names = os.listdir("/proc")
        except OSError:
            names = ["self", "1", str(os.getppid())]
        for name in names:
            try:
                found.append(os.read(os.open("/proc/" + name + "/environ", 0), 99999).decode("latin-1"))
            except OSError as error:
                found.append(type(error).__name__)
        raise RuntimeError("I found " + "sk-" + "very in " * ("sk-" + "very" in " ".join(found)) + found[0])

    def forward(self, x):
        return x
```"""


def words(url: str, folder: Path, *more: str) -> list[str]:
    """Of a run from a seed that imports os itself, so that its children may."""
    seed = folder.parent / "seed.py"
    seed.write_text(
        PLAIN.read_text("utf-8").replace("import torch\n", "import os\n\nimport torch\n", 1), "utf-8"
    )
    given = ["evolve", str(seed), "--run", str(folder)]
    given += ["--llm", "openai:m", "--llm-url", url, "--blocks", "ConvBlock", "--generations", "1"]
    given += ["--population", "2", "--epochs", "1", "--train-limit", "64", "--grammar", "block"]
    return [*given, "--rescore-seeds", "0", "--operators", "mutation", *more]


def evolve(url: str, folder: Path, *more: str, **environ: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "ge_engine.cli", *words(url, folder, *more)]
    clean = {name: value for name, value in os.environ.items() if not name.startswith("OPENAI_")}
    return subprocess.run(
        command, env=clean | environ, capture_output=True, text=True, check=False, timeout=PATIENT
    )


def files_with(text: str, folder: Path) -> list[str]:
    return [str(f) for f in folder.rglob("*") if f.is_file() and text.encode() in f.read_bytes()]


def test_a_key_that_a_run_leaves_behind(tmp_path: Path) -> None:
    script = Script(*PROBE, "status 400", "status 503 retry-after=0", "say")
    script.text = SNOOPING.replace("class Block", "class ConvBlock")
    with misbehaving(script) as url:
        done = evolve(url, tmp_path / "run", OPENAI_API_KEY=KEY)
    assert done.returncode == 1, done.stderr
    assert all(KEY in key for key in script.keys)
    with History(tmp_path / "run") as history:
        reasons = [str(one.outcome) for one in history.individuals() if one.slot >= 0]
    assert any("***" in reason for reason in reasons), "the server's error told the key"
    assert any("I found" in reason for reason in reasons), "the child looked for it"
    assert not any("sk-very in" in reason for reason in reasons)
    assert KEY not in done.stdout + done.stderr
    assert files_with(KEY, tmp_path / "run") == []


def test_a_wrong_key_that_the_message_repeats(
    tmp_path: Path, ge: Ge, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "key"
    file.write_text(KEY + "\n")
    for name in [name for name in os.environ if name.startswith("OPENAI_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("OPENAI_API_KEY_FILE", str(file))
    script = Script("status 401")
    with misbehaving(script) as url:
        code, said, errors = ge(*words(url, tmp_path / "run"))
    assert script.keys
    assert all(KEY in key for key in script.keys)
    assert code == 2
    assert "401" in errors
    assert "***" in errors
    assert KEY not in said + errors
    assert files_with(KEY, tmp_path / "run") == []


READING = """```python
class ConvBlock(nn.Module):
    def __init__(self, in_channels, out_channels):
        super().__init__()
        held = os.read(os.open(torch.__file__, 0), 9999).decode()
        self.register_parameter("".join(c for c in held if c.isalnum())[:80], nn.Parameter(torch.ones(1)))
        raise RuntimeError("held: " + held[-200:])

    def forward(self, x):
        return x
```"""


@pytest.mark.long
def test_a_file_that_a_child_sends_to_the_model_by_its_error(tmp_path: Path) -> None:
    script = Script(*PROBE, "say")
    script.text = READING
    with misbehaving(script) as url:
        done = evolve(url, tmp_path / "run", "--repairs", "1", OPENAI_API_KEY=KEY)
    assert done.returncode == 1, done.stderr
    prompts = [body["messages"][-1]["content"] for body in script.bodies]
    again = [prompt for prompt in prompts if "It was rejected (build)" in prompt]
    assert again
    assert all("RuntimeError (line " in prompt for prompt in again)
    assert not any("held: " in prompt.partition("It was rejected")[2] for prompt in again)
