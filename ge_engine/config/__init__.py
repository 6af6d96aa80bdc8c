"""A run's settings: each stands once, with its type, default, range and help; from preset, TOML and flags."""

from ge_engine.config.keywords import IslandSettings, RecipeSettings, Settings
from ge_engine.config.loading import (
    PRESETS,
    changeable,
    config_from_dict,
    config_from_ledger,
    config_to_dict,
    flat_settings,
    load_config,
    settings,
    with_settings,
)
from ge_engine.config.recipe import Recipe
from ge_engine.config.run_config import CHECKS, Island, RunConfig
from ge_engine.config.scoring_function import Score, evaluator_settings
from ge_engine.config.setting import GROUPS, LANGUAGE, MODEL, RUN, SEARCH, Field, fields_of
from ge_engine.config.toml_text import changed_settings, toml_of
from ge_engine.config.unused import unused_settings

__all__ = [
    "CHECKS",
    "GROUPS",
    "LANGUAGE",
    "MODEL",
    "PRESETS",
    "RUN",
    "SEARCH",
    "Field",
    "Island",
    "IslandSettings",
    "Recipe",
    "RecipeSettings",
    "RunConfig",
    "Score",
    "Settings",
    "changeable",
    "changed_settings",
    "config_from_dict",
    "config_from_ledger",
    "config_to_dict",
    "evaluator_settings",
    "fields_of",
    "flat_settings",
    "load_config",
    "settings",
    "toml_of",
    "unused_settings",
    "with_settings",
]
