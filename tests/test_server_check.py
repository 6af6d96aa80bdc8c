"""What is wrong with a server, a key or a way to it is said before a seed is trained."""

from __future__ import annotations

import json
import re
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from servers import GOOD, Script, misbehaving

from ge_engine.cli.options import chosen_settings
from ge_engine.config import RunConfig, config_from_dict, config_to_dict
from ge_engine.errors import ConfigError, ModelError
from ge_engine.llm.connection import connect
from ge_engine.llm.server_check import check_server
from ge_engine.places import split_place
from tests.patience import PATIENT

KEY = "sk-very-secret-0123456789"
PLAIN = Path(__file__).resolve().parent.parent / "examples" / "plain_cnn.py"
CERTIFICATE = Path(__file__).with_name("loopback.pem")
CONFIG = RunConfig()
PROXIES = ("ALL_PROXY", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR")


@pytest.fixture(autouse=True)
def _surroundings(monkeypatch: pytest.MonkeyPatch) -> None:
    """No proxy and no certificate of this machine."""
    for name in PROXIES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


def refused(script: Script, argument: str = "m@{}", **environ: str) -> ModelError:
    """What the check says of a server."""
    with misbehaving(script) as url, pytest.raises(ModelError) as caught:
        check_server(argument.format(url), {"OPENAI_API_KEY": KEY, **environ}, CONFIG)
    assert KEY not in caught.value.message + caught.value.hint
    return caught.value


def raw(status: int, text: str) -> Script:
    script = Script(f"raw {status}")
    script.raw = text
    return script


@pytest.mark.parametrize(
    ("status", "text", "reason", "hint"),
    [
        (401, '{"error": {"message": "Incorrect API key"}}', "refuses the key: .* 401: Incorrect", "API_KEY"),
        (403, "Forbidden for you", "refuses the key: .* 403: Forbidden for you", "--llm-key-env"),
        (402, '{"detail": "no credit"}', "not paid: .*no credit", "Add credit"),
        (
            429,
            '{"error": {"code": "insufficient_quota", "message": "Too much"}}',
            "paid: .*Too much",
            "credit",
        ),
        (400, '[{"error": {"message": "API key not valid."}}]', "refuses the key: .*not valid.$", "API_KEY"),
        (400, "<title>Plain HTTP was sent to HTTPS port</title>", "to HTTPS port", "Fix"),
        (400, "<html><title>No proxy</title>", r'web page, not an API \("No proxy', "--llm-url"),
        (200, '{"error": {"code": 401, "message": "No auth"}}', "refuses the key: .*No auth", "API_KEY"),
        (200, '{"error": {"message": "Model is not there"}}', "Model is not there", "Fix"),
        (200, "<html><title>Log in</title></html>", r'web page, not an API \("Log in"\)', "--llm-url"),
        (200, "Ollama is running", "as an API: Ollama is running", "--llm-url"),
        (200, '{"status": "ok"}', "no chat completion: it holds no choice", "--llm-url"),
        (404, "404 page not found", "404: 404 page not found", "--llm-url"),
        (405, "", "405: Method Not Allowed", "--llm-url"),
        (400, '{"message": "tokenizer is broken"}', "tokenizer is broken", "Fix what it names"),
        (422, '{"detail": [{"loc": ["body", "x"], "msg": "required"}]}', r"body\.x: required", "Fix"),
    ],
)
def test_a_refusal_that_costs_a_training(status: int, text: str, reason: str, hint: str) -> None:
    error = refused(raw(status, text))
    assert re.search(reason, error.message), error.message
    assert hint in error.hint


@pytest.mark.parametrize("status", [429, 500, 502, 503])
def test_a_busy_server_that_is_refused(status: int) -> None:
    with misbehaving(raw(status, '{"error": {"message": "busy"}}')) as url:
        check_server(f"m@{url}", {}, CONFIG)


@pytest.mark.parametrize("behaviour", ["hang", "trickle", "bomb gzip", "reasoning"])
def test_a_slow_server_that_is_refused(behaviour: str) -> None:
    with misbehaving(Script(behaviour)) as url:
        check_server(f"m@{url}", {}, CONFIG, seconds=0.5)


def test_a_server_in_maintenance_for_which_a_seed_is_trained() -> None:
    error = refused(Script("status 503 retry-after=3600"))
    assert "is not to be asked for 3,600 s: the server answered 503" in error.message
    assert "--llm-deadline" in error.hint
    with misbehaving(Script("status 503 retry-after=20")) as url:
        check_server(f"m@{url}", {}, CONFIG)


@pytest.mark.parametrize("first", ["half", "raw 200", "null"])
def test_an_answer_that_broke_once_and_ends_the_command(first: str) -> None:
    script = Script(first, "good")
    script.raw = ""
    with misbehaving(script) as url:
        check_server(f"m@{url}", {}, CONFIG)
    assert len(script.bodies) == 2


def test_a_server_that_breaks_off_and_is_called_out_of_reach() -> None:
    script = Script("half")
    error = refused(script)
    assert re.search("The server at .* breaks off its answers: the connection failed: ", error.message)
    assert error.hint.startswith("Look into its log")
    assert len(script.bodies) == 3


def test_a_model_that_the_server_does_not_have() -> None:
    script = raw(404, '{"error": {"message": "The model `m` does not exist"}}')
    script.models = ["qwen3", f"it-{KEY}", *map(str, range(20))]
    error = refused(script)
    assert "does not answer as 'm'" in error.message
    assert "does not exist" in error.message
    assert error.hint.startswith("It has: qwen3, it-***, 0, 1")
    assert "20" not in error.hint


def test_an_address_without_v1() -> None:
    script = Script("picky")
    with misbehaving(script) as url:
        script.refuse = lambda _: (404, {"error": "Not Found"}) if "/v1/" not in script.paths[-1] else None
        check_server(f"m@{url}/chat/completions", {}, CONFIG)
        for ending in ("", "/"):
            with pytest.raises(ModelError, match="404: Not Found") as caught:
                check_server(f"m@{url.removesuffix('/v1')}{ending}", {}, CONFIG)
            assert f"--llm-url {url}." in caught.value.hint


def test_a_url_at_which_nobody_is_found_out_late() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(ModelError, match=f"reached at 127.0.0.1:{port}: .*refused") as caught:
        check_server(f"m@http://me:{KEY}@127.0.0.1:{port}/v1", {}, CONFIG)
    assert "--llm-url" in caught.value.hint
    assert KEY not in caught.value.message


@pytest.mark.parametrize(
    "key", [f'"{KEY}"', f"'{KEY}'", f"“{KEY}”", f"{KEY}é", f"Bearer {KEY}", f"{KEY}\n{KEY}", f"`{KEY}"]
)
@pytest.mark.parametrize("source", ["OPENAI_API_KEY", "OPENAI_API_KEY_FILE", "MINE"])
def test_a_key_that_cannot_be_sent(tmp_path: Path, key: str, source: str) -> None:
    file = tmp_path / "key"
    file.write_text(key, "utf-8")
    config = RunConfig(llm_key_env=("MINE",) if source == "MINE" else ())
    environ = {source: str(file) if source.endswith("FILE") else key}
    with pytest.raises(ModelError, match="has quotes, blanks") as caught:
        connect("m@http://127.0.0.1:9/v1", environ, config)
    assert KEY not in caught.value.message + caught.value.hint


def test_two_servers_that_get_one_key() -> None:
    config = RunConfig(llm_key_env=("ALL", "a=ONE", "openai:b=TWO"))
    environ = {"ALL": "key-all", "ONE": "key-one", "TWO": "key-two", "OPENAI_API_KEY": "key-openai"}
    script = Script("good")
    with misbehaving(script) as url:
        for model in ("a", "b", "c"):
            check_server(f"{model}@{url}", environ, config)
    assert script.keys == ["Bearer key-one", "Bearer key-two", "Bearer key-all"]
    with pytest.raises(ModelError, match="is not set"):
        connect("m@http://h/v1", {"OPENAI_API_KEY": KEY}, RunConfig(llm_key_env=("NONE",)))


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("llm_key_env", [KEY, f"m={KEY}", "", "m="]),
        ("llm_extra", ["{", "5", "[1]", "top_p=1", '{"model": "x"}', 'm={"n": 2}', "[" * 9999]),
        ("llm_timeout", [0.0, 301.0]),
        ("llm_deadline", [0.0, 100.0]),
        ("llm_parallel", [0]),
    ],
)
def test_a_setting_that_cannot_be(name: str, values: list[Any]) -> None:
    for value in values:
        with pytest.raises(ConfigError, match=f"{name} (must|takes)|exceed.*{name}") as caught:
            config_from_dict({name: value})
        assert KEY not in caught.value.message + caught.value.hint


