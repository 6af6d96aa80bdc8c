"""A run's settings: each stands once, with its type, default, range and help; from preset, TOML and flags."""

from ge_engine.config.loading import (
    PRESETS,
    changeable,
    config_from_dict,
    config_from_ledger,
    config_to_dict,
    load_config,
    settings,
)
from ge_engine.config.recipe import Recipe
from ge_engine.config.run_config import CHECKS, Island, RunConfig

__all__ = [
    "CHECKS",
    "PRESETS",
    "Island",
    "Recipe",
    "RunConfig",
    "changeable",
    "config_from_dict",
    "config_from_ledger",
    "config_to_dict",
    "load_config",
    "settings",
]
