"""Faults of `ge report --follow`: a stale page, a page for strangers, a server that does not end."""

from __future__ import annotations

import http.client
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import synthetic

from ge_engine.errors import ConfigError, LedgerError
from ge_engine.ledger.history import History
from ge_engine.report import build_page, draw, read_run
from ge_engine.report.serve import HOST, PageServer, ledger_stamp
from tests.patience import PATIENT


@contextmanager
def serving(server: PageServer) -> Iterator[PageServer]:
    with server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join(PATIENT)
            assert not thread.is_alive()


def get(server: PageServer, path: str, host: str = "") -> tuple[int, str]:
    connection = http.client.HTTPConnection(HOST, server.server_port, timeout=PATIENT)
    connection.request("GET", path, headers={"Host": host or f"{HOST}:{server.server_port}"})
    answer = connection.getresponse()
    return answer.status, answer.read().decode()


def page_of(folder: Path, stamp: str) -> str:
    with History(folder) as history:
        run = read_run(history, synthetic.STAGES)
    return build_page(run, draw(run), stamp)


def test_a_page_that_does_not_follow_the_ledger(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    writing = synthetic.generations(folder, 30, size=10)
    next(writing)
    server = PageServer(lambda stamp: page_of(folder, stamp), lambda: ledger_stamp(folder))
    with serving(server):
        _, first_stamp = get(server, "/stamp")
        _, first = get(server, "/")
        assert f'content="{first_stamp}"' in first
        assert "connect-src &#x27;self&#x27;" in first
        assert get(server, "/") == (200, first)
        next(writing)
        _, stamp = get(server, "/stamp")
        assert stamp != first_stamp
        assert f'content="{stamp}"' in get(server, "/")[1]
    writing.close()


def test_an_unchanged_ledger_that_is_read_again() -> None:
    built: list[str] = []

    def build(stamp: str) -> str:
        built.append(stamp)
        return stamp

    with serving(PageServer(build, lambda: "same")) as server:
        assert [get(server, "/") for _ in range(3)] == [(200, "same")] * 3
    assert built == ["same"]


@pytest.mark.parametrize(
    ("path", "host", "status"), [("/", "evil.example", 403), ("/../etc/passwd", "", 404)]
)
def test_a_stranger_who_is_answered(path: str, host: str, status: int) -> None:
    with serving(PageServer(lambda _: "secret", lambda: "1")) as server:
        answer = get(server, path, host)
    assert answer[0] == status
    assert "secret" not in answer[1]


def test_a_server_that_other_machines_reach() -> None:
    with PageServer(lambda _: "", lambda: "") as server:
        assert server.server_address[0] == "127.0.0.1"


def test_a_locked_ledger_that_ends_the_server() -> None:
    def build(stamp: str) -> str:
        raise LedgerError("The run database is locked.", "Wait.")

    with serving(PageServer(build, lambda: "1")) as server:
        assert get(server, "/") == (503, "The run database is locked. Wait.")
        assert get(server, "/stamp") == (200, "1")


def test_a_port_that_is_taken() -> None:
    with PageServer(lambda _: "", lambda: "") as first, pytest.raises(ConfigError, match="cannot be used"):
        PageServer(lambda _: "", lambda: "", first.server_port)


def test_no_ledger_yet(tmp_path: Path) -> None:
    assert ledger_stamp(tmp_path) == ""


@contextmanager
def interruptible(command: list[str]) -> Iterator[subprocess.Popen[str]]:
    """A process that control-C reaches even where this one ignores it, as in the background of a shell, and
    that ends with the block."""
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def test_a_command_that_control_c_does_not_end(tmp_path: Path) -> None:
    synthetic.write_run(tmp_path / "run", 10, size=10)
    command = [sys.executable, "-u", "-m", "ge_engine.cli", "report", str(tmp_path / "run"), "--follow"]
    with interruptible(command) as process:
        assert process.stdout is not None
        said = process.stdout.readline()
        port = re.search(r"http://127\.0\.0\.1:(\d+)/", said)
        assert port is not None, said
        connection = http.client.HTTPConnection(HOST, int(port[1]), timeout=PATIENT)
        connection.request("GET", "/")
        assert connection.getresponse().read().endswith(b"</html>\n")
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=PATIENT)
    assert (process.returncode, errors) == (0, "")
