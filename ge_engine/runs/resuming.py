"""Going on with a run by what its folder holds; what would start or reach something has to be given again."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ge_engine.config import RunConfig, settings, with_settings
from ge_engine.errors import ConfigError
from ge_engine.genome import Seed
from ge_engine.ledger.foreign import to_run
from ge_engine.ledger.history import History
from ge_engine.places import split_place
from ge_engine.registry import Registry
from ge_engine.search.rescoring import OwnSettings, settings_with_own

OF_SERVERS = ("llm_key_env", "llm_extra")
OF_PROGRAMS = ("project", "workdir", "pass_env")


def resumed_run(folder: Path, given: Mapping[str, Any], registry: Registry) -> tuple[Seed, RunConfig]:
    """The seed model and the settings of a run, `given` in place of its own.

    Raises:
        LedgerError: there is no run.
        ConfigError: a setting that is wrong; or an evaluator, an executor, an address, a folder or the name
            of a secret that is only in the run's folder, which may be somebody else's.
    """
    with History(folder) as history:
        seed, stored = to_run(history.seed), history.config
    evaluator, argument = given.get("evaluator", OwnSettings().evaluator), given.get("evaluator_argument", "")
    own = OwnSettings.of(evaluator, argument, "auto", None, given.get("project", stored.project))
    config = _with_own_models(settings_with_own(folder, stored, own, registry), given)
    if missing := list(_not_given(stored, given)):
        raise ConfigError(
            f"What the run {folder} names beyond itself is neither started nor reached unless you say so.",
            f"Give again what it had, if you know it: {' '.join(missing)}.",
        )
    return seed, with_settings(config, given)


def _with_own_models(config: RunConfig, given: Mapping[str, Any]) -> RunConfig:
    """Where language models are given, none of the run's are asked, on no island, and nothing is sent that
    was meant for them."""
    if "llm" not in given:
        return config
    return replace(
        config, llm_key_env=(), llm_extra=(), island=tuple(replace(one, llm=()) for one in config.island)
    )


def _not_given(stored: RunConfig, given: Mapping[str, Any]) -> Iterator[str]:
    """Flags of what would reach an address, read a folder or send a secret, and was not given."""
    if "llm" not in given:
        asked = (*stored.llm, *(spec for island in stored.island for spec in island.llm))
        yield from (f"--llm {shlex.quote(spec)}" for spec in dict.fromkeys(filter(_reaches, asked)))
        yield from _flags(OF_SERVERS, stored, given)
    yield from _flags(("executor", "executor_llm"), stored, given)
    if stored.evaluator_argument:
        yield from _flags(OF_PROGRAMS, stored, given)


def _flags(names: tuple[str, ...], stored: RunConfig, given: Mapping[str, Any]) -> Iterator[str]:
    """The flags of settings that are not at their defaults and were not given."""
    for name in names:
        one, value = settings()[name], getattr(stored, name)
        if value != one.default and name not in given:
            values = value if isinstance(value, tuple) else (value,)
            yield from (f"{one.flag} {shlex.quote(each)}" for each in values)


def _reaches(spec: str) -> bool:
    """Whether a language model is more than a name: a path, an address or a folder."""
    name, address = split_place(spec)
    kind, _, argument = name.partition(":")
    return bool(address) or (kind != "openai" and bool(argument) and not argument.replace(".", "").isdigit())
