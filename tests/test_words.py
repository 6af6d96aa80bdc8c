"""What users read keeps to the words of CONTRIBUTING.md: a word that was replaced does not come back."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from ge_engine.cli.app import app

ROOT = Path(__file__).resolve().parent.parent
BEGIN, END = "<!-- words, read by tests/test_words.py -->\n", "<!-- end of words -->\n"
SEED = r"\b(?:the|an?|its|this|that|another) seed\b(?! (?:model|that never changes))"
PATTERNS = {
    "seed, alone": SEED,
    "seed's figures": r"\bseed's figures\b",
    "intent": r"\bintents?\b(?!=)",
    "slot": r"\bslots?\b",
    "rung": r"\brungs?\b",
    "breed": r"\bbreeds?\b",
    "ledger": r"(?<![\w./])ledgers?\b(?!\.sqlite|\.\w|/)",
    "recipe": r"(?<![\w./])recipes?\b(?!\.py|/)",
    "mend it": r"\bmend\b",
}
"""How a word is found that is more or less than itself. The others are found as they are written."""
IDENTIFIER = re.compile(r"`[^`\s]*`|\"\w+\"")
SQL = re.compile(r"\b(SELECT|UPDATE|INSERT|CREATE|WHERE|ORDER BY)\b|\b\w\.\w+ = :\w|^ AND |^slot = \(")
TAG = re.compile(r"<[^>]*>")
QUOTED = re.compile(r"\"([^\"\n]*)\"|`([^`\n]*)`")
ALLOWED = (
    ("docs/how-to/less-training.md", "rung", "successive halving"),
    ("docs/how-to/gpu.md", "rung", "successive halving"),
    ("--help", "rung", "successive halving"),
    ("ge_engine/config/run_config.py", "rung", "successive halving"),
    ("docs/reference/commands.md", "rung", "successive halving"),
    ("docs/reference/settings.md", "rung", "successive halving"),
    ("docs/reference/settings.md", "intent", "the name of a check"),
    ("docs/reference/events.md", "intent", "key of an event"),
    ("docs/reference/events.md", "admitted", "an event, and a key of one"),
    ("ge_engine/events.py", "intent", "key of an event"),
    ("ge_engine/events.py", "admitted", "an event, and a key of one"),
    ("CONTRIBUTING.md", "rung", "says where the word stays"),
    ("CONTRIBUTING.md", "slot", "says where the word stays"),
)
PROMPTS = (
    *("ge_engine/context/*", "ge_engine/grammar/*", "ge_engine/replies/*", "ge_engine/structure/*"),
    *("ge_engine/search/proposing.py", "ge_engine/search/repair_feedback.py"),
    *("plugins/operators.py", "plugins/whole_file.py", "plugins/probe_checks.py", "plugins/checks.py"),
)
"""Texts for language models: they are measured as they are, and tests/prompts holds them."""
PAGES = [
    *(ROOT / name for name in ("README.md", "SECURITY.md", "CONTRIBUTING.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
]
REFERENCE = (
    "api.py",
    "events.py",
    "runs/*.py",
    "contracts/*.py",
    "testing/*.py",
    "hookspecs.py",
    "config/*.py",
)
"""Modules of ge_engine whose docstrings are pages of the documentation."""
ASSETS = [
    one for one in sorted((ROOT / "ge_engine/report/assets").iterdir()) if not one.name.startswith("plotly")
]
TEMPLATES = sorted((ROOT / "ge_engine/scaffold/template").rglob("*.tmpl"))


def vocabulary() -> str:
    return (ROOT / "CONTRIBUTING.md").read_text("utf-8").partition(BEGIN)[2].partition(END)[0]


def replaced() -> dict[str, re.Pattern[str]]:
    """The words of the table's last column, each with what finds it."""
    rows = [line.split("|")[3].strip() for line in vocabulary().splitlines()[2:]]
    names = [cell for cell in rows if cell == "seed, alone"]
    names += [word for cell in rows if cell != "seed, alone" for word in cell.split(", ") if word]
    return {name: re.compile(PATTERNS.get(name, rf"\b{re.escape(name)}\b"), re.I) for name in names}


