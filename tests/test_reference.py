"""Reference pages that tell of other commands, settings or classes than the code has."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

DOCS = Path(__file__).resolve().parent.parent / "docs"
MADE = ("commands", "settings", "events", "contracts", "python", "testing")


@pytest.fixture(scope="module")
def generate() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate", DOCS / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("page", MADE)
def test_a_page_that_the_code_has_outgrown(generate: ModuleType, page: str) -> None:
    text = (DOCS / "reference" / f"{page}.md").read_text("utf-8")
    assert generate.made(text) == text, "python docs/generate.py writes the pages anew"


@pytest.mark.parametrize("page", MADE)
def test_a_part_without_what_it_is_named_for(generate: ModuleType, page: str) -> None:
    text = (DOCS / "reference" / f"{page}.md").read_text("utf-8")
    assert generate.PART.search(text)
    for found in generate.PART.finditer(text):
        assert all(f"`{name}`" in found[0] for name in found[1].split()[1:])
        assert len(found[0].splitlines()) > 10


def test_an_option_that_the_page_does_not_tell(generate: ModuleType) -> None:
    text = "\n".join(generate.commands())
    for command in ("ge evolve", "ge diff", "ge plugin new"):
        assert f" {command}\n" in text
    assert "| `--generations` `GENERATIONS` |" in text
