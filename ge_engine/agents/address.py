"""Where an engine listens for its agents, in a file that only the user can read."""

from __future__ import annotations

import json
import socket
from dataclasses import asdict, dataclass
from pathlib import Path

from ge_engine.agents.wire import NO_MESSAGE
from ge_engine.atomic_file import write_whole
from ge_engine.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Address:
    """`token` (hex) is known to the engine and its agents alone."""

    host: str
    port: int
    token: str


def listening_on(host: str) -> socket.socket:
    """A socket at a free port: for this machine alone where `host` says so, else for all, over IPv4 and IPv6
    at the same port. Raises OSError."""
    if host in ("127.0.0.1", "localhost"):
        return socket.create_server(("127.0.0.1", 0))
    if socket.has_dualstack_ipv6():
        return socket.create_server(("", 0), family=socket.AF_INET6, dualstack_ipv6=True)
    return socket.create_server(("", 0))


def write_address(path: Path, address: Address) -> None:
    """Agents that lost an earlier engine of this run find the new one here. Raises ConfigError."""
    write_whole(path, json.dumps(asdict(address)).encode(), "", mode=0o600)


def read_address(path: Path) -> Address:
    """Raises ConfigError: there is no such file, or it holds something else."""
    try:
        held = json.loads(path.read_text("utf-8"))
        return Address(str(held["host"]), int(held["port"]), bytes.fromhex(held["token"]).hex())
    except (OSError, *NO_MESSAGE) as error:
        raise ConfigError(
            f"{path} does not say where an engine listens.",
            "Give an agent the file agents.json in the folder scratch of a run that goes on, or that in "
            "scratch/llm to one that decodes.",
        ) from error
