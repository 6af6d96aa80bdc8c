"""What a run database says of its run as a whole: settings, objectives, and how figures are written."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from ge_engine.config import RunConfig, config_from_ledger
from ge_engine.errors import LedgerError
from ge_engine.ledger.checked import checked, reading
from ge_engine.ledger.foreign import HINT
from ge_engine.ledger.reader import Reader
from ge_engine.ledger.records import from_json
from ge_engine.notation import BEFORE, PLAIN, Notation
from ge_engine.population import Direction
from ge_engine.tolerances import Tolerances, parse_tolerances


@lru_cache(maxsize=8)
def _config_of(text: str) -> RunConfig:
    """The settings that a run database holds as `text`: asked for with almost every other question."""
    return config_from_ledger(from_json(text))


class RunFacts(Reader):
    """What holds for all of a run. Raises LedgerError where the run database is damaged."""

    def _has_meta(self, key: str) -> bool:
        """Whether the run's version knew of it."""
        return self._one("SELECT 1 FROM meta WHERE key = :key", key=key) is not None

    def _meta(self, key: str) -> Any:
        return from_json(self._meta_text(key))

    def _meta_text(self, key: str) -> str:
        row = self._one("SELECT value FROM meta WHERE key = :key", key=key)
        if row is None or not isinstance(row["value"], str):
            raise LedgerError(f"The run database {self.path} holds no {key}.", HINT)
        return row["value"]

    @property
    def config(self) -> RunConfig:
        """The settings of the latest start of the run."""
        with reading("configuration"):
            return _config_of(self._meta_text("config"))

    @property
    def directions(self) -> dict[str, Direction]:
        """The run's objectives, "min" or "max", in their order."""
        with reading("direction of an objective"):
            stored = self._meta("directions")
            directions: dict[str, Direction] = {name: stored[name] for name in self.config.objective_names}
            if not set(directions.values()) <= {"min", "max"}:
                raise ValueError(directions)
        return directions

    @property
    def notations(self) -> dict[str, Notation]:
        """How figures of each of the run's objectives are written."""
        with reading("notation of an objective"):
            if not self._has_meta("notations"):
                return {name: BEFORE.get(name, PLAIN) for name in self.directions}
            stored = self._meta("notations")
            found = {name: Notation(**stored[name]) for name in self.directions}
        return {name: checked(one, f"notation of {name!r}") for name, one in found.items()}

    @property
    def chance(self) -> dict[str, float]:
        """What guesses reach, by objective, as far as that is known."""
        if not self._has_meta("chance"):
            return {}
        with reading("level of chance"):
            stored = self._meta("chance")
            return {name: float(stored[name]) for name in self.directions if name in stored}

    @property
    def figure_notations(self) -> dict[str, Notation]:
        """How figures besides the objectives are written, as far as that is known."""
        with reading("notation of a figure"):
            row = self._one("SELECT value FROM meta WHERE key = 'notations'")
            stored = from_json(row["value"]) if row else {}
            found = {name: Notation(**how) for name, how in stored.items() if name not in self.directions}
        return {name: checked(one, f"notation of {name!r}") for name, one in found.items()}

    @property
    def tolerances(self) -> Tolerances:
        """The differences that do not count, by objective."""
        return parse_tolerances(self.config.tolerance, self.directions)

    @property
    def prompt_tokens(self) -> tuple[int, ...]:
        """The room of a prompt on each island; () of a run whose version told prompts nothing of the run."""
        if not self._has_meta("prompt_tokens"):
            return ()
        with reading("room of prompts"):
            return tuple(map(int, self._meta("prompt_tokens")))

    @property
    def stopped_because(self) -> str:
        """Why the latest session ended; "" while it runs or when it was killed."""
        row = self._one("SELECT value FROM meta WHERE key = 'stopped_because'")
        return str(row["value"]) if row else ""
