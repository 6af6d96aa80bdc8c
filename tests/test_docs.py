"""Every console command of README and docs is run, page by page, in a folder with the examples.

Pages without slow ones in every test run; those with commands below `<!-- slow -->`, whole, with
`pytest -m slow tests/test_docs.py`, which `make docs-commands` and `.ci/run` do. Commands that are themselves
how tests are run stand in `ELSEWHERE`.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
from servers import served

from tests.patience import PATIENT
from tests.sampled import everyday

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
NAMES = [str(page.relative_to(ROOT)) for page in PAGES]
FENCE = re.compile(r"^(<!-- slow -->\n)?^```(\w+)([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
TITLE = re.compile(r'title="([\w.]+)"')
SERVER = "http://localhost:8000/v1"
ELSEWHERE = {
    "make test": ".ci/run",
    "make check": ".github/workflows/check.yml",
    "make docs": ".github/workflows/check.yml",
    "make dist": ".github/workflows/check.yml",
    "make demo": ".github/workflows/check.yml",
    "pre-commit install": ".pre-commit-config.yaml",
}
DIFFERS = 1


@dataclass(frozen=True)
class Step:
    """A command, or a file (`name`) to be written before the commands below it."""

    text: str
    slow: bool = False
    name: str = ""


def steps_of(page: Path) -> list[Step]:
    steps = []
    for slow, language, options, body in FENCE.findall(page.read_text("utf-8")):
        title = TITLE.search(options)
        if title:
            steps.append(Step(body, name=title[1]))
        elif language == "console":
            lines = [line for line in body.replace("\\\n", " ").splitlines() if line.startswith("$ ")]
            assert lines, f"{page}: a console block without a command"
            steps += [Step(line.removeprefix("$ "), bool(slow)) for line in lines]
        elif language == "python" and "from ge_engine import" in body:
            steps.append(Step(f"{sys.executable} - <<'END'\n{body}END", bool(slow)))
    return steps


PLANS = {name: steps_of(page) for name, page in zip(NAMES, PAGES, strict=True)}
SLOW = [name for name, steps in PLANS.items() if any(step.slow for step in steps)]
QUICK = [name for name, steps in PLANS.items() if name not in SLOW and any(not step.name for step in steps)]
LONG = ("docs/reference/python.md",)
"""Pages whose commands take long though none is slow, and are much like those of others."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder as a reader has it: the examples beside him, `ge` on the path."""
    shutil.copytree(ROOT / "examples", tmp_path / "examples", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def carry_out(steps: list[Step], folder: Path, url: str) -> None:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "COLUMNS": "120"}
    for step in steps:
        if step.name:
            (folder / step.name).write_text(step.text)
            continue
        if step.text in ELSEWHERE:
            continue
        ended = subprocess.run(
            ["bash", "-c", step.text.replace(SERVER, url)],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=PATIENT,
        )
        allowed = {0, DIFFERS} if step.text.startswith("ge diff ") else {0}
        assert ended.returncode in allowed, f"$ {step.text}\n{ended.stdout}{ended.stderr}"
        assert "Traceback" not in ended.stderr, ended.stderr


@pytest.mark.parametrize("name", everyday(QUICK, *(one for one in QUICK if one not in LONG)))
def test_a_command_that_does_not_run(name: str, folder: Path) -> None:
    carry_out(PLANS[name], folder, SERVER)


@pytest.mark.slow
@pytest.mark.parametrize("name", SLOW)
def test_a_slow_command_that_does_not_run(name: str, folder: Path) -> None:
    with answering() as url:
        carry_out(PLANS[name], folder, url)


def test_a_command_that_nothing_runs() -> None:
    for command, file in ELSEWHERE.items():
        if any(step.text == command for steps in PLANS.values() for step in steps):
            assert command.split()[-1] in (ROOT / file).read_text("utf-8"), f"{command} is not in {file}"


def test_pages_without_commands_because_the_pattern_is_wrong() -> None:
    assert sum(len(steps) for steps in PLANS.values()) > 20
    assert {"README.md", "docs/tutorial.md", "docs/how-to/operator.md"} <= set(SLOW)
    assert QUICK


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_a_link_to_a_page_that_is_not_there(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[\w.-]+)?\)", page.read_text("utf-8")):
        if "://" not in target:
            assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_a_link_to_a_heading_that_is_not_there(page: Path) -> None:
    """Anchors of the API, which have a dot, are made by the site's generator and checked there."""
    for target, anchor in re.findall(r"\]\(([^)#\s:]*)#([\w-]+)\)", page.read_text("utf-8")):
        text = (page.parent / target if target else page).read_text("utf-8")
        headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
        slugs = {re.sub(r"[\s-]+", "-", re.sub(r"[^\w\s-]", "", head).strip().lower()) for head in headings}
        assert anchor in slugs, f"{target}#{anchor}"


@contextmanager
def answering() -> Iterator[str]:
    """A server of the OpenAI protocol that takes another activation in the code it is shown; where there is
    none, another number."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
            code = re.findall(r"```python\n(.*?)\n```", asked["messages"][-1]["content"], re.DOTALL)
            changed = code[-1].replace("nn.ReLU(", "nn.SiLU(") if code else ""
            if not code or changed == code[-1]:
                changed = re.sub(r"\b\d+\b", lambda found: str(int(found[0]) + 1), changed, count=1)
            message = {"role": "assistant", "content": f"```python\n{changed}\n```"}
            choice = {"index": 0, "message": message, "finish_reason": "stop"}
            usage = {"prompt_tokens": 5, "completion_tokens": 5, "total_tokens": 10}
            self._send({"id": "1", "object": "chat.completion", "choices": [choice], "usage": usage})

        def _send(self, answer: dict[str, Any]) -> None:
            body = json.dumps(answer).encode()
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            return

    with served(Handler) as url:
        yield url
