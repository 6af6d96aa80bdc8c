"""Data flows one way: a room imports only rooms above it (docs: the map of rooms)."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest
from test_public_api import public_names

ROOT = Path(__file__).resolve().parent.parent
ENGINE = ROOT / "ge_engine"

# Top to bottom. Rooms of one row stand beside each other: within a row, imports must not form a cycle,
# which Python itself enforces at import.
ROWS: tuple[tuple[str, ...], ...] = (
    ("errors",),
    ("outcome",),
    ("places", "cache"),
    ("setting",),
    ("recipe",),
    ("run_config",),
    ("config",),
    ("keywords",),
    ("expansion",),
    ("syntax",),
    ("digests", "source", "line_diff", "layout", "style", "names", "dynamic"),
    ("bindings",),
    ("facts",),
    ("segments",),
    ("evolvability",),
    ("segmenter",),
    ("blocks",),
    ("genome",),
    ("parameters",),
    ("builders", "task_facts"),
    ("entry",),
    ("addressing", "fences", "hunks", "reasoning", "embedded_code", "syntax_repair"),
    ("block_match",),
    ("answer",),
    ("editing",),
    ("reply",),
    ("side_effects",),
    ("renaming",),
    ("elision", "contract", "dependencies"),
    ("splicing",),
    ("patch",),
    ("changes", "structure"),
    ("pareto",),
    ("population",),
    ("conditions",),
    ("profile",),
    ("contracts",),
    ("hookspecs",),
    ("registry",),
    ("trial",),
    ("blaming", "versions"),
    ("checked", "foreign"),
    ("records", "runlock", "score_key", "schema"),
    ("database", "rows", "content"),
    ("reader",),
    ("history",),
    ("islands", "parts", "memo"),
    ("audit", "statistics", "replicates"),
    ("credit",),
    ("ledger",),
    ("references", "export"),
    ("lineage",),
    ("known_messages",),
    ("telling",),
    ("validate",),
    ("grammar",),
    ("llm",),
    ("evaluation/protocol",),
    ("evaluation/data",),
    ("evaluation/sandbox",),
    ("evaluation/measure",),
    ("evaluation/train",),
    ("evaluation/probe",),
    ("evaluation/worker",),
    ("evaluation/fork_server",),
    ("evaluation",),
    ("launch",),
    ("events",),
    ("tracking",),
    ("budget", "event_loop", "slots"),
    ("scoring", "variation", "termination", "addresses", "models", "survey"),
    ("proposing", "selection", "resolution", "halving", "rescoring", "run_folder", "run_state"),
    ("services", "seed_admission", "finalists"),
    ("session", "prompting", "settlement"),
    ("child",),
    ("generation",),
    ("schedule",),
    ("loop",),
    ("ablation",),
    ("report",),
    ("scaffold",),
    ("privileges",),
    ("views", "installation"),
    ("runs",),
    ("api",),
    ("cli", "testing"),
)
LEVEL = {room: level for level, row in enumerate(ROWS) for room in row}
FILES = sorted(ENGINE.rglob("*.py"))
PLUGINS = sorted([*(ROOT / "plugins").rglob("*.py"), *(ROOT / "grammars").rglob("*.py")])


HELPERS = {"code", "search", "store"}
"""Packages that only group the helpers of some rooms: each file in them is a room of its own."""


def room_at(parts: tuple[str, ...]) -> str:
    """The room of a module by its path below the engine; the folders of evaluation are rooms of their own."""
    if parts[0] == "evaluation":
        return "/".join(parts[:2]) if (ENGINE / "evaluation" / "/".join(parts[1:2])).is_dir() else parts[0]
    return parts[parts[0] in HELPERS]


def room_of(path: Path) -> str:
    return room_at(path.relative_to(ENGINE).with_suffix("").parts)


def imported_rooms(path: Path) -> set[str]:
    """Rooms that the file imports when it is loaded; what stands under TYPE_CHECKING counts too."""
    modules: set[tuple[str, ...]] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "ge_engine":
            base = tuple(str(node.module).split(".")[1:])
            modules.update((*base, alias.name) for alias in node.names if alias.name != "__version__")
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names if alias.name.startswith("ge_engine.")]
            modules.update(tuple(name.split(".")[1:]) for name in names)
    return {room_at(parts) for parts in modules}


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ENGINE)))
def test_a_room_that_imports_a_room_below_it(path: Path) -> None:
    room = room_of(path)
    if room == "__init__":
        return
    assert room in LEVEL, f"{room} has no place in the order of rooms"
    below = {r for r in imported_rooms(path) if LEVEL.get(r, 99) > LEVEL[room]}
    assert not below


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
    code = "import sys, ge_engine, ge_engine.registry; sys.exit('torch' in sys.modules)"
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
