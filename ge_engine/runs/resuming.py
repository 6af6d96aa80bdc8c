"""Going on with a run by what its folder holds; what would start or reach something has to be given again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ge_engine.config import RunConfig, resolved, with_settings
from ge_engine.errors import ConfigError
from ge_engine.genome import Seed
from ge_engine.ledger.foreign import confirmed
from ge_engine.ledger.history import History
from ge_engine.places import split_place
from ge_engine.registry import Registry
from ge_engine.search.rescoring import OwnSettings, settings_with_own


def resumed_run(folder: Path, given: Mapping[str, Any], registry: Registry) -> tuple[Seed, RunConfig]:
    """The seed model and the settings of a run, `given` in place of its own.

    Raises:
        LedgerError: there is no run.
        ConfigError: a setting that is wrong; or an evaluator, an address, a folder or the name of a secret
            that is only in the run's folder, which may be somebody else's.
    """
    with History(folder) as history:
        seed, stored = confirmed(history.seed), history.config
    given, default = resolved(given), OwnSettings()
    own = OwnSettings(
        given.get("evaluator", default.evaluator), given.get("evaluator_argument", default.evaluator_argument)
    )
    missing = list(_not_given(stored, given))
    config = settings_with_own(folder, stored, own, registry)
    if missing:
        raise ConfigError(
            f"The run {folder} asks {stored.llm[0]!r}, which a run's folder cannot decide alone.",
            f"Give again what the run had: {' '.join(missing)}.",
        )
    return seed, with_settings(config, given)


def _not_given(stored: RunConfig, given: Mapping[str, Any]) -> Iterator[str]:
    """Flags of what would reach an address, read a folder or send a secret, and was not given."""
    asked = (*stored.llm, *(spec for island in stored.island for spec in island.llm))
    reaching = [spec for spec in asked if _reaches(spec)]
    if reaching and "llm" not in given:
        yield from (f"--llm {spec}" for spec in dict.fromkeys(reaching))
    if "llm_key_env" not in given:
        yield from (f"--llm-key-env {name}" for name in stored.llm_key_env)
    if "llm_extra" not in given:
        yield from (f"--llm-extra '{text}'" for text in stored.llm_extra)


def _reaches(spec: str) -> bool:
    """Whether a language model is more than a name: a path, an address or a folder."""
    name, address = split_place(spec)
    kind, _, argument = name.partition(":")
    return bool(address) or (kind != "openai" and bool(argument) and not argument.replace(".", "").isdigit())
