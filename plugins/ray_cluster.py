"""Agents on a Ray cluster, which places them, and keeps those that find no room until there is some."""

from __future__ import annotations

import json
import os
import queue
import socket
import subprocess
import sys
import threading
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ge_engine.contracts import AgentExecutor, AgentOrder, AgentPool, Executor, PoolState
from ge_engine.errors import ConfigError, GeError
from ge_engine.hookspecs import hookimpl
from ge_plugins import ray_guard

FORM = "For example: --executor ray:auto,agents=4,cpus=8, or ray:HOST:6379,agents=2,cpus=4,gpus=1."
LISTEN_SECONDS, CONNECT_SECONDS, ANSWER_SECONDS, CLOSE_SECONDS = 10.0, 120.0, 10.0, 15.0
LEAST = {"agents": 1, "cpus": 1, "gpus": 0}


@dataclass(frozen=True, slots=True)
class Asked:
    """`agents` agents with `cpus` of Ray's CPUs each, by default as many as one training takes, and `gpus`
    GPUs, by default the same where the cluster has any. `host` is how they reach the engine's machine."""

    address: str = "auto"
    agents: int = 1
    cpus: int | None = None
    gpus: int | None = None
    host: str = ""


def read(argument: str) -> Asked:
    """`[ADDRESS][,agents=N][,cpus=C][,gpus=G][,host=H]`. Raises ConfigError."""
    first, *rest = argument.split(",")
    address, options = (first, rest) if "=" not in first else ("", [first, *rest])
    values: dict[str, Any] = {"address": address or "auto"}
    for option in options:
        name, _, value = option.partition("=")
        if name not in (*LEAST, "host") or name in values or not value:
            raise ConfigError(f"The executor ray does not know what {option!r} means.", FORM)
        values[name] = value if name == "host" else _number(name, value)
    return Asked(**values)


def _number(name: str, value: str) -> int:
    if not value.isdecimal() or int(value) < LEAST[name]:
        raise ConfigError(
            f"The executor ray wants a whole number from {LEAST[name]} for {name}, not {value!r}.", FORM
        )
    return int(value)


def way_to(address: str) -> str:
    """The address of this machine in the network that `address` ("HOST:PORT", "auto", ...) is in; "" where
    that is not known. Nothing is sent."""
    host = address.rpartition("//")[2].rpartition(":")[0]
    found = ""
    for target in filter(None, (host, "8.8.8.8")):  # the second, as Ray itself finds a node's address
        with suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.connect((target, 9))
            found = str(probe.getsockname()[0])
            if not found.startswith("127."):
                return found
    return found


def require_listening(address: str) -> None:
    """Raises ConfigError at once where nothing listens at "HOST:PORT": Ray itself tries for a minute."""
    host, _, port = address.rpartition("//")[2].rpartition(":")
    if port.isdecimal():
        try:
            socket.create_connection((host, int(port)), LISTEN_SECONDS).close()
        except (OSError, OverflowError) as error:
            raise unusable(address, str(error)) from error


def unusable(address: str, reason: str) -> ConfigError:
    where = "running here" if address == "auto" else f"at {address}"
    return ConfigError(
        f"No Ray cluster {where} can be used: {reason}.",
        "Start one with `ray start --head`, or name one that this machine is a node of: --executor "
        "ray:HOST:6379.",
    )


class Ray(AgentExecutor):
    """Machines of a Ray cluster. Without an address: the one that RAY_ADDRESS names or this machine is in."""

    name = "ray"

    def check(self, argument: str) -> None:
        read(argument)
        if find_spec("ray") is None:
            raise ConfigError("The executor ray needs the package ray.", "pip install 'ge-engine[ray]'")

    def host(self, argument: str) -> str:
        asked = read(argument)
        named = os.environ.get("RAY_ADDRESS", "") if asked.address == "auto" else asked.address
        return asked.host or way_to(named)

    def open(self, argument: str, order: AgentOrder) -> AgentPool:
        asked = read(argument)
        if asked.cpus is not None and asked.cpus < order.cores:
            raise ConfigError(
                f"Each agent is to get {asked.cpus} CPUs, and one training takes {order.cores}.",
                f"Take cpus={order.cores} or more, or fewer --threads.",
            )
        require_listening(asked.address)
        return RayPool(asked, order, self.host(argument) or socket.gethostname())


