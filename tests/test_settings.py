"""A setting stands once, has one name, and what was named otherwise says so."""

from __future__ import annotations

import json
import re
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ge_engine.api import evolve
from ge_engine.cli.app import app
from ge_engine.cli.options import FORMER, RENAMED, SHORTCUTS, chosen_settings
from ge_engine.config import (
    GROUPS,
    Recipe,
    RunConfig,
    changeable,
    config_from_ledger,
    load_config,
    settings,
    toml_of,
    with_settings,
)
from ge_engine.errors import ConfigError
from ge_engine.ledger.history import History

ROOT = Path(__file__).resolve().parent.parent
OLD = ROOT / "tests" / "ledgers" / "version_0_1_0"
ADDED = '    patience: int = setting(3, "Weeks to wait.", SEARCH, at_least(1), changeable=True)\n'
EDITED = """
import importlib.machinery, sys
from pathlib import Path

class Added(importlib.machinery.SourceFileLoader):
    def get_code(self, name):
        before, fields, after = Path(self.path).read_text().partition("    generations: int = setting(")
        assert fields
        return compile(before + sys.argv[1] + fields + after, self.path, "exec")

class Finder(importlib.machinery.PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        spec = super().find_spec(name, path, target)
        if name == "ge_engine.config.run_config":
            spec.loader = Added(name, spec.origin)
        return spec

sys.meta_path.insert(0, Finder)
"""
SEEN = """
import io, json, contextlib
sys.path[:0] = sys.argv[2:4]
import generate, test_keywords
from ge_engine.cli.app import app
from ge_engine.cli.options import chosen_settings
from ge_engine.config import changeable, config_from_ledger, config_to_dict, load_config
from ge_engine.errors import ConfigError
from ge_engine.api import evolve

def said(run):
    try:
        run()
    except ConfigError as error:
        return error.message

def helped():
    with contextlib.redirect_stdout(io.StringIO()) as shown, contextlib.suppress(SystemExit):
        app(["evolve", "--help-all"], prog_name="ge")
    return " ".join(shown.getvalue().split())

toml = Path(sys.argv[4])
toml.write_text("patience = 4")
from_file = load_config("demo", toml, {})
toml.write_text("patience = 'long'")
print(json.dumps({
    "default": load_config("demo", None, {}).patience,
    "toml": from_file.patience,
    "flag": chosen_settings({"patience": 5}),
    "given": said(lambda: app(["evolve", "none.py", "--patience", "0"], standalone_mode=False)),
    "python": said(lambda: evolve("none.py", patience=0)),
    "type": said(lambda: load_config("demo", toml, {})),
    "stored": config_from_ledger(json.loads(json.dumps(config_to_dict(from_file)))).patience,
    "changeable": "patience" in changeable(),
    "help": helped(),
    "docs": [line for line in generate.settings() if line.startswith("| `patience`")],
    "keywords": "    patience: int" in test_keywords.text(),
}))
"""


