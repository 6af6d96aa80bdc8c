"""A run's settings: frozen, from a preset, a TOML file and flags, in that order of weakness."""

from __future__ import annotations

import dataclasses
import tomllib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ge_engine.config.instructions import read_instructions
from ge_engine.config.recipe import LEARNING_RATES, Recipe
from ge_engine.config.run_config import CHECKS, Island, RunConfig
from ge_engine.config.scoring_function import evaluator_settings
from ge_engine.config.setting import Field, fields_of, typed
from ge_engine.config.unused import refuse_unused, refuse_without_program
from ge_engine.errors import ConfigError
from ge_engine.places import shown

RULES: tuple[tuple[Callable[[RunConfig], bool], str], ...] = (
    (
        lambda run: run.recipe.batch_size >= 2 * run.processes_together or run.processes_together == 1,
        "training.batch_size is split over the processes of a candidate and must give each 2 images",
    ),
    (
        lambda run: all(0 <= p <= 1 for p in (run.p_mating, run.p_mutation, run.p_eot)),
        "the rates p_mating, p_mutation and p_eot must lie in 0..1",
    ),
    (lambda run: run.p_mating + run.p_mutation > 0, "p_mating and p_mutation cannot both be 0"),
    (lambda run: run.llm_timeout <= run.llm_deadline, "llm_timeout must not exceed llm_deadline"),
    (
        lambda run: min(run.cost_budget, run.price_in, run.price_out) >= 0,
        "cost_budget, price_in and price_out must be 0 or more",
    ),
    (
        lambda run: not run.cost_budget or run.price_in + run.price_out > 0,
        "cost_budget needs price_in or price_out",
    ),
    (
        lambda run: run.islands <= min(run.population, run.elites),
        "each island needs a child and an elite: islands must not exceed population and elites",
    ),
    (
        lambda run: not run.island or len(run.island) == run.islands,
        "islands must be the number of [[island]] tables",
    ),
    (
        lambda run: not (run.inherit and run.halving),
        "inherit and halving exclude each other, for halving compares trainings of as many epochs",
    ),
    (
        lambda run: not (run.halving and run.budget_rule != "none"),
        "halving and budget_rule exclude each other, for each decides how far a child is trained",
    ),
    (
        lambda run: not (run.inherit and run.budget_rule != "none"),
        "inherit and budget_rule exclude each other, for the rules compare trainings of as many epochs",
    ),
    (
        lambda run: run.budget_rule == "none" or run.recipe.epochs > 1,
        "budget_rule needs training.epochs of 2 or more: a training of one has nothing to save",
    ),
    (
        lambda run: len(set(run.objective_names)) == len(run.objectives),
        "objectives may name each only once",
    ),
    (
        lambda run: all(spec.partition(":")[2] in ("", "min", "max") for spec in run.objectives),
        "objectives are NAME, NAME:min or NAME:max each",
    ),
)
"""What several settings must keep to together."""

PRESETS: Mapping[str, Mapping[str, Any]] = {
    "demo": {"generations": 2, "population": 8, "elites": 8, "eot_elites": 4, "temperature": (0.6, 1.0)},
    "paper": {
        "operators": ("mutation", "mating", "eot"),
        "context": 0,
        "long_class": 0,
        "checks": tuple(name for name in CHECKS if name != "intent"),
        "generations": 30,
        "population": 44,
        "elites": 44,
        "eot_elites": 10,
        "ties": 0.0,
        "p_mating": 0.35,
        "p_mutation": 0.8,
        "p_eot": 0.25,
        "temperature": (0.05, 0.4),
        "reply_tokens": (600, 1400),
        "thought_tokens": 1400,
        "training": {
            "epochs": 500,
            "batch_size": 216,
            "weight_decay": 1e-4,
            "lr_schedule": "plateau",
            "image_size": 224,
            "jitter": 0.2,
            "norm_batches": 0,
        },
    },
}
RENAMED: Mapping[str, str] = {"max_tokens": "reply_tokens", "training.schedule": "training.lr_schedule"}
"""Names of version 0.1.0, which its run databases hold."""
ALIASES: Mapping[str, str] = {"recipe": "training", "dead_blocks": "unused_blocks"}
"""Former names that are still taken, in silence: of the table of training settings and of one setting. A run
stores that table under its former name."""


def settings() -> Mapping[str, Field]:
    """Every setting by full name: the training settings, then the run's."""
    return {**fields_of(Recipe, "training."), **fields_of(RunConfig)}


def changeable() -> frozenset[str]:
    """What a later session of a run may change."""
    return frozenset(name for name, one in settings().items() if one.about.changeable)


def load_config(preset: str, file: Path | None, flags: Mapping[str, Any]) -> RunConfig:
    """Merge preset, TOML file and `flags` (later wins), with RunConfig's names; the training settings
    are a mapping "training", or "training.epochs" and so on. A value of None means not given.

    Raises:
        ConfigError: unknown preset or key, unreadable file, value of a wrong type or range, settings of the
            built-in trainer where something else scores, or of a program where none does.
    """
    if preset not in PRESETS:
        raise ConfigError(f"There is no preset {preset!r}.", f"Presets are: {', '.join(sorted(PRESETS))}.")
    merged = _merge({}, PRESETS[preset])
    if file is not None:
        merged = _merge(merged, _current(_read_toml(file)))
    given = _nested(flags)
    made = config_from_dict(_resolved(_merge(merged, given)))
    before = config_from_dict(PRESETS[preset])
    refuse_unused(made, before, _names(given), settings())
    refuse_without_program(made, before, settings())
    return made


