"""Plugins register objects by name; their order changes nothing, and a bad one is named."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ge_engine import __version__
from ge_engine.config import RunConfig
from ge_engine.contracts import Prompt
from ge_engine.errors import ConfigError, PluginError
from ge_engine.registry import REGISTERING, choose, in_use, load_registry

OURS = f"plugin 'operators' {__version__} (ge_operators)"
HEAD = "from ge_engine.hookspecs import hookimpl\nfrom ge_plugins.personas import Role\n"
WritePlugin = Callable[[str, str], str]


@pytest.fixture
def write_plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[WritePlugin]:
    monkeypatch.syspath_prepend(str(tmp_path))
    written: list[str] = []

    def write(module: str, body: str) -> str:
        (tmp_path / f"{module}.py").write_text(HEAD + body)
        written.append(module)
        return module

    yield write
    for module in written:
        sys.modules.pop(module, None)


def persona(name: str) -> str:
    return f"@hookimpl\ndef ge_personas():\n    return [Role({name!r}, 'You are.')]\n"


def test_the_built_ins_that_are_not_registered_by_entry_points() -> None:
    registry = load_registry()
    assert {"mutation", "mating", "eot"} <= set(registry.operators)
    assert {"none", "expert", "eccentric", "innovator"} <= set(registry.personas)
    assert all(
        origin.distribution == "ge-engine"
        for origin in registry.origins
        if origin.module[:11] == "ge_plugins."
    )


def test_every_hook_that_registers_nothing_built_in() -> None:
    owners = load_registry().owners
    assert {hook for hook, _ in owners} == set(REGISTERING) - {"ge_moves"}, "built-in moves need no name"


def test_a_run_that_depends_on_the_order_of_plugins(write_plugin: WritePlugin) -> None:
    first, second = write_plugin("plugin_zz", persona("a_zz")), write_plugin("plugin_aa", persona("z_aa"))
    one, other = load_registry([first, second]), load_registry([second, first])
    assert list(one.personas) == list(other.personas) == sorted(one.personas)


def test_two_plugins_with_one_name_that_do_not_name_both(write_plugin: WritePlugin) -> None:
    modules = [write_plugin("plugin_one", persona("twin")), write_plugin("plugin_two", persona("twin"))]
    with pytest.raises(PluginError) as caught:
        load_registry(modules)
    assert "plugin_one" in caught.value.message
    assert "plugin_two" in caught.value.message


def test_a_plugin_given_twice(write_plugin: WritePlugin) -> None:
    module = write_plugin("plugin_twice", persona("twice"))
    with pytest.raises(PluginError, match=r"plugin_twice.*twice"):
        load_registry([module, module])


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("@hookimpl\ndef ge_personas(colour):\n    return []\n", "colour"),
        ("@hookimpl\ndef ge_colours():\n    return []\n", "ge_colours"),
        ("@hookimpl\ndef ge_personas():\n    raise RuntimeError('boom')\n", "boom"),
        ("@hookimpl\ndef ge_personas():\n    return [object()]\n", "without a name"),
        ("import nothing_of_this_name\n", "nothing_of_this_name"),
    ],
)
def test_a_broken_plugin_that_is_not_named(write_plugin: WritePlugin, body: str, says: str) -> None:
    module = write_plugin("plugin_broken", body)
    with pytest.raises(PluginError) as caught:
        load_registry([module])
    assert "plugin_broken" in caught.value.message
    assert says in caught.value.message


def test_a_broken_plugin_that_stays_half_registered(write_plugin: WritePlugin) -> None:
    with pytest.raises(PluginError):
        load_registry(
            [write_plugin("plugin_bad", persona("half") + "@hookimpl\ndef ge_colours(): return []\n")]
        )
    assert "half" not in load_registry().personas


def test_a_blocked_plugin_that_still_registers(write_plugin: WritePlugin) -> None:
    module = write_plugin("plugin_out", persona("out"))
    assert "out" not in load_registry([module], [module]).personas
    with pytest.raises(ConfigError, match="no plugin 'nobody'"):
        load_registry([], ["nobody"])


def test_an_unknown_name_that_does_not_list_what_there_is() -> None:
    with pytest.raises(ConfigError) as caught:
        choose(load_registry().personas, "genius", "persona")
    assert "expert" in caught.value.hint


def test_an_observer_that_is_not_told(write_plugin: WritePlugin) -> None:
    body = "told = []\n@hookimpl\ndef ge_event(name, data):\n    told.append((name, dict(data)))\n"
    module = write_plugin("plugin_watch", body)
    load_registry([module]).event("reply", {"key": "g0s0/0"})
    assert sys.modules[module].told == [("reply", {"key": "g0s0/0"})]  # type: ignore[attr-defined]


def test_a_failing_observer_that_is_not_named(write_plugin: WritePlugin) -> None:
    module = write_plugin("plugin_sour", "@hookimpl\ndef ge_event(name):\n    raise ValueError(name)\n")
    (failed,) = load_registry([module]).event("reply", {})
    assert "plugin_sour" in failed.message
    assert "ge_event" in failed.message


def test_a_failing_observer_that_hides_events_from_the_others(write_plugin: WritePlugin) -> None:
    sour = write_plugin("plugin_sour", "@hookimpl\ndef ge_event(name):\n    raise ValueError(name)\n")
    bitter = write_plugin("plugin_bitter", "@hookimpl\ndef ge_event(name):\n    raise ValueError(name)\n")
    watch = write_plugin("plugin_watch", "told = []\n@hookimpl\ndef ge_event(name):\n    told.append(name)\n")
    failed = load_registry([sour, watch, bitter]).event("reply", {})
    assert {error.message.split("'")[1] for error in failed} == {"plugin_sour", "plugin_bitter"}
    assert sys.modules[watch].told == ["reply"]  # type: ignore[attr-defined]


def test_blame_without_plugin_version_or_hook() -> None:
    assert load_registry().blame("ge_operators", "mating") == OURS


def test_a_plugin_in_the_current_folder_that_is_not_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "plugin_here.py").write_text(HEAD + persona("here"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry])
    assert "here" in load_registry(["plugin_here"]).personas


def test_a_persona_that_touches_the_code_of_a_prompt() -> None:
    prompt = Prompt("Answer.", "print(f'{x!r} %s {}')", "f", "block", "reduce")
    for role in load_registry().personas.values():
        framed = role.frame(prompt)
        assert framed.user == prompt.user
        assert framed.system.endswith(prompt.system)


def test_a_part_that_a_run_uses_and_the_list_leaves_out() -> None:
    registry = load_registry()
    used = in_use(
        registry, RunConfig(task="folder:images.zip", llm=("uniform",), grammar="block", operators=("eot",))
    )
    by_hook = {hook: sorted(name for h, name in used if h == hook) for hook in REGISTERING}
    assert by_hook["ge_operators"] == ["eot"]
    assert by_hook["ge_tasks"] == ["folder"]
    assert by_hook["ge_language_models"] == ["uniform"]
    assert by_hook["ge_grammars"] == ["block"]
    assert by_hook["ge_checks"] == list(registry.checks)
    assert by_hook["ge_selectors"] == ["nsga2", "spea2"]
    assert ("ge_tasks", "nothing") not in in_use(registry, RunConfig(task="nothing"))
