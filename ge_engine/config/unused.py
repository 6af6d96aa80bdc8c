"""Settings of the built-in trainer, which do nothing where a program or a function scores the candidates."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ge_engine.config.recipe import Recipe
from ge_engine.config.run_config import RunConfig
from ge_engine.config.setting import Field, fields_of
from ge_engine.errors import ConfigError

EPOCHS = "training.epochs"
SCORERS: Mapping[str, str] = {"command": "program", "function": "function"}
"""What scores a run by the name of its evaluator, where that is the user's own."""
OF_TRAINER = (
    *("task", "skip_broken", "entry", "threads", "processes_per_candidate", "gpus_per_candidate"),
    *("start_method", "keep_weights", "executor", "inherit", "screen"),
)

OF_PROGRAM = ("project", "metrics", "metrics_file")


def unused_settings(config: RunConfig) -> frozenset[str]:
    """Full names of the settings that do nothing in a run of this `config`. A function is told the epochs,
    and a program where its command says {epochs}."""
    if config.evaluator not in SCORERS:
        return frozenset()
    names = {*fields_of(Recipe, "training."), *OF_TRAINER}
    if config.evaluator == "function":
        return frozenset(names - {EPOCHS, "start_method"})
    return frozenset(names - {EPOCHS} if "{epochs}" in config.evaluator_argument else names)


def refuse_without_program(config: RunConfig, before: RunConfig, known: Mapping[str, Field]) -> None:
    """Raises ConfigError that names what was set and is for a program, where none scores the candidates."""
    found = [known[name] for name in OF_PROGRAM if getattr(config, name) != getattr(before, name)]
    if found and config.evaluator != "command":
        raise ConfigError(
            f"{', '.join(one.flag for one in found)} {'is' if len(found) == 1 else 'are'} for a program that "
            "scores the candidates, and none does.",
            'Give it: --command "python train.py".',
        )


def refuse_unused(
    config: RunConfig, before: RunConfig, given: Iterable[str], known: Mapping[str, Field]
) -> None:
    """Raises ConfigError that names what was set and does nothing: settings that are `given` by name, or are
    not what they were `before` flags and file."""
    unused, named = unused_settings(config), frozenset(given)
    found = [
        one.flag if one.about.flag else name
        for name, one in known.items()
        if name in unused and (name in named or _value(config, one) != _value(before, one))
    ]
    if not found:
        return
    scorer = SCORERS[config.evaluator]
    epochs = " or write {epochs} in the command, where it takes them" if "--epochs" in found else ""
    raise ConfigError(
        f"{', '.join(found)} {'does' if len(found) == 1 else 'do'} nothing where a {scorer} of yours scores "
        "the candidates.",
        f"Leave {'it' if len(found) == 1 else 'them'} out, and tell your {scorer} itself{epochs}.",
    )


def _value(config: RunConfig, one: Field) -> object:
    return getattr(config.recipe if one.name.startswith("training.") else config, one.key)