WORDS = replaced()


def found(place: str, text: str) -> list[str]:
    """The replaced words in a text, each with what stands around it."""
    plain = IDENTIFIER.sub("", " ".join(text.split()))
    allowed = {word for glob, word, _ in ALLOWED if fnmatch(place, glob)}
    return [
        f"{place}: {word}: ... {plain[max(0, hit.start() - 40) : hit.end() + 40]} ..."
        for word, pattern in WORDS.items()
        if word not in allowed
        for hit in pattern.finditer(plain)
    ]


def page_text(page: Path) -> str:
    head, _, rest = page.read_text("utf-8").partition(BEGIN)
    return head + rest.partition(END)[2]


def helps(command: Any, name: str) -> Iterator[tuple[str, str]]:
    """Each help text of a command line, and each flag and argument, with the command's name."""
    yield name, command.help or ""
    for one in command.params:
        yield name, " ".join((getattr(one, "help", None) or "", *one.opts, one.metavar or ""))
    for part, inner in getattr(command, "commands", {}).items():
        yield from helps(inner, f"{name} {part}")


def docstrings(tree: ast.Module) -> Iterator[ast.Constant]:
    for node in ast.walk(tree):
        match node:
            case ast.Expr(value=ast.Constant(value=str()) as text):
                yield text


def sentences(tree: ast.Module) -> Iterator[str]:
    """String literals that are read by people: neither docstrings nor names nor SQL."""
    apart = {id(one) for one in docstrings(tree)}
    for node in ast.walk(tree):
        match node:
            case ast.Constant(value=str(text)) if (
                id(node) not in apart and " " in text and not SQL.search(text)
            ):
                yield text


def modules() -> list[Path]:
    every = (one for top in ("ge_engine", "plugins") for one in sorted((ROOT / top).rglob("*.py")))
    return [one for one in every if not any(fnmatch(str(one.relative_to(ROOT)), glob) for glob in PROMPTS)]


def test_a_word_in_a_help_text_that_was_replaced() -> None:
    told = list(helps(get_command(app), "ge"))
    assert {"ge evolve", "ge plugin new"} <= {name for name, _ in told}
    assert not [hit for name, text in told for hit in found("--help", f"{name}: {text}")]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_word_in_the_documentation_that_was_replaced(page: Path) -> None:
    assert not found(str(page.relative_to(ROOT)), page_text(page))


def test_a_word_in_a_message_that_was_replaced() -> None:
    hits = []
    for file in modules():
        for text in sentences(ast.parse(file.read_text("utf-8"))):
            hits += found(str(file.relative_to(ROOT)), text)
    assert not hits


def test_a_word_in_a_docstring_of_the_reference_that_was_replaced() -> None:
    files = [one for glob in REFERENCE for one in sorted((ROOT / "ge_engine").glob(glob))]
    assert len(files) > len(REFERENCE)
    hits = []
    for file in files:
        for one in docstrings(ast.parse(file.read_text("utf-8"))):
            hits += found(str(file.relative_to(ROOT)), str(one.value))
    assert not hits


@pytest.mark.parametrize(
    "file", [*ASSETS, *TEMPLATES], ids=lambda file: str(file.relative_to(ROOT / "ge_engine"))
)
def test_a_word_in_the_report_or_a_new_plugin_that_was_replaced(file: Path) -> None:
    text = file.read_text("utf-8")
    texts = [first or second for first, second in QUOTED.findall(text)] if file.suffix == ".js" else [text]
    texts = [TAG.sub(" ", one) for one in texts]
    assert not [hit for one in texts if " " in one for hit in found(str(file.relative_to(ROOT)), one)]


def test_a_replaced_word_that_nothing_finds() -> None:
    assert set(PATTERNS) <= set(WORDS)
    assert {word for _, word, _ in ALLOWED} <= set(WORDS)
    assert len(found("x", "The seed does not run: the ledger is gone.")) == 2
    assert not found("x", "The seed model does not run: `ledger.sqlite` and runs/a/ledger.sqlite are gone.")
    assert all(pattern.search(name) for name, pattern in WORDS.items() if name != "seed, alone")
