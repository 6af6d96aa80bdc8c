"""Data flows one way: a room imports rooms of its floor and of floors below it, and nothing goes round."""

from __future__ import annotations

import ast
import subprocess
import sys
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest
from test_public_api import public_names

ROOT = Path(__file__).resolve().parent.parent
ENGINE = ROOT / "ge_engine"

FLOORS: tuple[tuple[str, ...], ...] = (
    ("errors", "outcome", "curves", "places", "cache", "atomic_file", "notation", "processor"),
    ("config",),
    ("source", "genome", "joint_genome", "entry", "entry_block", "patch", "variant", "changes"),
    ("replies", "structure", "pareto", "noise", "population", "conditions", "tolerances", "profile"),
    ("contracts", "hookspecs", "registry", "blaming", "events", "tracking"),
    ("ledger", "grammar", "llm", "agents"),
    ("evaluation",),
    ("search", "loop", "ablation", "context", "seed_files"),
    ("report", "scaffold", "installation", "launch"),
    ("views", "runs", "api", "inspection"),
    ("cli", "testing"),
)
"""Bottom to top. A room is a folder or a module at the top of ge_engine."""
FLOOR = {room: number for number, floor in enumerate(FLOORS) for room in floor}
FILES = sorted(ENGINE.rglob("*.py"))
PLUGINS = sorted([*(ROOT / "plugins").rglob("*.py"), *(ROOT / "grammars").rglob("*.py")])


def module_of(path: Path) -> str:
    """`ge_engine.source.blocks`; of a folder's `__init__.py`, the folder."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def room_of(module: str) -> str:
    """The folder or module at the top of ge_engine that `module` belongs to; "" for ge_engine itself."""
    return (*module.split("."), "")[1]


MODULES = {module_of(path): path for path in FILES}


@cache
def imported(path: Path) -> set[str]:
    """The engine's modules that a file imports; what stands under TYPE_CHECKING counts too."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            found.update(name if name in MODULES else str(node.module) for name in names)
        elif isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
    return found & MODULES.keys() - {"ge_engine"}


def test_a_room_that_imports_from_a_floor_above_it() -> None:
    modules = {name: room_of(name) for name in MODULES if name != "ge_engine"}
    assert not set(modules.values()) - set(FLOOR), "rooms that stand on no floor"
    above = [
        f"{module} imports {name}"
        for module, room in modules.items()
        for name in imported(MODULES[module])
        if FLOOR[room_of(name)] > FLOOR[room]
    ]
    assert not above


def test_modules_that_import_each_other() -> None:
    graph = {module: imported(path) - {module} for module, path in MODULES.items() if module != "ge_engine"}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


SHOWN = {"api", "runs", "views", "errors", "config", "cli"}
VALUES = {
    "changes",
    "contracts",
    "noise",
    "notation",
    "outcome",
    "pareto",
    "places",
    "population",
    "profile",
    "tolerances",
}
"""Rooms of plain data, which the command line formats."""
STARTING = {"ge_engine.llm"}
"""What sets the environment before torch is imported."""


@pytest.mark.parametrize("path", sorted((ENGINE / "cli").glob("*.py")), ids=lambda path: path.name)
def test_a_command_that_reads_past_the_api(path: Path) -> None:
    taken = imported(path) - STARTING if path.name == "__init__.py" else imported(path)
    assert {room_of(name) for name in taken} <= SHOWN | VALUES


def names_taken(source: str) -> set[str]:
    """Dotted names of the engine that a file imports; of a module that it imports whole, those it uses."""
    tree = ast.parse(source)
    found: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.asname or alias.name: alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
    used = {
        (found[node.value.id], node.attr)
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in found
    }
    used = {(module, name) for module, name in used if is_module(module)}
    whole = set(found.values()) - {module for module, _ in used}
    return {name for name in whole | {".".join(pair) for pair in used} if name.startswith("ge_engine.")}


def is_module(name: str) -> bool:
    return (ROOT / name.replace(".", "/")).with_suffix(".py").is_file()


def private(source: str) -> set[str]:
    """What a file takes from the engine that is not public. A package may be imported for its own sake."""
    public = set(public_names())
    packages = {name.rpartition(".")[0].rpartition(".")[0] for name in public}
    return names_taken(source) - public - packages


@pytest.mark.parametrize("path", PLUGINS, ids=lambda p: str(p.relative_to(ROOT)))
def test_a_built_in_plugin_that_takes_what_no_third_party_may(path: Path) -> None:
    assert not private(path.read_text("utf-8"))


@pytest.mark.parametrize(
    ("source", "taken"),
    [
        ("from ge_engine.ledger import Ledger", "ledger.Ledger"),
        ("def f():\n    from ge_engine.search import slots", "search.slots"),
        ("from ge_engine.grammar import block\nblock._body", "grammar.block._body"),
        ("import ge_engine.loop", "loop"),
        ("from ge_engine.contracts.operator import Context", "contracts.operator.Context"),
    ],
)
def test_an_import_of_what_is_private_that_nobody_sees(source: str, taken: str) -> None:
    assert private(source) == {f"ge_engine.{taken}"}


def test_importing_the_engine_that_pulls_in_torch() -> None:
    """An agent hands on what it does not read itself; `ge doctor` starts what tries the sandbox."""
    modules = "ge_engine, ge_engine.registry, ge_engine.evaluation.nodes.agent"
    modules += ", ge_engine.evaluation.sandbox.confinement"
    code = f"import sys, {modules}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_path_of_one_machine_in_the_repository() -> None:
    listed = subprocess.run(
        ["git", "ls-files", "*.py", "*.md", "*.toml", "Makefile"], cwd=ROOT, capture_output=True
    )
    names = listed.stdout.decode().split()
    this = Path(__file__).name
    private = ("/" + "work/", "/tmp/" + "bash_jobs", "/" + "root/")
    guilty = [n for n in names if Path(n).name != this and any(p in (ROOT / n).read_text() for p in private)]
    assert not guilty