class RayPool(AgentPool):
    """Agents by way of a process that is connected to Ray; see `ge_plugins.ray_driver`."""

    def __init__(self, asked: Asked, order: AgentOrder, host: str) -> None:
        self._log = order.folder / "ray.log"
        self._file = Path(order.command[-1])
        self._address, self._host = asked.address, host
        self._state = PoolState(0, 0)
        self._answered = True
        self._answers: queue.SimpleQueue[str] = queue.SimpleQueue()
        with open(self._log, "wb") as log:
            self._driver = subprocess.Popen(
                [sys.executable, "-P", "-m", "ge_plugins.ray_driver"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                start_new_session=True,
            )
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()
        self._say(_told(asked, order))
        try:
            self._require_connected()
        except BaseException:
            self.close()
            raise

    def keep(self, avoid: Sequence[str]) -> PoolState:
        if self._answered:
            self._say({"address": self._file.read_text("utf-8"), "avoid": list(avoid)})
        answer = self._heard(ANSWER_SECONDS)
        self._answered = answer is not None
        if answer is None:
            return replace(self._state, said="Ray does not answer")
        if "error" in answer:
            raise GeError(answer["error"], "Fix that, and go on with ge resume.")
        reached = f"; they reach this machine as {self._host}, or as host= says"
        self._state = PoolState(**{**answer, "said": answer["said"] + reached})
        return self._state

    def close(self) -> None:
        with suppress(OSError):
            self._driver.stdin.close()  # type: ignore[union-attr]
        try:
            self._driver.wait(CLOSE_SECONDS)
        except subprocess.TimeoutExpired:
            self._driver.kill()
            self._driver.wait()
        self._listener.join()

    def _require_connected(self) -> None:
        answer = self._heard(CONNECT_SECONDS)
        if answer is None:
            answer = {"error": f"it did not answer for {CONNECT_SECONDS:.0f} s"}
        if "error" in answer:
            raise unusable(self._address, answer["error"])

    def _say(self, message: object) -> None:
        with suppress(OSError):  # that it is gone is heard
            assert self._driver.stdin is not None
            self._driver.stdin.write(json.dumps(message) + "\n")
            self._driver.stdin.flush()

    def _heard(self, seconds: float) -> Mapping[str, Any] | None:
        """The next answer; None where there is none yet."""
        try:
            line = self._answers.get(timeout=seconds)
        except queue.Empty:
            return None
        if line:
            answer: Mapping[str, Any] = json.loads(line)
            return answer
        lines = self._log.read_text("utf-8", "replace").strip().splitlines()
        return {
            "error": f"The connection to Ray was lost: {lines[-1] if lines else 'its process was killed'}"
        }

    def _listen(self) -> None:
        assert self._driver.stdout is not None
        with self._driver.stdout as answers:
            for line in answers:
                self._answers.put(line)
        self._answers.put("")


def _told(asked: Asked, order: AgentOrder) -> dict[str, Any]:
    """What the driver needs in the beginning. Nodes and the engine may share no file."""
    return {
        **asdict(asked),
        "cpus": asked.cpus or order.cores,
        "cores_each": order.cores,
        "gpus_each": order.gpus,
        "command": order.command[1:-1],
        "guard": Path(ray_guard.__file__).read_text("utf-8"),
    }


@hookimpl
def ge_executors() -> Iterable[Executor]:
    """Machines of a Ray cluster."""
    yield Ray()
