"""Data flows one way: a room imports only rooms above it (docs: the map of rooms)."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
ENGINE = ROOT / "ge_engine"

# Top to bottom. Rooms of one row stand beside each other: within a row, imports must not form a cycle,
# which Python itself enforces at import.
ROWS: tuple[tuple[str, ...], ...] = (
    ("errors",),
    ("outcome",),
    ("places",),
    ("setting",),
    ("recipe",),
    ("run_config",),
    ("config",),
    ("keywords",),
    ("expansion",),
    ("syntax",),
    ("layout", "style", "names", "dynamic"),
    ("bindings",),
    ("facts",),
    ("segments",),
    ("cutting",),
    ("listing",),
    ("genome",),
    ("builders",),
    ("entry",),
    ("addressing", "fences", "hunks", "reasoning", "wrappers", "mending"),
    ("asked",),
    ("answer",),
    ("editing",),
    ("reply",),
    ("effects",),
    ("elision", "contract", "companions"),
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
    ("records", "runlock", "splits", "schema"),
    ("history",),
    ("islands", "parts"),
    ("audit", "statistics", "experience", "rescored"),
    ("ledger",),
    ("references", "export"),
    ("lineage",),
    ("known_messages",),
    ("telling",),
    ("validate",),
    ("grammar",),
    ("llm",),
    (
        "limits",
        "syscalls",
        "bubblewrap",
        "loading",
        "claims",
        "orders",
        "channel",
        "checkpoints",
        "reaping",
    ),
    ("seccomp", "namespaces"),
    ("network", "program"),
    ("removal", "disk", "importing", "packages", "system", "readable"),
    ("spawning", "sharing", "confining"),
    ("futures", "portions"),
    (
        "batches",
        "colours",
        "measuring",
        "watching",
        "weighing",
        "sealing",
        "stepping",
        "optimizers",
        "pace",
        "rates",
        "peers",
        "devices",
    ),
    ("witness", "living"),
    ("answering",),
    ("averaging", "profiling"),
    ("course",),
    ("trainer",),
    ("probing",),
    ("sizing",),
    (
        "worker",
        "spawned",
        "nursery",
        "starting",
        "executor",
        "surroundings",
        "endings",
        "figures",
        "admitting",
        "preparing",
        "constraints",
        "command",
        "function",
    ),
    ("evaluate",),
    ("launch",),
    ("events",),
    ("tracking",),
    ("budget",),
    ("scoring", "slots", "stopping", "addresses", "models", "survey"),
    ("selection", "chosen", "halving", "rescoring"),
    ("conversation", "opening"),
    ("breeding",),
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
PLUGIN_API = {"genome", "config", "contracts", "changes", "entry", "errors", "hookspecs", "outcome", "patch"}


HELPERS = {"code", "search", "store", "training"}
"""Packages that only group the helpers of some rooms: each file in them is a room of its own."""


def room_of(path: Path) -> str:
    parts = path.relative_to(ENGINE).parts
    return parts[parts[0] in HELPERS].removesuffix(".py")


def imported_rooms(path: Path) -> set[str]:
    """Rooms that the file imports when it is loaded; what stands under TYPE_CHECKING counts too."""
    rooms = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("ge_engine"):
            parts = [part for part in node.module.split(".")[1:] if part not in HELPERS]
            names = parts[:1] or [alias.name for alias in node.names]
            rooms.update(name for name in names if name != "__version__")
        elif isinstance(node, ast.Import):
            names = [a.name for a in node.names if a.name.startswith("ge_engine.")]
            rooms.update(next(part for part in n.split(".")[1:] if part not in HELPERS) for n in names)
    return rooms


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ENGINE)))
def test_a_room_that_imports_a_room_below_it(path: Path) -> None:
    room = room_of(path)
    if room == "__init__":
        return
    assert room in LEVEL, f"{room} has no place in the order of rooms"
    below = {r for r in imported_rooms(path) if LEVEL.get(r, 99) > LEVEL[room]}
    assert not below


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
