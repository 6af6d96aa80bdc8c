"""A process of its own that talks to Ray for an engine: `python -m ge_plugins.ray_driver`.

Ray takes over a process that connects: its handlers of signals, its exit, and it ends it when the cluster is
gone. The engine keeps its own. It writes orders to this one's standard input and reads an answer to each,
lines of JSON; when the input ends, so do the agents. Agents are Ray actors that are not detached, so that
they also end where this process is killed.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import ray
from ray.exceptions import RayError
from ray.util.scheduling_strategies import NodeLabelSchedulingStrategy, NotIn

LINGER = 120
"""Seconds that an agent without its engine waits to reach it again."""
CLOSE_SECONDS = 5.0


class Keeper:
    """Runs on a node: starts an agent as a process of its own, and ends with it.

    It is sent as it is, and imports what every Python has.
    """

    def host(self) -> str:
        return socket.gethostname()

    def serve(self, guard: str, order: str) -> tuple[int, str]:
        """How the agent ended: its exit status and its last line."""
        with subprocess.Popen(
            [sys.executable, "-I", "-c", guard],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        ) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(f"{order}\n".encode())
            process.stdin.flush()
            told = process.stdout.read()
        status, words = json.loads(told or '[-9, "what watches it was killed"]')
        return status, words


@dataclass
class Agent:
    """An actor that waits to be placed, or is placed on `host`."""

    actor: Any
    placed: Any
    ended: Any
    host: str = ""


class Agents:
    """The agents of one session. `asked` is what the engine's side says; see `ge_plugins.ray_cluster`."""

    def __init__(self, asked: Mapping[str, Any]) -> None:
        ray.init(address=asked["address"], log_to_driver=False)
        self._asked = asked
        gpus = asked["gpus"]
        if gpus is None:
            gpus = asked["gpus_each"] if ray.cluster_resources().get("GPU") else 0
        self._resources = {"CPU": asked["cpus"], **({"GPU": gpus} if gpus else {})}
        by_gpus = gpus // max(1, asked["gpus_each"])
        self._workers = max(1, by_gpus if gpus else asked["cpus"] // asked["cores_each"])
        self._agents: list[Agent] = []
        self._started = 0
        self._last = ""

    def keep(self, address: str, avoid: Sequence[str]) -> dict[str, Any]:
        """Start what is missing; `address` is the text of the file that an agent gets. The answer: a
        PoolState's fields, or `error`."""
        self._agents = [one for one in self._agents if not self._has_ended(one)]
        nodes = [node for node in ray.nodes() if node["Alive"] and self._fits(node["Resources"])]
        missing = self._asked["agents"] - len(self._agents)
        if nodes and not self._agents and all(one["NodeManagerHostname"] in avoid for one in nodes):
            named = ", ".join(sorted({one["NodeManagerHostname"] for one in nodes}))
            return {"error": f"No node of the Ray cluster is left for this run, {named} neither{self._why()}"}
        self._agents += [self._start(address, nodes, avoid) for _ in range(missing)]
        return {"started": self._started, "expected": len(self._agents), "said": self._said(bool(nodes))}

    def close(self) -> None:
        """End the agents, which were told, and are ending."""
        placed = [one.ended for one in self._agents if one.host]
        if placed:
            ray.wait(placed, num_returns=len(placed), timeout=CLOSE_SECONDS)
        for one in self._agents:
            ray.kill(one.actor)
        ray.shutdown()

    def _start(self, address: str, nodes: Sequence[Mapping[str, Any]], avoid: Sequence[str]) -> Agent:
        left_out = [one["NodeID"] for one in nodes if one["NodeManagerHostname"] in avoid]
        options = ["--name", f"ray-{self._started}", "--linger", str(LINGER), "--workers", str(self._workers)]
        order = json.dumps({"address": address, "command": self._asked["command"], "options": options})
        actor = (
            ray.remote(Keeper)
            .options(
                num_cpus=self._resources["CPU"],
                num_gpus=self._resources.get("GPU", 0),
                max_restarts=0,
                scheduling_strategy=_besides(left_out) if left_out else "SPREAD",
            )
            .remote()
        )
        self._started += 1
        return Agent(actor, actor.host.remote(), actor.serve.remote(self._asked["guard"], order))

    def _has_ended(self, agent: Agent) -> bool:
        """Whether an agent has ended; where it is, and why it ended badly, is kept."""
        try:
            if not agent.host and ray.wait([agent.placed], timeout=0)[0]:
                agent.host = ray.get(agent.placed)
            if not ray.wait([agent.ended], timeout=0)[0]:
                return False
            status, words = ray.get(agent.ended)
        except RayError as error:
            self._last = f"an agent was lost with its node or its actor ({_first_line(error)})"
            return True
        if status:
            self._last = f"an agent on {agent.host} ended with status {status}: {words or 'it said nothing'}"
        ray.kill(agent.actor)
        return True

    def _said(self, possible: bool) -> str:
        waiting = sum(not one.host for one in self._agents)
        said = f"{len(self._agents) - waiting} of {self._asked['agents']} agents placed"
        if waiting:
            wanted = ", ".join(f"{name}: {count}" for name, count in self._resources.items())
            said += f", {waiting} wait{'s' if waiting == 1 else ''} for {{{wanted}}}"
            if not possible:
                said += ", which no node of the cluster has"
        return said + self._why()

    def _why(self) -> str:
        return f"; {self._last}" if self._last else ""

    def _fits(self, resources: Mapping[str, float]) -> bool:
        return all(resources.get(name, 0) >= count for name, count in self._resources.items())


def _besides(nodes: Sequence[str]) -> NodeLabelSchedulingStrategy:
    return NodeLabelSchedulingStrategy(hard={"ray.io/node-id": NotIn(*nodes)})


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines()]
    return next(filter(None, lines), type(error).__name__)


def main() -> None:
    with open(os.dup(1), "w", buffering=1) as answers:
        os.dup2(2, 1)  # what Ray prints is no answer
        lines = iter(sys.stdin.readline, "")
        try:
            agents = Agents(json.loads(next(lines)))
        except Exception as error:
            print(json.dumps({"error": _first_line(error).rstrip(".")}), file=answers)
            return
        print(json.dumps({}), file=answers)
        for line in lines:
            print(json.dumps(agents.keep(**json.loads(line))), file=answers)
        agents.close()


if __name__ == "__main__":
    main()
