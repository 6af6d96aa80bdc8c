"""A command line that is printed can be copied: a shell gives back the words that it was made of."""

from __future__ import annotations

import re
import shlex
import sqlite3
from pathlib import Path

import doubles
import pytest
from conftest import Ge
from hypothesis import given
from hypothesis import strategies as st

from ge_engine import Run, api, loop
from ge_engine.cli.summary import print_summary
from ge_engine.entry import resolve_entry
from ge_engine.errors import ConfigError, SeedError
from ge_engine.genome import Seed
from ge_engine.runs.references import log_of
from ge_engine.views.console import command_line, program

ROOT = Path(__file__).resolve().parent.parent
AWKWARD = "my runs/it's $HOME (1)"
UNQUOTED = re.compile(r"""\b(ge|program\(\)\}) [a-z]+ [^"'`]*\{(?!\{)""")
"""A command of ours with something filled in that no shlex has seen."""


@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1)))
def test_words_that_a_shell_takes_for_others(words: list[str]) -> None:
    assert shlex.split(command_line(*words)) == [program(), *words]


@pytest.fixture
def run(tmp_path: Path) -> Path:
    folder = tmp_path / AWKWARD
    config = doubles.config(generations=2, llm="scripted:good")
    loop.run(doubles.seed(), config, doubles.registry(), folder, lambda *_: None)
    return folder


def test_commands_after_a_run_that_name_another_folder(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    print_summary(Run(run))
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith(f"{program()} ")]
    called = [shlex.split(line) for line in lines]
    best = Run(run).best
    assert best is not None
    assert [words[1] for words in called[:3]] == ["diff", "show", "report"]
    named = {words[1]: words[2] for words in called}
    assert named.pop("report") == str(run)
    assert set(named.values()) == {f"{run}:{best.id}"}


def test_hints_that_name_another_folder(run: Path, ge: Ge) -> None:
    assert shlex.split(log_of(run)) == ["ge", "log", str(run)]
    code, _, error = ge("show", f"{run}:nobody")
    assert code == 2
    assert f"`{log_of(run)}` lists them" in error


def test_a_new_plugin_whose_commands_name_another_folder(tmp_path: Path, ge: Ge) -> None:
    code, said, error = ge("plugin", "new", "tiny", "-o", tmp_path / "my plugins")
    assert code == 0, error
    called = [shlex.split(line) for line in said.splitlines()[1:]]
    folder = next(one for one in (tmp_path / "my plugins").iterdir())
    assert called[0] == ["pip", "install", "-e", str(folder)]
    assert called[1] == ["pytest", str(folder)]
    assert called[2] == [program(), "evolve", "model.py", "--operators", "tiny"]


def test_settings_whose_command_names_another_file(tmp_path: Path, ge: Ge) -> None:
    seed, output = tmp_path / "my model.py", tmp_path / "my settings.toml"
    seed.write_bytes(doubles.SEED)
    code, said, error = ge("init", seed, "-o", output)
    assert code == 0, error
    assert shlex.split(said.splitlines()[-1]) == [program(), "evolve", str(seed), "--config", str(output)]


def test_an_entry_to_copy_that_a_shell_takes_apart() -> None:
    code = (
        "from torch import nn\n\n\nclass Net(nn.Module):\n    def __init__(self, cfg, kind):\n"
        "        super().__init__()\n\n    def forward(self, x):\n        return x\n"
    )
    with pytest.raises(SeedError) as refused:
        resolve_entry(Seed.from_bytes(code.encode()).genome, {"num_classes": 7})
    told = refused.value.hint.partition("--entry ")[2].partition("; it is")[0]
    assert shlex.split(told) == ["Net(cfg=..., kind=...)"]


def test_a_run_without_a_score_whose_command_names_another_folder(tmp_path: Path) -> None:
    folder = tmp_path / AWKWARD
    config = doubles.config(generations=0)
    loop.run(doubles.seed(), config, doubles.registry(), folder, lambda *_: None)
    with sqlite3.connect(folder / "ledger.sqlite") as db:
        db.execute("DELETE FROM scores")
    db.close()
    with pytest.raises(ConfigError, match="has no score yet") as refused:
        api.compare(folder, folder)
    assert shlex.split(refused.value.hint.partition(": ")[2]) == ["ge", "resume", str(folder)]


def test_a_command_that_is_printed_without_quotes() -> None:
    found = {
        f"{path.relative_to(ROOT)}: {line.strip()}"
        for folder in ("ge_engine", "plugins")
        for path in (ROOT / folder).rglob("*.py")
        for line in path.read_text("utf-8").splitlines()
        if UNQUOTED.search(line)
    }
    assert not found