def test_a_secret_field_that_the_ledger_keeps() -> None:
    extra = f'm={{"api_key": "{KEY}", "auth": {{"Token": "{KEY}"}}, "max_tokens": 5}}'
    kept = config_to_dict(RunConfig(llm_extra=(extra,)))["llm_extra"]
    assert kept == ('m={"api_key": "***", "auth": {"Token": "***"}, "max_tokens": 5}',)
    assert config_from_dict({"llm_extra": kept}).llm_extra == kept
    (endpoint,) = connect("m@http://h/v1", {}, RunConfig(llm_extra=(extra,)))
    assert endpoint.clean(f"no {KEY}") == "no ***"


@pytest.mark.parametrize(
    ("argument", "parts"),
    [
        ("m", ("m", "")),
        ("m@http://h:1/v1", ("m", "http://h:1/v1")),
        ("@cf/meta/llama-3", ("@cf/meta/llama-3", "")),
        ("@cf/meta/llama-3@https://h/v1", ("@cf/meta/llama-3", "https://h/v1")),
        ("claude@20240620", ("claude@20240620", "")),
        ("org/m@001@http://me:p@h/v1", ("org/m@001", "http://me:p@h/v1")),
        ("qwen@x:7b", ("qwen@x:7b", "")),
        ("m@localhost:8000/v1", ("m", "localhost:8000/v1")),
        ("m@10.0.0.1:8000", ("m", "10.0.0.1:8000")),
        ("m@ftp://h", ("m", "ftp://h")),
    ],
)
def test_a_name_that_is_cut_at_its_at(argument: str, parts: tuple[str, str]) -> None:
    assert split_place(argument) == parts


