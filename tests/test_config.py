"""A run's settings come from preset, file and flags, and nothing misspelt is taken in silence."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ge_engine.config import PRESETS, config_from_dict, config_to_dict, load_config
from ge_engine.errors import ConfigError


def test_flags_that_do_not_win_over_the_file_and_the_preset(tmp_path: Path) -> None:
    file = tmp_path / "run.toml"
    file.write_text("population = 5\ngenerations = 7\n[recipe]\nepochs = 4\n")
    config = load_config("paper", file, {"generations": 9, "recipe.lr": 0.2, "population": None})
    assert (config.population, config.generations, config.recipe.epochs, config.recipe.lr) == (5, 9, 4, 0.2)
    assert config.recipe.batch_size == PRESETS["paper"]["recipe"]["batch_size"]


def test_the_papers_constants_that_drift() -> None:
    config = load_config("paper", None, {})
    assert (config.p_mating, config.p_mutation, config.p_eot) == (0.35, 0.8, 0.25)
    assert (config.eot_elites, config.elites, config.generations) == (10, 44, 30)
    assert config.temperature == (0.05, 0.4)
    assert config.reply_tokens == (600, 1400)
    assert (config.recipe.image_size, config.recipe.batch_size, config.recipe.lr) == (224, 216, 0.1)


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        ({"generatoins": 3}, "generatoins"),
        ({"recipe.epoch": 3}, "recipe.epoch"),
        ({"population": 0}, "population"),
        ({"population": "many"}, "population"),
        ({"p_mating": 1.5}, "rates"),
        ({"temperature": [0.9, 0.1]}, "temperature"),
        ({"temperature": [0.9]}, "2 values"),
        ({"temperature": 0.9}, "a list"),
        ({"recipe.lr_schedule": "spiral"}, "lr_schedule"),
        ({"objectives": ["accuracy:up"]}, "NAME:min"),
        ({"objectives": ["accuracy", "accuracy:min"]}, "once"),
        ({"recipe.train_limit": -1}, "train_limit"),
        ({"dead_blocks": "yes"}, "dead_blocks"),
    ],
)
def test_a_wrong_setting_that_is_taken(flags: dict[str, object], says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config("demo", None, flags)
    assert says in caught.value.message


def test_a_misspelt_key_without_a_suggestion() -> None:
    with pytest.raises(ConfigError) as caught:
        load_config("demo", None, {"generatoins": 3})
    assert "generations" in caught.value.hint


@pytest.mark.parametrize("text", ["epochs = [", "\xff\xfe"])
def test_a_broken_file_that_ends_in_a_traceback(tmp_path: Path, text: str) -> None:
    file = tmp_path / "run.toml"
    file.write_bytes(text.encode("latin-1"))
    with pytest.raises(ConfigError, match="TOML"):
        load_config("demo", file, {})


def test_a_missing_file_or_preset_that_ends_in_a_traceback(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load_config("demo", tmp_path / "none.toml", {})
    with pytest.raises(ConfigError, match="no preset"):
        load_config("papr", None, {})


@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_a_configuration_that_json_changes(preset: str) -> None:
    config = load_config(preset, None, {})
    assert config_from_dict(json.loads(json.dumps(config_to_dict(config)))) == config


def test_instructions_whose_file_is_not_read_or_not_there(tmp_path: Path) -> None:
    (tmp_path / "problem.md").write_text("Boxes are rare.\n")
    (tmp_path / "empty.txt").write_text(" ")

    def told(given: str) -> str:
        return load_config("demo", None, {"instructions": given}).instructions

    assert told(str(tmp_path / "problem.md")) == "Boxes are rare."
    assert told("See problem.md for it") == "See problem.md for it"
    assert told("x" * 10_000) == "x" * 10_000
    with pytest.raises(ConfigError, match=r"no file 'proplem\.md'"):
        told("proplem.md")
    with pytest.raises(ConfigError, match="is empty"):
        told(str(tmp_path / "empty.txt"))
