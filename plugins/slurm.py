"""Agents as SLURM jobs: an allocation of one or more, which the run fills."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ge_engine.contracts import AgentExecutor, AgentOrder, AgentPool, Executor
from ge_engine.errors import ConfigError
from ge_engine.hookspecs import hookimpl
from ge_plugins.slurm_pool import Agents, SlurmPool
from ge_plugins.slurm_programs import PROGRAMS, Slurm

FLAGS: Mapping[str, str] = {
    "partition": "--partition",
    "account": "--account",
    "qos": "--qos",
    "reservation": "--reservation",
    "constraint": "--constraint",
    "exclude": "--exclude",
    "gres": "--gres",
    "cpus": "--cpus-per-task",
    "mem": "--mem",
    "time": "--time",
}
"""Options that sbatch gets as they are."""
OPTIONS = ("agents", "host", *FLAGS)
NUMBERS = ("agents", "cpus")
TO_END = 60.0
"""Seconds that an agent has to end in, after its last training has taken all its time."""
SPARE = 60.0
"""Seconds by which SLURM may give a signal early, for it looks at times once a minute."""
LONGEST_WARNING = 65535
_TIME = re.compile(r"(?:(?P<days>\d+)-)?(?P<fields>\d+(?::\d+){0,2})")


@dataclass(frozen=True, slots=True)
class SlurmOptions:
    """What the argument says: how many agents, how they reach the engine, and what sbatch gets."""

    agents: int
    host: str
    asked: Mapping[str, str]

    @property
    def seconds(self) -> float:
        """The time limit of an agent; 0 where none is given, or none holds."""
        return _seconds(self.asked["time"]) if "time" in self.asked else 0.0


def options_of(argument: str) -> SlurmOptions:
    """Read `name=value,name=value`; a part without a name belongs to the value before it.

    Raises:
        ConfigError: an option that there is not, or a value that it cannot have.
    """
    given: dict[str, str] = {}
    last = ""
    for part in argument.split(",") if argument else ():
        name, equals, value = part.partition("=")
        if equals or not last:
            _require(name, value, given)
            given[name], last = value, name
        else:
            given[last] += f",{part}"
    for name in NUMBERS:
        _require_number(name, given.get(name, "1"))
    if "time" in given:
        _seconds(given["time"])
    agents, host = int(given.pop("agents", "1")), given.pop("host", "")
    return SlurmOptions(agents, host, given)


def _require(name: str, value: str, given: Mapping[str, str]) -> None:
    if name not in OPTIONS:
        raise ConfigError(f"The executor slurm has no option {name!r}.", f"It has {', '.join(OPTIONS)}.")
    if name in given:
        raise ConfigError(f"The executor slurm got {name} twice.", "Give it once.")
    if not value:
        raise ConfigError(
            f"The option {name} of the executor slurm needs a value.", f"Give it as {name}=VALUE."
        )


def _require_number(name: str, value: str) -> None:
    if not re.fullmatch(r"[0-9]+", value) or int(value) < 1:
        raise ConfigError(
            f"The option {name} of the executor slurm is a whole number from 1, and not {value!r}.",
            f"Give it as {name}=2.",
        )


def _seconds(time: str) -> float:
    """A time as sbatch takes it, in seconds; 0 for no limit. Raises ConfigError."""
    if time.upper() in ("UNLIMITED", "INFINITE"):
        return 0.0
    found = _TIME.fullmatch(time)
    if not found:
        raise ConfigError(
            f"The option time of the executor slurm cannot be {time!r}.",
            "Give minutes, hours:minutes:seconds or days-hours, such as time=90 or time=12:00:00.",
        )
    fields = [float(field) for field in found["fields"].split(":")]
    if found["days"] is not None:
        hours, minutes, seconds = (*fields, 0.0, 0.0)[:3]
    elif len(fields) < 3:
        hours, minutes, seconds = 0.0, *(*fields, 0.0)[:2]
    else:
        hours, minutes, seconds = fields
    return float(found["days"] or 0) * 86400 + hours * 3600 + minutes * 60 + seconds


class SlurmExecutor(AgentExecutor):
    """Agents as batch jobs, which serve trainings until the run needs them no more."""

    name = "slurm"

    def check(self, argument: str) -> None:
        options_of(argument)
        if missing := [program for program in PROGRAMS if not shutil.which(program)]:
            raise ConfigError(
                f"The executor slurm needs {', '.join(missing)}, which this machine does not have.",
                "Start the run on a login node of the cluster, or leave --executor out to train here.",
            )

    def host(self, argument: str) -> str:
        return options_of(argument).host

    def open(self, argument: str, order: AgentOrder) -> AgentPool:
        options = options_of(argument)
        asked = {"cpus": str(order.cores), **_gpus(order), **options.asked}
        flags = [f"{FLAGS[name]}={value}" for name, value in asked.items() if name != "exclude"]
        if options.seconds:
            flags.append(f"--signal=B:USR1@{_warning(options.seconds, order.seconds)}")
        agents = Agents(options.agents, tuple(flags), options.asked.get("exclude", ""))
        return SlurmPool(agents, order, Slurm())


def _gpus(order: AgentOrder) -> Mapping[str, str]:
    """Several GPUs to a training are asked for; whether one is at all, only `gres` says."""
    return {"gres": f"gpu:{order.gpus}"} if order.gpus > 1 else {}


def _warning(limit: float, training: float) -> int:
    """How many seconds before its limit an agent takes no more trainings. Raises ConfigError."""
    needed = training + TO_END
    if limit < needed + SPARE:
        raise ConfigError(
            f"An agent of {limit:g} seconds has no time for a training, which may take {training:g}.",
            f"Give time={int(3 * (needed + SPARE) // 60)} or more, or trainings a shorter --timeout.",
        )
    return min(int(needed), LONGEST_WARNING)


@hookimpl
def ge_executors() -> Iterable[Executor]:
    """Jobs of a cluster."""
    yield SlurmExecutor()