def with_settings(config: RunConfig, flags: Mapping[str, Any]) -> RunConfig:
    """`config` with `flags`, named as in `load_config`, in place of its own. Raises ConfigError as that."""
    return config_from_dict(_merge(_current(config_to_dict(config)), _resolved(_nested(flags))))


def _resolved(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values with what some of them stand for: a function that scores, a file of instructions."""
    found = dict(values)
    evaluator, instructions = found.get("evaluator"), found.get("instructions")
    if callable(evaluator) or (isinstance(evaluator, str) and ":" in evaluator):
        found |= evaluator_settings(evaluator)
    if isinstance(instructions, str):
        found["instructions"] = read_instructions(instructions)
    return found


def config_from_dict(data: Mapping[str, Any]) -> RunConfig:
    """Build and validate a RunConfig from plain data.

    Raises:
        ConfigError: an unknown key, or a value of a wrong type or out of range.
    """
    values = _current(data)
    fields = fields_of(Recipe, "training.")
    trained = typed(fields, values.pop("training", {}), "training.", RENAMED, settings())
    recipe = Recipe(**{"lr": LEARNING_RATES.get(trained.get("optimizer", "seed"), Recipe().lr), **trained})
    island = _islands(values.pop("island", ()))
    if island:
        values.setdefault("islands", len(island))
    own = typed(fields_of(RunConfig), values, "", RENAMED, settings())
    if "checks" in own:
        named = (CHECKS if name == "built-in" else (name,) for name in own["checks"])
        own["checks"] = tuple(dict.fromkeys(name for several in named for name in several))
    config = RunConfig(**own, recipe=recipe, island=island)
    for sentence in _broken(config):
        raise ConfigError(f"A setting is out of range: {sentence}.", _defaults_of(sentence))
    return config


def config_from_ledger(data: Mapping[str, Any]) -> RunConfig:
    """As `config_from_dict`, of what any version of the engine has stored."""
    values = {RENAMED.get(name, name): value for name, value in _current(data).items()}
    training = values.get("training", {})
    values["training"] = {
        RENAMED.get(f"training.{key}", key).removeprefix("training."): training[key] for key in training
    }
    return config_from_dict(values)


def config_to_dict(config: RunConfig) -> dict[str, Any]:
    """Plain data for JSON; `config_from_dict` gives the same configuration back, but for the passwords and
    keys in addresses of servers: they are not stored."""
    data = dataclasses.asdict(config)
    for part in (data, *data["island"]):
        part["llm"] = tuple(map(shown, part["llm"]))
    data["llm_extra"] = tuple(map(shown, data["llm_extra"]))
    return data


def flat_settings(config: RunConfig) -> dict[str, Any]:
    """As `config_to_dict`, with the training settings by full name: "training.epochs"."""
    values = config_to_dict(config)
    recipe = values.pop("recipe")
    return {**values, **{f"training.{key}": value for key, value in recipe.items()}}


def _islands(tables: Any) -> tuple[Island, ...]:
    if not isinstance(tables, (list, tuple)) or not all(isinstance(one, Mapping) for one in tables):
        raise ConfigError(
            f"The setting 'island' wants tables and got {tables!r}.", "Write [[island]] for each in the TOML."
        )
    fields = fields_of(Island, "island.")
    return tuple(Island(**typed(fields, one, "island.", RENAMED, settings())) for one in tables)


def _read_toml(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text("utf-8"))
    except OSError as error:
        raise ConfigError(f"The configuration {file} cannot be read: {error.strerror}.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"The configuration {file} is not valid TOML: {error}.") from error


def _nested(flags: Mapping[str, Any]) -> dict[str, Any]:
    """What was given by its current names, "training.epochs" within a mapping "training"."""
    nested: dict[str, Any] = {}
    for name, value in flags.items():
        if value is not None:
            table, _, key = name.rpartition(".")
            nested = _merge(nested, {table: {key: value}} if table else {key: value})
    return _current(nested)


def _current(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values by their current names. Of a setting given by both names the later wins; tables merge."""
    named: dict[str, Any] = {}
    for name, value in values.items():
        named = _merge(named, {ALIASES.get(name, name): value})
    return named


def _names(nested: Mapping[str, Any]) -> Iterator[str]:
    """Full names of nested settings."""
    for name, value in nested.items():
        yield from (f"{name}.{key}" for key in value) if isinstance(value, Mapping) else (name,)


def _merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in over.items():
        both = isinstance(value, Mapping) and isinstance(merged.get(key), Mapping)
        merged[key] = _merge(merged[key], value) if both else value
    return merged


def _broken(config: RunConfig) -> Iterator[str]:
    """A sentence for each range and rule that does not hold."""
    for name, one in settings().items():
        value = getattr(config.recipe if name.startswith("training.") else config, one.key)
        if one.about.range and not one.about.range.holds(value):
            yield f"{name} {one.about.range.text}"
    yield from (sentence for holds, sentence in RULES if not holds(config))


def _defaults_of(sentence: str) -> str:
    """The defaults of the settings that a sentence names, as the next step."""
    names = dict.fromkeys(word.strip(",:") for word in sentence.split())
    told = [f"{name} = {one.default!r}" for name in names if (one := settings().get(name))]
    return f"The default is {', '.join(told)}. `ge evolve --help-all` lists the settings."
