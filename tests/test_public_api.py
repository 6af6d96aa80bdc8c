"""The public API is what `public_api.txt` says: names and signatures change on purpose or not at all.

`python tests/test_public_api.py` writes the file anew; its diff is then part of the change.
"""

from __future__ import annotations

import importlib
import inspect
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ge_engine

FILE = Path(__file__).with_name("public_api.txt")
FUNCTION = re.compile(r"<function (\S+) at 0x[0-9a-f]+>")
WHOLE = ("errors", "outcome", "contracts", "hookspecs", "testing")
CHOSEN = {
    "hookspecs": ("DeprecatedHook", "hookimpl", "hookspec"),
    "genome": ("Block", "Genome", "Seed", "differing"),
    "patch": ("JointPatch", "Patch", "apply", "parse_patch", "transplant", "undefined_names"),
    "pareto": (
        *("Point", "clipped", "crowding", "dominates", "fronts", "gains", "hypervolume"),
        *("in_unit", "losses", "non_dominated", "pareto_front", "strengths"),
    ),
    "noise": ("Ties", "beyond_noise", "clearly_better", "front_of", "improves"),
    "profile": ("BlockProfile", "ModuleProfile", "block_profiles"),
    "registry": ("choose", "load_registry"),
    "replies.blocks": ("read_blocks",),
    "replies.extraction": ("Form", "edited", "extract"),
    "structure.moves": ("module_classes", "moves_of"),
    "structure.number_ranges": ("NumberRange", "range_of"),
    "structure.tuned": ("NumberSite", "Numbers", "number_text", "numbers_of", "with_numbers"),
    "grammar.block": ("constraint", "form", "instructions"),
    "grammar.blocks": ("INSTRUCTIONS", "constraint", "instructions"),
    "grammar.diff": ("INSTRUCTIONS", "constraint"),
    "grammar.edits": ("canonical", "constraint", "form", "instructions"),
    "grammar.moves": ("canonical", "constraint", "form", "instructions"),
    "grammar.reasoning_prefix": ("answer_of",),
    "cache": ("cache_folder", "cache_path"),
    "evaluation.task_training": ("open_task_training",),
    "evaluation.train_evaluation": ("open_training",),
    "evaluation.setup": ("task_name",),
    "evaluation.seed_check": ("ChannelsError",),
    "evaluation.data.channels": ("in_channels", "is_grey"),
    "evaluation.command": ("open_command", "program_places"),
    "evaluation.own_function": ("open_function",),
    "llm.checking": ("check_local",),
    "llm.embedded": ("embedded_model",),
    "llm.local": ("folder_or_name", "load_local"),
    "llm.server": ("open_server",),
    "llm.server_check": ("check_server",),
    "llm.uniform": ("UniformModel",),
    "ledger.history": ("read_replies",),
    "population": ("Individual", "Step", "dominates", "pareto_front"),
    "config": ("Recipe", "RunConfig", "load_config"),
}


def public_names() -> list[str]:
    """Dotted names of the classes and functions that others may rely on."""
    names = [f"ge_engine.{name}" for name in ge_engine.__all__ if name != "__version__"]
    for module in WHOLE:
        found = importlib.import_module(f"ge_engine.{module}")
        listed = getattr(found, "__all__", None) or [n for n in vars(found) if defined_in(found, n)]
        names += [f"ge_engine.{module}.{name}" for name in listed]
    return names + [f"ge_engine.{module}.{name}" for module, chosen in CHOSEN.items() for name in chosen]


def defined_in(module: Any, name: str) -> bool:
    value = vars(module)[name]
    return not name.startswith("_") and getattr(value, "__module__", "") == module.__name__


def described(name: str) -> Iterator[str]:
    """One line for a name, and one for each public method of a class."""
    module, _, leaf = name.rpartition(".")
    value = getattr(importlib.import_module(module), leaf)
    yield name + shape(value)
    if inspect.isabstract(value):
        yield from (f"{name}.{attribute}: {kind}" for attribute, kind in value.__annotations__.items())
    if inspect.isclass(value):
        ours = [one for one in reversed(value.__mro__) if one.__module__.startswith("ge_engine.")]
        members = {attribute: member for one in ours for attribute, member in vars(one).items()}
        for attribute, member in sorted(members.items()):
            if not attribute.startswith(("_", "test_")):
                line = method(member)
                if line is not None:
                    yield f"{name}.{attribute}{line}"


def shape(value: Any) -> str:
    """How it is called; "" for a class that nobody but the engine builds, and for what is not called."""
    if inspect.isabstract(value):
        return " (abstract)"
    if not inspect.isclass(value) and not inspect.isroutine(inspect.unwrap(value)):
        return ""
    built_by_others = inspect.isclass(value) and value.__module__ == "ge_engine.genome"
    if built_by_others or getattr(value, "__init__", None) is object.__init__ or is_warning(value):
        return ""
    return FUNCTION.sub(r"\1", str(inspect.signature(value)))


def is_warning(value: Any) -> bool:
    return inspect.isclass(value) and issubclass(value, Warning)


def method(member: Any) -> str | None:
    if isinstance(member, property):
        return ": " + str(inspect.signature(member.fget).return_annotation)  # type: ignore[arg-type]
    if isinstance(member, (classmethod, staticmethod)):
        member = member.__func__
    return str(inspect.signature(member)) if inspect.isfunction(member) else None


def text() -> str:
    return "\n".join(line for name in public_names() for line in described(name)) + "\n"


def test_a_change_of_the_public_api_that_nobody_meant() -> None:
    assert text().splitlines() == FILE.read_text("utf-8").splitlines(), (
        "The public API has changed. If that is meant, run `python tests/test_public_api.py`, "
        "and say in CHANGELOG.md what changed."
    )


def test_a_public_name_that_a_star_import_or_a_notebook_does_not_find() -> None:
    assert set(ge_engine.__all__) <= set(dir(ge_engine))
    assert all(getattr(ge_engine, name) is not None for name in ge_engine.__all__)


def test_an_unknown_name_that_is_not_an_attribute_error() -> None:
    assert not hasattr(ge_engine, "evolved")


def test_a_name_that_is_a_function_or_a_module_by_the_order_of_imports() -> None:
    """No room may have the name of a public function: the import of a submodule would overwrite it."""
    rooms = {path.stem for path in Path(ge_engine.__file__).parent.iterdir()}
    assert not rooms & set(ge_engine.__all__)


def test_importing_the_package_that_pulls_in_all_of_it() -> None:
    heavy = ("libcst", "typer", "torch", "numpy")
    code = f"import sys, ge_engine; sys.exit(any(m in sys.modules for m in {heavy}))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_command_that_waits_for_what_it_does_not_use() -> None:
    slow = {"plotly", "numpy", "asyncio"}
    code = f"import sys, ge_engine.cli.app; sys.exit(bool({slow} & sys.modules.keys()))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_public_names_that_pull_in_torch() -> None:
    code = "import sys\nfrom ge_engine import evolve, diff, blocks\nsys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_version_that_the_distribution_does_not_have() -> None:
    from importlib.metadata import version

    assert version("ge-engine") == ge_engine.__version__


if __name__ == "__main__":
    FILE.write_text(text(), "utf-8")
    print(f"wrote {FILE}")
