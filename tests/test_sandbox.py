"""What closes the network, and bubblewrap: its command line, why it is not there, and programs inside."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from ge_engine.config import config_from_dict
from ge_engine.errors import ConfigError
from ge_engine.evaluation.on_machine import chosen_sandbox
from ge_engine.evaluation.programs import confined
from ge_engine.evaluation.sandbox import bubblewrap, network
from ge_engine.evaluation.sandbox.landlock import landlock_version
from ge_engine.outcome import Failed, Scored
from tests.evaluation import genome
from tests.patience import PATIENT
from tests.test_command import opened, result

INSTALLED = not bubblewrap.why_not()
CLOSINGS = {"": [], "seccomp": ["refuse_sockets"], "namespace": ["refuse_sockets", "own_network"]}
ATTEMPTS = """\
import json, socket, sys, threading
from ge_engine.evaluation.sandbox import limits, network
held = threading.Event()
said = []
def attempt():
    for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
        try:
            with socket.socket(socket.AF_INET, kind) as one:
                one.settimeout(2)
                one.connect(("127.0.0.1", int(sys.argv[2])))
                one.send(b"labels")
                said.append("sent")
        except OSError as error:
            said.append(type(error).__name__)
if sys.argv[1] == "own_network":
    assert network.own_network()
    limits.drop_privileges()
    thread = threading.Thread(target=attempt)
    thread.start()
else:
    thread = threading.Thread(target=lambda: held.wait() and attempt())
    thread.start()
    if sys.argv[1] == "refuse_sockets":
        assert network.refuse_sockets()
    held.set()
thread.join()
status = open("/proc/self/status").read() if sys.argv[1] == "own_network" else ""
capable = [line for line in status.splitlines() if line.startswith("CapEff") and int(line.split()[1], 16)]
ours = socket.socketpair()
ours[0].send(b"x")
print(json.dumps({"said": said, "capable": capable, "pair": ours[1].recv(1).decode()}))
"""


@pytest.mark.parametrize("closing", ["nothing", *CLOSINGS[network.closed_by()]])
def test_a_packet_that_leaves_a_closed_network(closing: str) -> None:
    """Threads that ran before are closed in by the filter; with nothing closed, the same packets arrive."""
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams,
    ):
        datagrams.bind(server.getsockname())
        datagrams.settimeout(0.2)
        server.settimeout(0.2)
        command = [sys.executable, "-c", ATTEMPTS, closing, str(server.getsockname()[1])]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=PATIENT)
        told = json.loads(done.stdout)
        assert told["pair"] == "x"
        assert told["capable"] == []
        if closing == "nothing":
            assert told["said"] == ["sent", "sent"]
            assert datagrams.recv(10) == b"labels"
            return
        assert told["said"][1] in ("PermissionError", "ConnectionRefusedError")
        for listening in (server.accept, lambda: datagrams.recv(10)):
            with pytest.raises(TimeoutError):
                listening()


def test_a_command_line_that_leaves_something_open(tmp_path: Path) -> None:
    data, jobs = str(tmp_path / "data"), str(tmp_path / "data" / "jobs")
    words = bubblewrap.around([data, "/usr", "/proc", "/dev/null"], [jobs], data, ["python", "-c", "pass"])
    text = " ".join(words)
    assert words[0] == "bwrap"
    assert {"--unshare-net", "--unshare-pid", "--die-with-parent"} <= set(words)
    assert text.endswith(f"--bind {jobs} {jobs} --chdir {data} -- python -c pass")
    assert f"--ro-bind {data} {data}" in text
    assert "--ro-bind /proc" not in text
    assert "--ro-bind / /" not in text
    assert text.index(f"--ro-bind {data}") < text.index(f"--bind {jobs}")
    assert text.index("--tmpfs /tmp") < text.index("--ro-bind")


def test_limits_that_a_program_in_bubblewrap_lacks(tmp_path: Path) -> None:
    words = confined(["sh", "-c", "ulimit -d; ulimit -f"], tmp_path, 2**30)
    begun = words[words.index("--", words.index("--chdir")) + 1 :]
    asked = subprocess.run(begun, capture_output=True, text=True, check=True)
    assert asked.stdout.split() == [str(2**20), str(2**19)]
    assert begun[-3:] == ["sh", "-c", "ulimit -d; ulimit -f"]


def test_a_sandbox_that_is_not_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    bubblewrap.why_not.cache_clear()
    try:
        assert "no program `bwrap`" in bubblewrap.why_not()
        with pytest.raises(ConfigError, match="no program `bwrap`"):
            chosen_sandbox("bwrap")
        assert chosen_sandbox("auto") == ("landlock" if landlock_version() else "network")
        broken = tmp_path / "bwrap"
        broken.write_text("#!/bin/sh\necho 'bwrap: No permissions to create new namespace' >&2\nexit 1\n")
        broken.chmod(0o755)
        bubblewrap.why_not.cache_clear()
        assert "No permissions" in bubblewrap.why_not()
    finally:
        bubblewrap.why_not.cache_clear()
    assert chosen_sandbox("none") == "none"
    with pytest.raises(ConfigError, match="bwrap, landlock or none"):
        config_from_dict({"sandbox": "jail"})


def test_a_program_that_writes_or_connects_in_bubblewrap(tmp_path: Path) -> None:
    """Where bubblewrap is installed it confines, kills and limits; elsewhere the run does not start."""
    outside = tmp_path / "outside"
    with socket.create_server(("127.0.0.1", 0)) as server:
        (tmp_path / "job.py").write_text(f"""\
import json, os, signal, socket, sys
text = open(sys.argv[1]).read()
if "Suicide" in text:
    os.kill(os.getpid(), signal.SIGSEGV)
said = []
for act in (lambda: open({str(outside)!r}, "w"), lambda: socket.create_connection({server.getsockname()!r})):
    try:
        act()
        said.append("done")
    except OSError as error:
        said.append(os.strerror(error.errno))
open("mine" if 0 else os.environ["HOME"] + "/mine", "w").write("x")
said.append(str(os.getpid() < 100))
print(json.dumps({{"accuracy": 0.5, "parameters": 1, "feedback": "; ".join(said)}}))
""")
        command = f"python {tmp_path / 'job.py'} {{path}}"
        if not INSTALLED:
            with (
                pytest.raises(ConfigError, match="bubblewrap"),
                opened(tmp_path, "command", command, 20, "bwrap"),
            ):
                pass
            return
        with opened(tmp_path, "command", command, 20, "bwrap") as evaluation:
            scored = result(evaluation, genome())
            killed = result(evaluation, genome(top="class Suicide:\n    pass"))
    assert isinstance(scored, Scored), scored
    said = "Read-only file system; Connection refused; True"
    assert scored.details["feedback"] == said
    assert isinstance(killed, Failed)
    assert (killed.kind, killed.reason[:18]) == ("crash", "killed by signal 11"[:18])
    assert not outside.exists()
    assert os.path.exists(tmp_path / "job.py")
