"""A grammar that an installed package of a third party brings is found by name and used by an operator."""

from __future__ import annotations

import importlib
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import doubles
import pytest

from ge_engine import loop
from ge_engine.errors import PluginError
from ge_engine.ledger.history import History
from ge_engine.registry import Registry, load_registry

MODULE = '''
"""One number of the block, asked for by a mutation that names the form."""

import re

from ge_engine.contracts import Prompt
from ge_engine.hookspecs import hookimpl
from ge_engine.outcome import Rejected
from ge_engine.patch import parse_patch

NUMBER = re.compile(r"\\b\\d+\\b")


class One:
    def part(self, so_far):
        return None if so_far else self.whole()

    def whole(self):
        return "start: NUMBER\\nNUMBER: /[1-9][0-9]{0,2}/\\n"


class FirstNumber:
    name = "first-number"

    def instructions(self, target):
        return "Answer with a new first number."

    def constraint(self, target):
        code = target.genome.blocks[target.address].code
        return One() if NUMBER.search(code) else Rejected("grammar", "the block has no number")

    def decode(self, reply, target):
        if not reply.text.isdigit():
            return Rejected("extract", "the reply is no number")
        code = target.genome.blocks[target.address].code
        return parse_patch(target.genome, target.address, NUMBER.sub(reply.text, code, count=1))

    def canonical(self, reply, target):
        return reply.text


class Renumber:
    name = "renumber"
    kind = "mutation"

    def propose(self, context):
        address = context.rng.choice(context.addresses)
        code = context.genome.blocks[address].code
        prompt = Prompt("", "```python\\n" + code + "\\n```", address, "first-number", "renumber")
        reply = yield prompt
        return context.read(prompt, reply)


@hookimpl
def ge_grammars():
    return [FirstNumber()]


@hookimpl
def ge_operators():
    return [Renumber()]
'''


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of installed packages with one distribution, as pip leaves it."""
    folder = tmp_path / "site"
    info = folder / "ge_numbers-0.3.dist-info"
    info.mkdir(parents=True)
    (folder / "ge_numbers_grammar.py").write_text(MODULE)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: ge-numbers\nVersion: 0.3\n")
    (info / "entry_points.txt").write_text("[ge_engine]\nnumbers = ge_numbers_grammar\n")
    monkeypatch.syspath_prepend(str(folder))
    importlib.invalidate_caches()
    for name in ("ge_numbers_grammar", "ge_twice_grammar"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    return folder


def registry(*, without: tuple[str, ...] = ()) -> Registry:
    """What is installed, with an evaluator that needs no training."""
    doubled = load_registry(["doubles"], blocked=[n for n in doubles.REPLACED if n != "models"])
    kept = [n for n in doubles.REPLACED if n not in ("grammars", "models")]
    installed = load_registry([], blocked=[*kept, *without])
    return replace(doubled, grammars=installed.grammars, operators=installed.operators)


def evolved(folder: Path, known: Registry, **settings: Any) -> loop.Result:
    config = doubles.config(**{"llm": "uniform", "generations": 2, "operators": ["renumber"], **settings})
    return loop.run(doubles.seed(), config, known, folder, lambda *_: None)


def test_a_grammar_of_an_installed_package_that_is_not_found(site: Path) -> None:
    found = load_registry()
    assert found.grammars["first-number"].name == "first-number"
    (origin,) = [one for one in found.origins if one.name == "numbers"]
    assert (origin.distribution, origin.version) == ("ge-numbers", "0.3")
    assert set(origin.hooks) == {"ge_grammars", "ge_operators"}
    assert "plugin 'numbers' 0.3" in found.blame("ge_grammars", "first-number")
    assert "first-number" not in load_registry([], blocked=["numbers"]).grammars


@pytest.mark.parametrize("think", [0, 30])
def test_an_operator_whose_form_of_answer_is_another(site: Path, tmp_path: Path, think: int) -> None:
    evolved(tmp_path / "run", registry(), think=think)
    with History(tmp_path / "run") as history:
        everybody = [one for one in history.individuals() if one.slot >= 0]
        calls = [call for one in everybody for call in history.calls(one.id)]
    assert calls
    for call in calls:
        assert call.grammar == "first-number"
        assert call.canonical.isdigit()
        assert 1 <= int(call.canonical) <= 999
        assert "Answer with a new first number." in call.prompt.user
    admitted = [one for one in everybody if one.scored]
    assert len(admitted) >= len(everybody) // 2
    assert {step.grammar for one in admitted for step in one.steps} == {"first-number"}


def test_a_form_for_all_prompts_that_a_third_party_brings(site: Path, tmp_path: Path) -> None:
    evolved(tmp_path / "run", registry(), operators=["mutation"], grammar="first-number", generations=1)
    with History(tmp_path / "run") as history:
        calls = [call for one in history.individuals() for call in history.calls(one.id)]
    assert calls
    assert {call.grammar for call in calls} == {"first-number"}


def test_a_form_that_is_gone_ends_the_run_and_names_itself(site: Path, tmp_path: Path) -> None:
    known = registry()
    gone = {name: one for name, one in known.grammars.items() if name != "first-number"}
    with pytest.raises(PluginError, match="'first-number' that is not there"):
        evolved(tmp_path / "run", replace(known, grammars=gone), generations=1)
    with History(tmp_path / "run") as history:
        reasons = {str(one.outcome) for one in history.individuals() if one.slot >= 0}
    assert all("'first-number' that is not there" in reason for reason in reasons)


def test_a_form_that_two_packages_bring_is_refused(site: Path) -> None:
    second = site / "ge_twice-0.1.dist-info"
    second.mkdir()
    (site / "ge_twice_grammar.py").write_text(MODULE)
    (second / "METADATA").write_text("Metadata-Version: 2.1\nName: ge-twice\nVersion: 0.1\n")
    (second / "entry_points.txt").write_text("[ge_engine]\ntwice = ge_twice_grammar\n")
    importlib.invalidate_caches()
    with pytest.raises(PluginError, match="Two plugins register"):
        load_registry()
