"""A run's settings come from preset, file and flags, and nothing misspelt is taken in silence."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ge_engine.config import (
    PRESETS,
    config_from_dict,
    config_to_dict,
    load_config,
    settings,
    toml_of,
    unused_settings,
)
from ge_engine.errors import ConfigError


def test_flags_that_do_not_win_over_the_file_and_the_preset(tmp_path: Path) -> None:
    file = tmp_path / "run.toml"
    file.write_text("population = 5\ngenerations = 7\n[training]\nepochs = 4\n")
    config = load_config("paper", file, {"generations": 9, "training.lr": 0.2, "population": None})
    assert (config.population, config.generations, config.recipe.epochs, config.recipe.lr) == (5, 9, 4, 0.2)
    assert config.recipe.batch_size == PRESETS["paper"]["training"]["batch_size"]


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
        ({"training.epoch": 3}, "training.epoch"),
        ({"population": 0}, "population"),
        ({"population": "many"}, "population"),
        ({"p_mating": 1.5}, "rates"),
        ({"temperature": [0.9, 0.1]}, "temperature"),
        ({"temperature": [0.9]}, "2 values"),
        ({"temperature": 0.9}, "a list"),
        ({"training.lr_schedule": "spiral"}, "lr_schedule"),
        ({"objectives": ["accuracy:up"]}, "NAME:min"),
        ({"objectives": ["accuracy", "accuracy:min"]}, "once"),
        ({"training.train_limit": -1}, "train_limit"),
        ({"unused_blocks": "yes"}, "unused_blocks"),
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


@pytest.mark.parametrize(
    ("toml", "meant"),
    [
        ("generatoins = 3", "generations"),
        ("epochs = 3", "training.epochs"),
        ("learning_rat = 3\n[training]\nepoch = 2", "training.epochs"),
        ("[training]\npopulation = 3", "population"),
        ("[training]\noptimiser = 'sgd'", "training.optimizer"),
        ("[[island]]\npersona = 'x'", "island.personas"),
    ],
)
def test_a_misspelt_or_misplaced_key_of_a_file_without_a_suggestion(
    tmp_path: Path, toml: str, meant: str
) -> None:
    file = tmp_path / "run.toml"
    file.write_text(toml)
    with pytest.raises(ConfigError, match="There is no setting") as caught:
        load_config("demo", file, {})
    assert caught.value.hint == f"Did you mean {meant}?"


@pytest.mark.parametrize("preset", sorted(PRESETS))
@pytest.mark.parametrize(
    ("recipe", "lr"),
    [
        ({}, 0.1),
        ({"optimizer": "sgd"}, 0.1),
        ({"optimizer": "adamw"}, 0.001),
        ({"optimizer": "adamw", "lr": 0.1}, 0.1),
        ({"lr": 0.02}, 0.02),
    ],
)
def test_a_learning_rate_that_is_not_the_optimizers_or_not_the_one_given(
    preset: str, recipe: dict[str, object], lr: float
) -> None:
    config = load_config(preset, None, {"recipe": recipe})
    assert config.recipe.lr == lr
    assert config_from_dict(config_to_dict(config)) == config


PROGRAM = {"evaluator": "command", "evaluator_argument": "t.py {path}"}
TOLD = {"evaluator": "command", "evaluator_argument": "t.py {path} {epochs}"}
FUNCTION = {"evaluator": "function", "evaluator_argument": "t.py:score"}


@pytest.mark.parametrize(
    ("scorer", "given", "named"),
    [
        (PROGRAM, {"recipe": {"lr": 0.1}}, "--lr does nothing where a program of yours scores"),
        (PROGRAM, {"training.epochs": 4, "recipe.ema": 0.9}, "--epochs, --ema do nothing"),
        (PROGRAM, {"training.epochs": 2}, "--epochs does nothing"),
        (PROGRAM, {"task": "digits"}, "--task does nothing"),
        (PROGRAM, {"start_method": "spawn"}, "--start-method does nothing"),
        (FUNCTION, {"start_method": "spawn"}, ""),
        (FUNCTION, {"entry": "Net()", "threads": 2}, "--entry, --threads do nothing"),
        (FUNCTION, {"recipe": {"norm_batches": 0}}, "training.norm_batches does nothing"),
        (TOLD, {"recipe": {"epochs": 3}}, ""),
        (FUNCTION, {"recipe": {"epochs": 3}, "timeout": 9.0, "workers": 2}, ""),
        (PROGRAM, {"generations": 3, "objectives": ["rmse:min"]}, ""),
        ({"evaluator": "mine"}, {"recipe": {"lr": 0.3}}, ""),
    ],
)
def test_a_setting_of_the_trainer_that_a_program_never_hears_of(
    scorer: dict[str, object], given: dict[str, object], named: str, tmp_path: Path
) -> None:
    if not named:
        load_config("paper", None, {**scorer, **given})
        return
    with pytest.raises(ConfigError) as refused:
        load_config("demo", None, {**scorer, **given})
    assert refused.value.message.startswith(named)
    assert ("{epochs}" in refused.value.hint) == ("--epochs" in named)
    file = tmp_path / "run.toml"
    file.write_text("".join(f"{name} = {json.dumps(value)}\n" for name, value in scorer.items()))
    same = {name for name, value in given.items() if value in ("digits", {"lr": 0.1})}
    if not same:
        with file.open("a") as more:
            more.write("[training]\nema = 0.5\n")
        with pytest.raises(ConfigError, match="--ema"):
            load_config("demo", file, {})


@pytest.mark.parametrize("scorer", [PROGRAM, FUNCTION])
def test_a_file_of_settings_that_is_refused_where_a_program_scores(
    scorer: dict[str, object], tmp_path: Path
) -> None:
    """Of a run of another preset too: what does nothing stands in it as a comment."""
    for preset in PRESETS:
        config = load_config(preset, None, scorer)
        file = tmp_path / f"{preset}.toml"
        file.write_text(toml_of(config, settings().keys() - unused_settings(config)))
        assert load_config("demo", file, {}).evaluator == scorer["evaluator"]


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
