"""Plain data <-> the run database's strict JSON. Every number is finite; what is not becomes null."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, SupportsFloat

from ge_engine.contracts import Probe, Prompt, Reply, Sampling
from ge_engine.errors import LedgerError
from ge_engine.ledger.checked import HINT, checked, reading
from ge_engine.outcome import Failed, Outcome, Rejected, Scored
from ge_engine.population import Step
from ge_engine.profile import modules_of, rows_of

LARGEST = int(sys.float_info.max)
STEP_FIELDS = tuple(one.name for one in fields(Step))
PROBE_DEFAULTS = {one.name: getattr(Probe(), one.name) for one in fields(Probe)}


@dataclass(frozen=True, slots=True)
class Call:
    """One exchange with a language model. `key` is "<individual>/<call>".

    `digest` is the genome that the prompt worked on, `grammar` the form that was asked for in the end,
    `canonical` the answer in the form of `Target.tried` ("" for free text). `at` is Unix time, seconds.
    """

    key: str
    individual: str
    generation: int
    prompt: Prompt
    sampling: Sampling
    reply: Reply
    digest: str
    grammar: str
    canonical: str
    at: float = 0.0


def to_json(value: Any) -> str:
    """Compact, with sorted keys. Raises ValueError on NaN or infinity."""
    return json.dumps(value, allow_nan=False, sort_keys=True, separators=(",", ":"))


def from_json(text: str) -> Any:
    """Raises LedgerError when `text` is no strict JSON."""
    try:
        return json.loads(text, parse_constant=_refuse)
    except (ValueError, TypeError, RecursionError) as error:
        raise LedgerError(
            f"The run database holds damaged JSON: {error}.", "See `ge log --check`."
        ) from error


def finite(value: Any) -> Any:
    """`value` as JSON-able data, each number that is not finite or too large for a float replaced by None."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, int) and abs(value) > LARGEST:
        return None
    if isinstance(value, Mapping):
        return {str(key): finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        ordered = sorted(value) if isinstance(value, (set, frozenset)) else value
        return [finite(item) for item in ordered]
    return value if value is None or isinstance(value, (str, int, bool)) else str(value)


def as_number(value: object) -> float | None:
    """A figure as a float, infinite where it is too large for one; None for what is no number."""
    if isinstance(value, (bool, str, bytes)) or not isinstance(value, SupportsFloat):
        return None
    try:
        return float(value)
    except OverflowError:
        return math.inf
    except (TypeError, ValueError):
        return None


def outcome_to_json(outcome: Outcome) -> str:
    if isinstance(outcome, Scored):
        data = {"scored": dict(outcome.objectives), "details": finite(outcome.details)}
        data |= {"errors": dict(outcome.errors)} if outcome.errors else {}
    else:
        data = {type(outcome).__name__.lower(): asdict(outcome)}
    return to_json(data)


def outcome_from_json(text: str) -> Outcome:
    with reading("outcome"):
        data = from_json(text)
        if "scored" in data:
            return checked(Scored(data["scored"], data["details"], data.get("errors", {})), "outcome")
        return checked(
            Failed(**data["failed"]) if "failed" in data else Rejected(**data["rejected"]), "outcome"
        )


def require_objectives(identity: str, scored: Scored, names: tuple[str, ...]) -> None:
    """Raises LedgerError where an individual's score lacks one of the run's objectives."""
    for name in names:
        if name not in scored.objectives:
            raise LedgerError(
                f"The run database holds a damaged individual {identity!r}: its objective {name} is None.",
                HINT,
            )


def steps_to_json(steps: tuple[Step, ...]) -> str:
    return to_json([{name: getattr(step, name) for name in STEP_FIELDS} for step in steps])


def steps_from_json(text: str) -> tuple[Step, ...]:
    with reading("step"):
        return tuple(checked(Step(**step), "step") for step in from_json(text))


def probe_to_json(probe: Probe) -> str:
    """Fields at their default are left out: most are empty for a candidate that runs."""
    pairs = (
        (name, getattr(probe, name), default) for name, default in PROBE_DEFAULTS.items() if name != "modules"
    )
    values = {name: finite(value) for name, value, default in pairs if value != default}
    if probe.modules:
        values["modules"] = rows_of(probe.modules)
    return to_json(values)


def probe_from_json(text: str) -> Probe:
    with reading("probe"):
        data = from_json(text)
        for name in ("without_gradient", "executed"):
            data[name] = frozenset(data.get(name, ()))
        for name in ("output_shape", "unregistered"):
            data[name] = tuple(data.get(name, ()))
        data["modules"] = modules_of(data.get("modules", ()))
        data["facts"] = {name: value for name, value in data.get("facts", {}).items() if value is not None}
        return checked(Probe(**data), "probe")


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is not a number")
