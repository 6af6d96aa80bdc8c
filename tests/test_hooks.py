"""Every hook is documented with its arguments, has a test of its name here, and reaches a run."""

from __future__ import annotations

import dataclasses
import inspect
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import doubles
import pytest

from ge_engine import hookspecs
from ge_engine.contracts import Change, Edit, Executor, MoveSource, Reply, Target
from ge_engine.errors import ConfigError
from ge_engine.hookspecs import DeprecatedHook, hookspec
from ge_engine.ledger.history import History
from ge_engine.loop import run
from ge_engine.outcome import Rejected
from ge_engine.patch import Patch
from ge_engine.registry import Registry, load_registry
from ge_engine.search.resolution import objectives_of
from ge_plugins.grammars import Moves

PAGE = Path(__file__).resolve().parent.parent / "docs" / "reference" / "hooks.md"
HOOKS = sorted(name for name in vars(hookspecs) if name.startswith("ge_"))
Plugin = Callable[..., Registry]


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Plugin]:
    """Registers a module with the hooks it is given, beside the doubles."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def load(**hooks: Callable[..., Any]) -> Registry:
        (tmp_path / "hooked.py").write_text("")
        module = __import__("hooked")
        for name, implementation in hooks.items():
            implementation.__name__ = name
            setattr(module, name, hookspecs.hookimpl(implementation))
        return doubles.registry("hooked")

    yield load
    sys.modules.pop("hooked", None)


def ledger_of(folder: Path, registry: Registry, **settings: Any) -> History:
    """The run database of a short run."""
    config = doubles.config(**{"generations": 1, "population": 3, "llm": "scripted:good", **settings})
    run(doubles.seed(), config, registry, folder / "run", lambda *_: None)
    return History(folder / "run")


def renamed(part: Any, name: str) -> Any:
    """A part under another name."""
    return type("Renamed", (), {"name": name, "__getattr__": lambda _, attribute: getattr(part, attribute)})()


@pytest.mark.parametrize("hook", HOOKS)
def test_a_hook_without_a_test_of_its_name(hook: str) -> None:
    assert f"test_{hook}" in globals()


def test_a_hook_that_is_documented_with_other_arguments() -> None:
    documented = dict(re.findall(r"^## (ge_\w+)\((.*)\)$", PAGE.read_text("utf-8"), re.MULTILINE))
    actual = {hook: ", ".join(inspect.signature(getattr(hookspecs, hook)).parameters) for hook in HOOKS}
    assert documented == actual


@pytest.mark.parametrize("hook", HOOKS)
def test_a_hook_without_a_docstring(hook: str) -> None:
    assert inspect.getdoc(getattr(hookspecs, hook))


def test_ge_operators(plugin: Plugin, tmp_path: Path) -> None:
    mine = renamed(doubles.registry().operators["mutation"], "mine")
    with ledger_of(tmp_path, plugin(ge_operators=lambda: [mine]), operators=("mine",)) as history:
        children = [one for one in history.individuals() if one.id != "seed"]
    assert {step.operator for one in children for step in one.steps} == {"mine"}


def test_ge_executors(plugin: Plugin, tmp_path: Path) -> None:
    asked = []

    class Here(Executor):
        name = "mine"

        def check(self, argument: str) -> None:
            asked.append(argument)

    with ledger_of(tmp_path, plugin(ge_executors=lambda: [Here()]), executor="mine:two") as history:
        assert history.config.executor == "mine:two"
    assert asked == ["two"]
    with pytest.raises(ConfigError, match="There is no executor 'other'"):
        ledger_of(tmp_path / "other", doubles.registry(), executor="other")


def test_ge_personas(plugin: Plugin, tmp_path: Path) -> None:
    class Pirate:
        name = "pirate"

        def frame(self, prompt: Any) -> Any:
            return dataclasses.replace(prompt, system="Arr. " + prompt.system)

    with ledger_of(tmp_path, plugin(ge_personas=lambda: [Pirate()]), personas=("pirate",)) as history:
        calls = history.calls("g0s0")
    assert calls
    assert all(call.prompt.system.startswith("Arr. ") for call in calls)


def test_ge_selectors(plugin: Plugin, tmp_path: Path) -> None:
    class Last:
        name = "last"

        def select(self, individuals: Any, k: int, directions: Any, rng: Any) -> Any:
            return [individuals[-1]] * k

    settings: dict[str, Any] = {"generations": 2, "parent_selector": "last", "operators": ("mutation",)}
    with ledger_of(tmp_path, plugin(ge_selectors=lambda: [Last()]), **settings) as history:
        last = history.survivors(0)[-1]
        children = list(history.individuals(1))
    assert {one.parents for one in children} == {(last,)}


def test_ge_checks(plugin: Plugin, tmp_path: Path) -> None:
    class Never:
        name, kind, order = "never", "static", 1

        def check(self, candidate: Any) -> Any:
            return Rejected("never", "nothing is good enough")

    registry = plugin(ge_checks=lambda: [Never()])
    with ledger_of(tmp_path, registry, checks=("never",)) as history:
        assert history.rejections() == {"never": 3}


def test_ge_objectives(plugin: Plugin) -> None:
    class Longest:
        name, direction = "longest", "max"

        def measure(self, measurement: Any) -> float:
            return 1.0

    registry = plugin(ge_objectives=lambda: [Longest()])
    config = doubles.config(objectives=("longest", "parameters"))
    assert objectives_of(config, registry) == {"longest": "max", "parameters": "min"}


def test_ge_evaluators(plugin: Plugin, tmp_path: Path) -> None:
    mine = renamed(doubles.InstantEvaluator(), "mine")
    with ledger_of(tmp_path, plugin(ge_evaluators=lambda: [mine]), evaluator="mine"):
        pass
    assert mine.opened[0].scored


def test_ge_tasks(tmp_path: Path) -> None:
    asked = ConfigError("the task was asked")

    class Task:
        name = "asking"

        def load(self, argument: str, config: Any) -> Any:
            assert argument == "here:and there"
            raise asked

    registry = load_registry()
    tasks = {**registry.tasks, "asking": Task()}
    with pytest.raises(ConfigError, match="the task was asked"):
        ledger_of(
            tmp_path,
            dataclasses.replace(registry, tasks=tasks),
            task="asking:here:and there",
            evaluator="train",
            llm="uniform",
            checks=("built-in",),
        )


def test_ge_language_models(plugin: Plugin, tmp_path: Path) -> None:
    class Factory:
        name = "mine"

        def open(self, argument: str, config: Any) -> Any:
            return doubles.Scripted(argument, 0.0)

    with ledger_of(tmp_path, plugin(ge_language_models=lambda: [Factory()]), llm=("mine:good",)) as history:
        assert {call.reply.model for call in history.calls("g0s0")} == {"scripted:good"}


def test_ge_grammars(plugin: Plugin, tmp_path: Path) -> None:
    mine = doubles.Raw("mine")
    with ledger_of(tmp_path, plugin(ge_grammars=lambda: [mine]), grammar="mine") as history:
        assert {call.grammar for call in history.calls("g0s0")} == {"mine"}


def test_ge_moves(plugin: Plugin, tmp_path: Path) -> None:
    class Tripled(MoveSource):
        name = "tripled"

        def changes(self, code: str, classes: Sequence[str]) -> list[Change]:
            assert not classes or "Small" in classes
            return [Change("insert", "triple what comes out", (Edit(len(code), len(code), " * 3"),))]

    registry = plugin(ge_moves=lambda: [Tripled()], ge_grammars=lambda: [Moves()])
    with ledger_of(tmp_path, registry, grammar="moves", moves=("tripled",)) as history:
        calls = [call for number in range(3) for call in history.calls(f"g0s{number}")]
    assert calls
    assert all("triple what comes out" in call.prompt.user for call in calls)
    genome = doubles.seed().genome
    target = Target(genome, "Small.forward", sources=(Tripled(),))
    patch = Moves().decode(Reply("triple what comes out", "stop", 1, 1, 1.0, "m"), target)
    assert isinstance(patch, Patch)
    assert patch.code == genome.blocks["Small.forward"].code + " * 3"
    with pytest.raises(ConfigError, match="no source of moves 'tripled'"):
        ledger_of(tmp_path / "without", doubles.registry(), moves=("tripled",))


def test_ge_event(plugin: Plugin, tmp_path: Path) -> None:
    told: list[tuple[str, Mapping[str, Any]]] = []

    def ge_event(name: str, data: Mapping[str, Any]) -> None:
        told.append((name, data))

    with ledger_of(tmp_path, plugin(ge_event=ge_event)):
        pass
    names = [name for name, _ in told]
    assert names[0] == "run_started"
    assert names[-1] == "run_finished"
    assert names.count("reply") == 3


def test_a_deprecated_hook_that_goes_without_a_warning(
    plugin: Plugin, monkeypatch: pytest.MonkeyPatch
) -> None:
    @hookspec(warn_on_impl=DeprecatedHook("ge_colours goes in 0.3; use ge_personas"))
    def ge_colours() -> None:
        """Colours."""

    monkeypatch.setattr(hookspecs, "ge_colours", ge_colours, raising=False)
    with pytest.warns(DeprecatedHook, match="use ge_personas") as warned:
        plugin(ge_colours=lambda: None)
    assert Path(warned[0].filename).name == "test_hooks.py"


def test_a_deprecated_argument_that_goes_without_a_warning(
    plugin: Plugin, monkeypatch: pytest.MonkeyPatch
) -> None:
    @hookspec(warn_on_impl_args={"data": DeprecatedHook("data goes in 0.3")})
    def ge_event(name: str, data: Any) -> None:
        """Observe."""

    monkeypatch.setattr(hookspecs, "ge_event", ge_event)
    with pytest.warns(DeprecatedHook, match="data goes"):
        plugin(ge_event=lambda name, data: None)
