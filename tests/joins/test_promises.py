"""Each promise of README and SECURITY has a test.

Lines of SECURITY name theirs in place, which tests/test_security.py checks; promises.toml has those of README
and of what is left. What SECURITY says is not defended promises nothing.
"""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import doubles
import pytest
from typer.testing import CliRunner

from ge_engine import installation, loop
from ge_engine.cli.app import app
from ge_engine.evaluation.on_machine import chosen_sandbox
from ge_engine.ledger.history import History
from ge_engine.outcome import Scored

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = ("README.md", "SECURITY.md")
LIST: dict[str, list[dict[str, Any]]] = tomllib.loads(
    Path(__file__).with_name("promises.toml").read_text("utf-8")
)
PROMISES, PLAIN = LIST["promise"], LIST["plain"]


def sentences(document: str) -> Iterator[str]:
    """The sentences of a document in one line each, but headings, code, tables and what names its tests."""
    text = (ROOT / document).read_text("utf-8")
    text = re.sub(r"(?ms)^## What is not defended\n.*?(?=^[A-Z])", "", text)
    text = re.sub(r"(?m)^(#|\|).*$", "", re.sub(r"(?s)```.*?```|<!--.*?-->", "", text))
    for paragraph in re.split(r"\n\s*\n|\n(?=\s*(?:\*|-|\d\.) )", text):
        joined = re.sub(r"^(?:[*-]|\d\.) ", "", " ".join(paragraph.split()))
        parts = filter(None, re.split(r"(?<=[.!?])\s+(?=[A-Z*`])", joined))
        yield from (part for part in parts if not re.search(r"`test_\w+`", part))


SENTENCES = [sentence for document in DOCUMENTS for sentence in sentences(document)]


@pytest.mark.parametrize("sentence", SENTENCES, ids=lambda sentence: sentence[:60])
def test_a_sentence_that_promises_what_no_test_holds(sentence: str) -> None:
    listed = [one["says"] for one in (*PROMISES, *PLAIN) if one["says"] in sentence]
    assert listed, "put it into promises.toml, with its tests or why it promises nothing"


@pytest.mark.parametrize("one", [*PROMISES, *PLAIN], ids=lambda one: one["says"][:60])
def test_a_promise_that_is_not_made_or_whose_test_is_gone(one: dict[str, Any]) -> None:
    assert any(one["says"] in sentence for sentence in SENTENCES)
    assert one.get("tests") or one["why"].strip()
    for test in one.get("tests", ()):
        path, _, name = test.partition("::")
        tree = ast.parse((ROOT / path).read_text("utf-8"))
        assert name in {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}, test


# --- promises that no other file holds --------------------------------------------------------------


def test_a_test_score_that_anything_is_selected_by(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = doubles._score
    runs = {}
    for name, tested in (("good", 1.0), ("bad", 0.0)):

        def score(job: Any, tested: float = tested) -> Any:
            return Scored({"accuracy": tested, "parameters": 1.0}) if job.split == "test" else plain(job)

        monkeypatch.setattr(doubles, "_score", score)
        config = doubles.config(generations=4, population=8, adaptive=True, rescore_seeds=1)
        loop.run(doubles.seed(), config, doubles.registry(), tmp_path / name, lambda *_: None)
        with History(tmp_path / name) as history:
            assert {outcome.objectives["accuracy"] for outcome in history.test_outcomes().values()} == {
                tested
            }
            runs[name] = history.content()
    assert set(runs["good"]) == set(runs["bad"])
    for table in set(runs["good"]) - {"scores"}:
        assert runs["good"][table] == runs["bad"][table], table


def said() -> tuple[int, dict[str, str]]:
    """The doctor's exit code, and its lines by what they are about."""
    done = CliRunner().invoke(app, ["doctor"], env={"COLUMNS": "300"})
    lines = done.output.splitlines()
    return done.exit_code, {line[8:22].strip(): f"{line[:8].strip()}: {line[22:].strip()}" for line in lines}


@pytest.fixture(scope="module")
def said_here() -> tuple[int, dict[str, str]]:
    """What the doctor says of this machine."""
    return said()


@pytest.mark.parametrize(
    ("landlock", "missing", "closed", "wanted"),
    [
        (6, "", "namespace", ("Landlock: ok.*list, signals", "bubblewrap: ok", "network: ok.*namespace")),
        pytest.param(
            *(4, "no bwrap", "seccomp"),
            ("Landlock: ok.*list$", "bubblewrap: note.*no bwrap", "network: ok.*seccomp"),
            marks=pytest.mark.long,
        ),
        pytest.param(
            *(0, "no bwrap", ""),
            ("Landlock: note.*can read files", "network: note: not closed"),
            marks=pytest.mark.long,
        ),
    ],
)
def test_a_fence_that_the_doctor_gets_wrong(
    monkeypatch: pytest.MonkeyPatch,
    said_here: tuple[int, dict[str, str]],
    landlock: int,
    missing: str,
    closed: str,
    wanted: tuple[str, ...],
) -> None:
    """The kernels of other machines; what this one has is the same for the doctor as for a run."""
    _, lines = said_here
    assert (chosen_sandbox("auto") == "bwrap") == lines["bubblewrap"].startswith("ok")
    monkeypatch.setattr(installation, "landlock_version", lambda: landlock)
    monkeypatch.setattr(installation.bubblewrap, "why_not", lambda: missing)
    monkeypatch.setattr(installation.network, "closed_by", lambda: closed)
    _, lines = said()
    for pattern in wanted:
        about = pattern.partition(":")[0]
        assert re.match(pattern, f"{about}: {lines[about]}"), lines[about]


def test_a_package_whose_lack_the_doctor_does_not_tell(
    monkeypatch: pytest.MonkeyPatch, said_here: tuple[int, dict[str, str]]
) -> None:
    code, lines = said_here
    assert code == 0
    assert lines["libcst"] == f"ok: {metadata.version('libcst')}"
    plain = metadata.version

    def version(name: str) -> str:
        if name == "libcst":
            raise metadata.PackageNotFoundError(name)
        return plain(name)

    monkeypatch.setattr(metadata, "version", version)
    code, lines = said()
    assert code == 1
    assert lines["libcst"] == "missing: not installed; pip install libcst"