def test_a_setting_that_takes_more_than_one_edit(tmp_path: Path) -> None:
    command = [sys.executable, "-c", EDITED + SEEN, ADDED, ROOT / "docs", ROOT / "tests", tmp_path / "a.toml"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    helped, docs = seen.pop("help"), seen.pop("docs")
    refused = "A setting is out of range: patience must be 1 or more."
    assert seen == {
        "default": 3,
        "toml": 4,
        "flag": {"patience": 5},
        "given": refused,
        "python": refused,
        "type": "The setting 'patience' wants an int and got 'long'.",
        "stored": 4,
        "changeable": True,
        "keywords": True,
    }
    assert "--patience" in helped
    assert "Weeks to wait; 1 or more." in helped
    assert docs == [
        "| `patience` | `--patience` | `int` | `3` |  |  | Weeks to wait. It must be 1 or more. |"
    ]


def test_an_old_flag_that_a_message_or_a_page_still_names() -> None:
    old = re.compile(r"(?<![\w-])(" + "|".join(RENAMED) + r")(?![\w-]| \{seed\})")
    files = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    files += [
        file for folder in ("ge_engine", "plugins", "grammars") for file in (ROOT / folder).rglob("*.py")
    ]
    named = {file.name for file in files if old.search(file.read_text("utf-8"))}
    assert named == {"options.py", "CHANGELOG.md", "slurm.py"}  # sbatch has a flag of such a name


def test_a_flag_that_stands_for_two_settings() -> None:
    flags = [one.flag for one in settings().values()] + ["--" + name.replace("_", "-") for name in SHORTCUTS]
    assert len(set(flags)) == len(flags)
    assert not set(RENAMED) & set(flags)
    assert set(RENAMED.values()) <= set(flags)
    assert {one.about.group for one in settings().values()} <= set(GROUPS)


@pytest.mark.parametrize(("old", "new"), RENAMED.items())
def test_an_old_flag_that_does_not_name_the_new_one(old: str, new: str) -> None:
    ended = CliRunner().invoke(app, ["evolve", "model.py", old, "3"])
    assert isinstance(ended.exception, ConfigError)
    assert ended.exception.message == f"The flag {old} is now called {new}."


@pytest.mark.parametrize(
    ("former", "current"),
    [("[recipe]\nepochs = 3", "[training]\nepochs = 3"), ("dead_blocks = true", "unused_blocks = true")],
)
def test_a_former_name_in_a_file_that_is_not_taken(tmp_path: Path, former: str, current: str) -> None:
    file = tmp_path / "run.toml"
    configs = []
    for text in (former, current):
        file.write_text(text)
        configs.append(load_config("demo", file, {}))
    assert configs[0] == configs[1] != load_config("demo", None, {})


def test_a_former_name_from_python_that_loses_what_the_current_one_says(tmp_path: Path) -> None:
    file = tmp_path / "run.toml"
    file.write_text("[recipe]\nepochs = 3\nlr = 0.3\n")
    config = load_config("paper", file, {"recipe": {"lr": 0.2}, "recipe.ema": 0.5, "training.jitter": 0.4})
    trained = config.recipe
    assert (trained.epochs, trained.lr, trained.ema, trained.jitter) == (3, 0.2, 0.5, 0.4)
    assert trained.batch_size == load_config("paper", None, {}).recipe.batch_size, "the preset's stay"
    assert with_settings(config, {"recipe": {"epochs": 9}}).recipe.epochs == 9


def test_a_run_whose_former_names_are_lost() -> None:
    stored = {"dead_blocks": True, "recipe": {"epochs": 3}}
    assert config_from_ledger(stored) == RunConfig(unused_blocks=True, recipe=Recipe(epochs=3))


def test_new_settings_under_former_names() -> None:
    written = toml_of(load_config("demo", None, {}))
    assert "\n[training]\n" in written
    assert "\nunused_blocks = false\n" in written
    assert not re.search(r"recipe|\bdead\b|dead_", written)


@pytest.mark.parametrize("former", ["--dead-blocks", "--no-dead-blocks"])
def test_a_former_flag_that_is_shown_or_not_taken(former: str, monkeypatch: pytest.MonkeyPatch) -> None:
    given: dict[str, object] = {}
    monkeypatch.setattr("ge_engine.api.evolve", lambda *_, **settings: given.update(settings))
    monkeypatch.setattr("ge_engine.cli.evolve.carry_out", lambda work, *_: work())
    ended = CliRunner().invoke(app, ["evolve", "model.py", former])
    assert ended.exit_code == 0, ended.output
    assert given["unused_blocks"] is (former == "--dead-blocks")
    shown = CliRunner().invoke(app, ["evolve", "--help"]).output
    assert former.removeprefix("--") in FORMER
    assert former not in shown


def test_an_old_flag_of_a_command_that_never_had_it() -> None:
    assert "No such option" in CliRunner().invoke(app, ["log", "runs/demo", "--seed", "3"]).stderr


@pytest.mark.parametrize(
    ("old", "new", "toml"),
    [
        ("max_tokens", "reply_tokens", "max_tokens = [600, 1400]"),
        ("training.schedule", "training.lr_schedule", "[training]\nschedule = 'plateau'"),
    ],
)
def test_an_old_name_in_a_file_that_does_not_name_the_new_one(
    tmp_path: Path, old: str, new: str, toml: str
) -> None:
    file = tmp_path / "run.toml"
    file.write_text(toml)
    with pytest.raises(ConfigError) as refused:
        load_config("demo", file, {})
    assert refused.value.message == f"The setting {old!r} is now called {new!r}."


def test_an_old_name_from_python_that_is_taken() -> None:
    with pytest.raises(ConfigError, match="'reply_tokens'"):
        evolve("model.py", max_tokens=(600, 1400))  # type: ignore[call-arg]


def test_a_ledger_of_version_0_1_0_whose_settings_are_lost(tmp_path: Path) -> None:
    db = sqlite3.connect(OLD / "ledger.sqlite")
    stored = json.loads(db.execute("SELECT value FROM meta WHERE key = 'config'").fetchone()[0])
    db.close()
    stored |= {"max_tokens": [70, 90]}
    stored["recipe"] |= {"schedule": "plateau"}
    config = config_from_ledger(stored)
    assert config.reply_tokens == (70, 90)
    assert config.recipe.lr_schedule == "plateau"
    with History(OLD) as history:
        assert history.config.reply_tokens == (600, 1400)


def test_a_list_of_names_with_commas_that_is_one_name() -> None:
    assert chosen_settings({"checks": ["built-in, mine"], "blocks": ["A.{b,c}"]}) == {
        "checks": ["built-in", "mine"],
        "blocks": ["A.{b,c}"],
    }


@pytest.mark.parametrize(
    ("flags", "chosen"),
    [
        ({"no_eot": True, "no_mating": True}, {"p_eot": 0.0, "p_mating": 0.0}),
        ({"command": "run {path}"}, {"evaluator": "command", "evaluator_argument": "run {path}"}),
        ({"evaluator": "job:f"}, {"evaluator": "function", "evaluator_argument": "job:f"}),
        (
            {"llm": ["openai:m", "uniform"], "llm_url": ["http://h/v1"]},
            {"llm": ["openai:m@http://h/v1", "uniform"]},
        ),
        (
            {"channels": "auto", "augment": False, "blocks": []},
            {"training": {"channels": 0, "augment": False}},
        ),
    ],
)
def test_a_flag_that_chooses_another_setting(flags: dict[str, object], chosen: dict[str, object]) -> None:
    assert chosen_settings(flags) == chosen


def test_a_command_that_evolves_otherwise_than_the_function(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[tuple[tuple[object, ...], dict[str, object]]] = []

    def evolve(*seed: object, **given: object) -> None:
        told.append((seed, given))
        raise ConfigError("That is all.")

    monkeypatch.setattr("ge_engine.api.evolve", evolve)
    words = "evolve model.py --run r --preset paper --plugin mine --allow-changes --epochs 3 --llm uniform"
    ended = CliRunner().invoke(app, words.split())
    assert str(ended.exception) == "That is all."
    given = {"run": Path("r"), "preset": "paper", "config": None, "plugins": ["mine"], "no_plugins": ()}
    given |= {"allow_changes": True, "training": {"epochs": 3}, "llm": ["uniform"]}
    assert told == [((Path("model.py"),), given)]


def test_a_recipe_that_is_no_table() -> None:
    with pytest.raises(ConfigError, match="'training' wants a table"):
        load_config("demo", None, {"recipe": 5})


def test_what_a_run_goes_on_with_that_decides_what_is_compared() -> None:
    assert changeable() == {
        *("checks", "generations", "workers", "memory_gib", "sandbox", "start_method", "llm", "context"),
        *("max_evaluations", "max_seconds", "token_budget", "cost_budget", "price_in", "price_out"),
        *("stop_when", "stall", "rescore_seeds", "trackers", "canary", "project", "workdir", "pass_env"),
        *("llm_backend", "llm_extra", "llm_key_env", "llm_timeout", "llm_deadline", "llm_parallel"),
        *("manual_timeout", "instructions", "keep_weights", "tolerance", "executor", "executor_llm"),
    }
