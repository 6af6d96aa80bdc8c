"""What starts an agent on a node of a cluster, and ends with it: `python -c SOURCE`, on Linux and macOS.

It gets its order as a line of JSON on its standard input, and tells on its standard output how the agent
ended. Who ordered it holds the other end of its input: when that is gone, however it went, the agent is
ended and its folder removed. It imports the standard library alone: what is installed on a node is told by
the agent.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from contextlib import suppress
from pathlib import Path

GRACE = 10.0
"""Seconds that an agent has to end by itself."""
LAST_BYTES = 4096


def main() -> None:
    line = sys.stdin.buffer.readline()
    if not line or os.fork():
        os._exit(0)  # what follows is no child of who ordered it, which would kill it before it can clean up
    _as_a_usual_process()
    folder = Path(tempfile.mkdtemp(prefix="ge-agent-of-"))
    try:
        answer = _served(json.loads(line), folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    with suppress(OSError):
        os.write(1, json.dumps(answer).encode())


def _as_a_usual_process() -> None:
    """A Ray worker has its children begin with signals blocked, and die first where memory ends."""
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("0")


def _served(order: dict[str, str | list[str]], folder: Path) -> tuple[int, str]:
    """Run the agent to its end: its exit status, and the last line that it printed."""
    address, log = folder / "agents.json", folder / "log"
    with open(os.open(address, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(str(order["address"]))
    command = [sys.executable, *order["command"], str(address), *order["options"]]
    environment = {**os.environ, "TMPDIR": str(folder)}  # what a killed agent leaves goes with the folder
    with open(log, "wb") as output:
        agent = subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    threading.Thread(target=_end_with_input, args=(agent,), daemon=True).start()
    status = agent.wait()
    with open(log, "rb") as output:
        output.seek(max(0, log.stat().st_size - LAST_BYTES))
        lines = output.read().decode("utf-8", "replace").strip().splitlines()
    return status, lines[-1] if lines else ""


def _end_with_input(agent: subprocess.Popen[bytes]) -> None:
    while os.read(0, LAST_BYTES):
        pass
    agent.send_signal(signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        agent.wait(GRACE)
        return
    with suppress(ProcessLookupError):
        os.killpg(agent.pid, signal.SIGKILL)


if __name__ == "__main__":
    main()