def test_a_url_that_a_name_with_an_at_does_not_get() -> None:
    chosen = chosen_settings({"llm": ["openai:@cf/m", "openai:n@http://n/v1"], "llm_url": ["http://h/v1"]})
    assert chosen["llm"] == ["openai:@cf/m@http://h/v1", "openai:n@http://n/v1"]
    with pytest.raises(ConfigError, match="http://"):
        chosen_settings({"llm": ["openai:m"], "llm_url": ["localhost:8000/v1"]})


@pytest.mark.parametrize("llm", [{}, {"llm": ["smollm2"]}, {"llm": ["openai:m@http://a/v1"]}])
def test_an_address_that_no_model_is_asked_at(llm: dict[str, list[str]]) -> None:
    with pytest.raises(ConfigError, match="--llm-url is for a model of --llm openai:NAME, and none is given"):
        chosen_settings({**llm, "llm_url": ["http://h/v1"]})


@pytest.mark.parametrize(
    "url",
    [
        "localhost:8000/v1",
        "10.0.0.1:80",
        "ftp://h/v1",
        "http:///v1",
        "http://h:99999/v1",
        "http://[h/v1",
        "http://h\x00/v1",
        "http://h i/v1",
    ],
)
def test_an_address_that_is_none(url: str) -> None:
    with pytest.raises(ModelError, match="no address"):
        connect("m", {"OPENAI_BASE_URL": url, "OPENAI_API_KEY": KEY}, CONFIG)


def test_azure_that_gets_neither_version_nor_key() -> None:
    script = Script("good")
    with misbehaving(script) as url:
        place = f"{url}/openai/deployments/d/chat/completions?api-version=2024-10-21"
        check_server(f"m@{place}", {"OPENAI_API_KEY": KEY}, CONFIG)
    assert script.paths == ["/v1/openai/deployments/d/chat/completions?api-version=2024-10-21"]
    assert script.headers[0]["api-key"] == KEY


def test_a_proxy_before_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    script = Script("good")
    with misbehaving(script) as url:
        for name in ("HTTP_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, "http://127.0.0.1:9")
        check_server(f"m@{url}", {}, CONFIG)
        check_server(f"m@{url.replace('127.0.0.1', 'localhost')}", {}, CONFIG)
    assert len(script.bodies) == 2


def test_a_proxy_that_is_passed_by(monkeypatch: pytest.MonkeyPatch) -> None:
    script = Script("good")
    with misbehaving(script) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.removesuffix("/v1"))
        check_server("m@http://model.example/v1", {}, CONFIG)
    assert script.paths == ["http://model.example/v1/chat/completions"]


@contextmanager
def socks(port: int) -> Iterator[tuple[str, list[str]]]:
    """A SOCKS5 proxy whose every connection leads to `port`; its URL, and the names that were asked for."""
    listening, asked = socket.create_server(("127.0.0.1", 0)), list[str]()

    def pipe(source: socket.socket, target: socket.socket) -> None:
        while data := source.recv(65536):
            target.sendall(data)

    def serve() -> None:
        client, _ = listening.accept()
        client.recv(64)
        client.sendall(b"\x05\x00")
        request = client.recv(512)
        asked.append(request[5 : 5 + request[4]].decode())
        client.sendall(b"\x05\x00\x00\x01\x7f\x00\x00\x01\x00\x00")
        server = socket.create_connection(("127.0.0.1", port))
        threading.Thread(target=pipe, args=(client, server), daemon=True).start()
        pipe(server, client)

    threading.Thread(target=serve, daemon=True).start()
    with listening:
        yield f"socks5h://127.0.0.1:{listening.getsockname()[1]}", asked


def test_a_socks_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    script = Script("good")
    with misbehaving(script) as url, socks(int(url.rpartition(":")[2].partition("/")[0])) as (proxy, asked):
        monkeypatch.setenv("ALL_PROXY", proxy)
        check_server("m@http://model.example/v1", {}, CONFIG)
    assert asked == ["model.example"]
    assert len(script.bodies) == 1


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ALL_PROXY", f"socks4://me:{KEY}@127.0.0.1:9"),
        ("HTTP_PROXY", "::"),
        ("HTTPS_PROXY", f"http://me:{KEY}@h:1:1"),
        ("SSL_CERT_FILE", "/no/such/file.pem"),
    ],
)
def test_a_way_that_cannot_be_set_up(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ModelError, match="cannot be set up") as caught:
        connect("m@http://h/v1", {}, CONFIG)
    assert name in caught.value.hint
    assert KEY not in caught.value.message


def test_a_socks_proxy_without_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", "socks5://127.0.0.1:9")
    monkeypatch.setitem(sys.modules, "socksio", None)
    with pytest.raises(ModelError, match="socksio") as caught:
        connect("m@http://h/v1", {}, CONFIG)
    assert "ge-engine[server]" in caught.value.hint


@pytest.fixture
def private() -> Iterator[str]:
    """A server whose certificate only `CERTIFICATE` vouches for."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            data = json.dumps(GOOD).encode()
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: Any) -> None:
            return

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield f"https://localhost:{server.server_address[1]}/v1"
    server.shutdown()
    server.server_close()


def test_a_certificate_of_ones_own(private: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ModelError, match="CERTIFICATE_VERIFY_FAILED") as caught:
        check_server(f"m@{private}", {}, CONFIG)
    assert "SSL_CERT_FILE" in caught.value.hint
    monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATE))
    check_server(f"m@{private}", {}, CONFIG)


def test_a_plain_server_that_is_asked_by_tls() -> None:
    with misbehaving(Script("good")) as url, pytest.raises(ModelError, match="reached at") as caught:
        check_server(f"m@{url.replace('http', 'https', 1)}", {}, CONFIG)
    assert "http:// in place" in caught.value.hint


def test_a_seed_that_is_trained_for_a_server_that_refuses(tmp_path: Path) -> None:
    """By the command itself, with the settings that a user gives."""
    script = raw(200, '{"error": {"message": "insufficient_quota"}}')
    command = [sys.executable, "-m", "ge_engine.cli", "evolve", str(PLAIN), "--run", str(tmp_path / "run")]
    with misbehaving(script) as url:
        command += ["--llm", "openai:@cf/m", "--llm-url", url, "--llm-key-env", "MINE", "--llm-timeout", "5"]
        command += ["--llm-extra", '{"top_k": 3}', "--llm-parallel", "2", "--llm-deadline", "50"]
        environ = {"MINE": KEY, "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}
        done = subprocess.run(
            command, env=environ, capture_output=True, text=True, check=False, timeout=PATIENT
        )
    assert done.returncode == 2, done.stderr
    assert "is not paid: the server answered with an error: insufficient_quota." in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "run").exists()
    (body,) = script.bodies
    assert (body["model"], body["top_k"], script.keys) == ("@cf/m", 3, [f"Bearer {KEY}"])
